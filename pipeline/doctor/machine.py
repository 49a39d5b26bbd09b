"""The machine: what runs Python, computes, and keeps the time."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.config.values import Fleet
from pipeline.doctor.finding import Finding, failure, ok, warning
from pipeline.tune.fingerprint import Fingerprint, read_fingerprint

OLDEST_PYTHON = (3, 11)
SHOWN = ("openvino", "torch", "av", "numpy", "opencv-python-headless", "iceoryx2", "pyzmq", "pydantic")
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)\s*(?:\[[^\]]*\])?\s*(?P<bounds>[^;]*)(?P<marker>;.*)?")
_BOUND = re.compile(r"(>=|<=|==|<|>)\s*([0-9.]+)")
_CPU_INFO = Path("/proc/cpuinfo")
_INT8 = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "i8mm": "I8MM",
    "asimddp": "dot product",
}
"""What computes INT8 several times faster than floats, by the kernel's names; the last two are Arm's."""
_UNSYNCHRONISED, _STATUS_AT, _ERROR_AT, _TIMEX_BYTES = 0x0040, 40, 24, 256
"""STA_UNSYNC, and where `status` and `maxerror` (µs) are in `struct timex` of 64-bit systems (adjtimex(2))."""
_DEVICES = Path("/dev")


def look_at_machine(fleet: Fleet | None) -> Iterator[Finding]:
    """Python, libraries, processor, GPU and clock."""
    found = read_fingerprint()
    yield _python()
    yield _libraries()
    yield _processor(found)
    yield _gpu(found, fleet)
    yield _clock()


def _python() -> Finding:
    words = f"{platform.python_version()}, {platform.machine()}, {platform.system()} {platform.release()}"
    if sys.version_info < OLDEST_PYTHON:
        return failure("python", words, f"camfleet needs {'.'.join(map(str, OLDEST_PYTHON))} or newer")
    if sys.platform != "linux":
        return warning("python", words, "camfleet is tested on Linux; elsewhere there is no sandbox for cameras")
    return ok("python", words)


def _libraries() -> Finding:
    """What the package requires is there, in versions that it can use."""
    try:
        required = importlib.metadata.requires("camfleet") or []
    except importlib.metadata.PackageNotFoundError:
        return warning("libraries", "camfleet is not installed, so what it requires is not known", "pip install .")
    wrong = [words for one in required if (words := _why_not(one))]
    if wrong:
        return failure("libraries", "; ".join(wrong), "install camfleet again: pip install --upgrade camfleet")
    versions = [f"{name} {version}" for name in SHOWN if (version := _version(name))]
    return ok("libraries", ", ".join(versions))


def _why_not(requirement: str) -> str:
    """What is wrong with what is installed for a requirement; empty where nothing is, or it is an extra's."""
    found = _REQUIREMENT.match(requirement)
    if found is None or "extra" in (found["marker"] or ""):
        return ""
    version = _version(found["name"])
    if not version:
        return f"{found['name']} is not installed"
    for sign, bound in _BOUND.findall(found["bounds"]):
        if not _holds(version, sign, bound):
            return f"{found['name']} {version} is installed, and {sign}{bound} is needed"
    return ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _holds(version: str, sign: str, bound: str) -> bool:
    one, two = _numbers(version), _numbers(bound)
    size = max(len(one), len(two))
    one, two = one + (0,) * (size - len(one)), two + (0,) * (size - len(two))
    return {">=": one >= two, "<=": one <= two, "==": one == two, "<": one < two, ">": one > two}[sign]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:4])


def _processor(found: Fingerprint, info: Path = _CPU_INFO) -> Finding:
    words = f"{found.cpu}, {found.cores:g} cores for this process, {found.memory_gb} GB"
    flags = cpu_flags(info)
    if not flags:
        return ok("processor", words)
    if platform.machine() == "x86_64" and "avx2" not in flags:
        return warning("processor", f"{words}, no AVX2", "detection is several times slower than on CPUs since 2013")
    int8 = [name for flag, name in _INT8.items() if flag in flags]
    if not int8:
        return ok("processor", f"{words}, without VNNI or AMX: INT8 models gain little here")
    bf16 = " and bfloat16" if flags & {"amx_bf16", "avx512_bf16", "bf16"} else ""
    return ok("processor", f"{words}, {', '.join(int8)}: INT8{bf16} models are fastest here")


def cpu_flags(info: Path = _CPU_INFO) -> set[str]:
    """What the first processor can, by the kernel's names; empty where it does not say."""
    try:
        lines = info.read_text("utf-8", "replace").splitlines()
    except OSError:
        return set()
    told = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return set(next(told, "").split())


def _gpu(found: Fingerprint, fleet: Fleet | None) -> Finding:
    wants = fleet is not None and any("cuda" in one.device or one.device.isdigit() for one in fleet.model.per_device())
    if not found.driver:
        if wants:
            return failure("gpu", "no driver of NVIDIA is loaded, and the fleet file names a CUDA device", "install it")
        rendering = sorted(node.name for node in (_DEVICES / "dri").glob("renderD*"))
        shown = f"none of NVIDIA; {', '.join(rendering)} may decode" if rendering else "none, so the CPU detects"
        return ok("gpu", shown)
    words = f"{', '.join(found.gpus) or 'NVIDIA'}, driver {found.driver}"
    if not os.access(_DEVICES / "nvidiactl", os.R_OK | os.W_OK) and not (_DEVICES / "dxg").exists():
        return failure("gpu", f"{words}, and this user may not use it", "add the user to the group of /dev/nvidiactl")
    torch = _version("torch")
    if not torch:
        return warning("gpu", f"{words}, and no PyTorch to use it", "pip install 'camfleet[ultralytics]'")
    if torch.endswith("+cpu"):
        return warning("gpu", f"{words}, and PyTorch {torch} cannot use it", "install PyTorch with CUDA")
    return ok("gpu", f"{words}, PyTorch {torch}")


def _clock() -> Finding:
    told = clock_state()
    if told is None:
        return ok("clock", "whether it is set by others, this system does not say")
    synchronised, error_s = told
    if not synchronised:
        return warning(
            "clock",
            "nobody sets it, as far as the kernel knows",
            "run chrony or systemd-timesyncd: cameras' times are compared with it. In a container the host does",
        )
    return ok("clock", f"set by NTP or the like, right within {1000 * error_s:.0f} ms")


def clock_state() -> tuple[bool, float] | None:
    """Whether something keeps the clock right, and how wrong it may be, s; None where the system does not tell."""
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        return None
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # all zero: nothing is to be changed
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return None
    (status,) = struct.unpack_from("i", timex, _STATUS_AT)
    (error_us,) = struct.unpack_from("q", timex, _ERROR_AT)
    return not status & _UNSYNCHRONISED, error_us / 1e6
