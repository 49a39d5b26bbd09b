"""Ultralytics and OpenVINO's tools, kept from calling home, installing packages and touching the user's settings."""

from __future__ import annotations

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
