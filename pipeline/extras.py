"""What only some tasks need, and which of camfleet's extras brings it: one line says so, before any long work.

Nothing is imported to find out, so a command asks first; that what is found can also be imported is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from pipeline.errors import ConfigError, PipelineError

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "discover": ("onvif", "aiohttp", "zeep"),
    "evaluate": ("trackeval", "faster_coco_eval"),
    "int8": ("ultralytics", "torch", "nncf"),
    "levers": ("nncf", "faster_coco_eval", "matplotlib"),
    "page": ("starlette", "uvicorn", "websockets", "prometheus_client"),
    "profile": ("py-spy",),
    "ray": ("ray",),
    "report": ("matplotlib",),
    "rules": ("shapely",),
    "sinks": ("aiokafka", "aiomqtt", "duckdb", "httpx", "nats", "psycopg", "pyarrow", "redis"),
    "supervision": ("supervision",),
    "traces": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "requests"),
    "triton": ("tritonclient", "grpc"),
    "tune": ("optuna", "nncf", "faster_coco_eval"),
    "ultralytics": ("ultralytics", "torch"),
}
"""The modules that each extra of pyproject.toml brings, by which it is known to be there; py-spy is a program."""


def require(extra: str, what: str, *modules: str, error: type[PipelineError] = ConfigError) -> None:
    """Make sure, before any long work, that what a task needs is installed.

    Args:
        extra: What brings it, a key of `EXTRAS`.
        what: What cannot be done without it, in the user's words: `burst --report`.
        modules: What has to be there; by default all of the extra.
        error: What to raise.

    Raises:
        PipelineError: Something is missing; the message says what, and the command that brings it.
    """
    if words := lack(extra, what, *modules):
        raise error(words)


def lack(extra: str, what: str, *modules: str) -> str:
    """What is missing for a task, and the command that brings it; empty where all is there. Arguments as `require`."""
    missing = [module for module in modules or EXTRAS[extra] if not is_there(module)]
    return told(extra, what, missing) if missing else ""


def told(extra: str, what: str, missing: list[str]) -> str:
    """One line: `what` needs what is `missing`, and the command that brings it."""
    *others, last = missing
    listed = f"{', '.join(others)} and {last}" if others else last
    are = "are" if others else "is"
    return f"{what} needs {listed}, which {are} not installed: pip install 'camfleet[{extra}]'"


def is_there(module: str) -> bool:
    """Whether a module can be found; its packages are imported, itself is not."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def opencv_trouble(error: ImportError) -> str:
    """What to do where OpenCV is there and cannot be loaded, or half of it is gone; empty for any other error.

    `opencv-python`, which other packages bring, needs libraries of a desktop, and takes what both editions share with
    it when it is uninstalled.
    """
    if error.name != "cv2" and "libGL" not in str(error):
        return ""
    return (
        f"OpenCV cannot be loaded ({error}); the edition for machines without a screen can: "
        "pip install --force-reinstall --no-deps opencv-python-headless"
    )
