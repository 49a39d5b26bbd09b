"""Where a run took place and with what."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from pipeline.burst.plan import Plan
from pipeline.burst.result import Surroundings
from pipeline.config import Fleet, to_yaml
from pipeline.redact import redact

_PACKAGES = (
    *("camfleet", "ultralytics", "openvino", "torch", "av", "numpy"),
    *("opencv-python-headless", "iceoryx2", "pyzmq"),
)
LOG_LINES = 200
"""Of the fleet's log, the last ones."""


def surroundings(plan: Plan, fleet: Fleet, log: Path) -> Surroundings:
    """Machine, versions, both files as they were, and the end of the fleet's log; without credentials."""
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    return Surroundings(
        machine=f"{processor()}, {platform.system()} {platform.release()}",
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        versions={"python": platform.python_version(), **versions()},
        scenario_yaml=redact(plan.file.read_text("utf-8")),
        fleet_yaml=to_yaml(fleet),
        log=[redact(line) for line in lines[-LOG_LINES:]],
    )


def versions() -> dict[str, str]:
    """Of camfleet and of what it stands on."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
