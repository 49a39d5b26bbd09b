"""Ultralytics and OpenVINO's tools, kept from calling home, installing packages and touching the user's settings.

And from running what a weights file brings along: a `.pt` is a pickle, which can name any function to be called. Only
the classes that Ultralytics' own models are made of are loaded from it, unless the user's environment says otherwise.
"""

from __future__ import annotations

import os
import sys

from pipeline.detect.cache import cache_folder

SAFE_LOAD = "ULTRALYTICS_SAFE_LOAD"
FOREIGN = "outside the supported Ultralytics checkpoint format"


def quiet_environment() -> dict[str, str]:
    """Environment variables for Ultralytics; it reads them once, when it is imported.

    `YOLO_OFFLINE` also ends its look-up of public name servers at import and its analytics.
    """
    return {
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "YOLO_CONFIG_DIR": str(cache_folder("ultralytics")),
        SAFE_LOAD: os.environ.get(SAFE_LOAD, "true"),
    }


def first_line(error: BaseException) -> str:
    """What Ultralytics' error says first; of weights that hold more than it knows, what the user can do."""
    lines = str(error).strip().splitlines()
    told = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if FOREIGN not in told:
        return told
    return (
        "it holds more than the parts of Ultralytics' models, and loading it can run any code; if you trust whoever "
        f"made it, set {SAFE_LOAD}=false in the environment"
    )


def forbid_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting their use, if they are imported after this.

    They ask for a module of their own to do it, and do without where it is not installed. It writes an identity to
    ~/intel and connects to an analytics host as soon as OpenVINO is imported.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
