"""The fleet file: from YAML to frozen values, with mistakes named by file, line and key."""

from pipeline.config.camera import Camera, CameraSettings, Reconnect, Track
from pipeline.config.dump import to_dict, to_yaml
from pipeline.config.load import load_fleet
from pipeline.config.overlay import Overlay, own_keys
from pipeline.config.schema import json_schema
from pipeline.config.url import CameraUrl
from pipeline.config.values import Fleet, Model, Publish, Slo, Worker

__all__ = [
    "Camera",
    "CameraSettings",
    "CameraUrl",
    "Fleet",
    "Model",
    "Overlay",
    "Publish",
    "Reconnect",
    "Slo",
    "Track",
    "Worker",
    "json_schema",
    "load_fleet",
    "own_keys",
    "to_dict",
    "to_yaml",
]
