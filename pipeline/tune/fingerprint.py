"""What a measurement holds for: this processor, these devices, this memory, these libraries."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from pipeline.bench import machine

LIBRARIES = ("av", "numpy", "openvino", "torch", "ultralytics")
"""Whose version may change what is fast."""
MEMORY_STEP_GB = 1.0
_NVIDIA = Path("/proc/driver/nvidia")
_VERSION = re.compile(r"Kernel Module(?: for \S+)?\s+(\S+)")


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine, as far as it decides which setting is best.

    Attributes:
        cpu: The processor's name.
        cores: That a fleet may use; a container's quota counts.
        memory_gb: Of the machine, rounded to whole ones.
        gpus: Names of NVIDIA's devices, in their order.
        driver: Version of their driver; empty without one.
        libraries: Versions by name; those that are not installed are left out.
    """

    cpu: str
    cores: float
    memory_gb: int
    gpus: tuple[str, ...] = ()
    driver: str = ""
    libraries: dict[str, str]

    @property
    def hardware(self) -> str:
        """What a file about this machine is called: `intel-xeon-processor-2-cores-1f3a`.

        The digits tell machines apart whose names differ only in what a file name cannot hold.
        """
        parts = (self.cpu, f"{self.cores:g}", str(self.memory_gb), *self.gpus)
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:4]
        named = [self.cpu, f"{self.cores:g} cores", *dict.fromkeys(self.gpus)]
        slug = re.sub(r"[^a-z0-9]+", "-", " ".join(named).lower()).strip("-")
        return f"{slug[:60].strip('-')}-{digest}"

    @property
    def words(self) -> str:
        """For people: “Intel Xeon, 2 cores, 8 GB”."""
        return ", ".join([self.cpu, f"{self.cores:g} cores", f"{self.memory_gb} GB", *self.gpus])


def differences(then: Fingerprint, now: Fingerprint) -> list[str]:
    """What is not as it was, each in words; empty where a measurement of then holds now."""
    told = [
        f"{name} was {_said(before)}, is {_said(after)}"
        for name, before, after in (
            ("the processor", then.cpu, now.cpu),
            ("the number of cores", f"{then.cores:g}", f"{now.cores:g}"),
            ("memory", f"{then.memory_gb} GB", f"{now.memory_gb} GB"),
            ("the GPU", ", ".join(then.gpus), ", ".join(now.gpus)),
            ("the driver", then.driver, now.driver),
        )
        if before != after
    ]
    for name in sorted({*then.libraries, *now.libraries}):
        before, after = then.libraries.get(name, ""), now.libraries.get(name, "")
        if before != after:
            told.append(f"{name} was {_said(before)}, is {_said(after)}")
    return told


def read_fingerprint() -> Fingerprint:
    """The fingerprint of this machine; no device is woken and no heavy library imported."""
    return Fingerprint(
        cpu=machine.name(),
        cores=machine.usable_cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9 / MEMORY_STEP_GB),
        gpus=_gpus(_NVIDIA),
        driver=_driver(_NVIDIA),
        libraries=_versions(),
    )


def as_tree(fingerprint: Fingerprint) -> Mapping[str, object]:
    """For YAML."""
    tree: dict[str, object] = msgspec.to_builtins(fingerprint)
    return tree


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _gpus(folder: Path) -> tuple[str, ...]:
    """NVIDIA's driver names its devices in a file each, sorted as it numbers them."""
    names = []
    for file in sorted(folder.glob("gpus/*/information")):
        lines = _lines(file)
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return tuple(names)


def _driver(folder: Path) -> str:
    found = _VERSION.search("\n".join(_lines(folder / "version")))
    return found[1] if found else ""


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _said(value: str) -> str:
    return value or "none"
