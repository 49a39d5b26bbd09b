"""Ultralytics and OpenVINO's tools, kept from calling home, installing packages and touching the user's settings."""

from __future__ import annotations

import sys

from pipeline.detect.cache import cache_folder


def quiet_environment() -> dict[str, str]:
    """Environment variables for Ultralytics; it reads them once, when it is imported.

    `YOLO_OFFLINE` also ends its look-up of public name servers at import and its analytics.
    """
    return {
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "YOLO_CONFIG_DIR": str(cache_folder("ultralytics")),
    }


def forbid_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting their use, if they are imported after this.

    They ask for a module of their own to do it, and do without where it is not installed. It writes an identity to
    ~/intel and connects to an analytics host as soon as OpenVINO is imported.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
