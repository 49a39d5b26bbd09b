"""A fleet file's `model:` in OpenVINO's own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.detect.cache import cache_folder
from pipeline.errors import DetectorError

if TYPE_CHECKING:
    from pipeline.config.values import Model

COMBINATIONS = ("AUTO", "MULTI", "HETERO", "BATCH")
"""OpenVINO's devices that hand the work on to others."""


def device_name(available: Sequence[str], asked: str) -> str:
    """OpenVINO's name of the device; "auto" is the CPU, which is there on every machine and what is measured.

    Raises:
        DetectorError: `asked`, or a member of the combination that it is, is not among `available`.
    """
    if asked == "auto":
        return "CPU"
    device = asked.upper().replace(" ", "")
    known = {name.split(".")[0] for name in available}
    if not set(_members(device)) <= known:
        raise DetectorError(
            f"model.device: OpenVINO has no device {asked!r} here; it has {', '.join([*available, *COMBINATIONS])}"
        )
    return device


def properties(model: Model, device: str) -> dict[str, Any]:
    """What a model is compiled with for `device`; `model.options` win over everything."""
    wish = model.openvino
    chosen: dict[str, Any] = {}
    if wish.hint != "none":
        chosen["PERFORMANCE_HINT"] = wish.hint.upper()
    if wish.cache:
        chosen["CACHE_DIR"] = str(cache_folder("openvino"))
    if wish.precision != "auto":
        chosen["INFERENCE_PRECISION_HINT"] = wish.precision
    if model.lanes and device != "CPU":
        chosen["PERFORMANCE_HINT_NUM_REQUESTS"] = model.lanes
    if device.partition(":")[0] not in COMBINATIONS:
        chosen |= _cpu(model) if device == "CPU" else _streams(wish.streams)
    elif _may_use_cpu(device):
        # A combination takes what is meant for one of its devices only under that device's name.
        chosen["DEVICE_PROPERTIES"] = {"CPU": _cpu(model)}
    return chosen | model.options


def _members(device: str) -> list[str]:
    """The devices that `device` names, without number and requests: MULTI:GPU.1(4),CPU → GPU, CPU; none it excludes."""
    combination, _, members = device.partition(":")
    names = members.split(",") if combination in COMBINATIONS else [device]
    return [name.split("(")[0].split(".")[0] for name in names if name and not name.startswith("-")]


def _may_use_cpu(combination: str) -> bool:
    return "CPU" in (_members(combination) or ["CPU"]) and "-CPU" not in combination


def _cpu(model: Model) -> dict[str, Any]:
    # Pinned threads can run 40 times slower where processes share cores: openvinotoolkit/openvino#31186.
    chosen: dict[str, Any] = {"ENABLE_CPU_PINNING": model.openvino.pinning}
    if model.threads:
        chosen["INFERENCE_NUM_THREADS"] = model.threads
    return chosen | _streams(model.openvino.streams or model.lanes)


def _streams(count: int | None) -> dict[str, Any]:
    return {"NUM_STREAMS": count} if count else {}
