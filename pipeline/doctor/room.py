"""Room: shared memory, descriptors, cores for the threads that are asked for, and folders that can be written."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from pipeline.bench import machine
from pipeline.config.values import Fleet
from pipeline.detect.cache import cache_folder
from pipeline.doctor.finding import Finding, failure, ok, warning
from pipeline.errors import PipelineError, SlotError
from pipeline.runscope import SHARED_MEMORY, RunLease
from pipeline.slot import slot_bytes
from pipeline.statefolder import private_folder, state_folder
from pipeline.supervise.rules import rules_of

USUAL_WH = (640, 360)
"""Of a picture in its slot, px, where no fleet file says another size."""
ENOUGH_MB = 512
"""Shared memory for some eighty cameras of that size."""
PER_CAMERA, PER_FLEET = 8, 200
"""Descriptors that a process of a fleet has open, at most: pipes and sockets for each camera, and its own."""
ENOUGH_DESCRIPTORS = 4096
"""For a fleet of some hundred cameras with as many subscribers: each connection takes one."""


def look_at_room(fleet: Fleet | None) -> Iterator[Finding]:
    """Whether there is enough of everything."""
    yield _shared_memory(fleet)
    yield _descriptors(fleet)
    yield _cores(fleet)
    yield from _folders(fleet)


_LARGER = "make it larger: docker run --shm-size=1g, or mount -o remount,size=1g /dev/shm"


def _shared_memory(fleet: Fleet | None) -> Finding:
    system = os.statvfs(SHARED_MEMORY)
    free = system.f_bavail * system.f_frsize
    if fleet is None:
        words = f"{free >> 20} MB free in {SHARED_MEMORY}, for {free // slot_bytes(USUAL_WH)} cameras at 640×360"
        return ok("shared memory", words) if free >> 20 >= ENOUGH_MB else warning("shared memory", words, _LARGER)
    wh = fleet.model.input_wh or USUAL_WH
    needed = len(fleet.cameras) * slot_bytes(wh)
    words = f"{free >> 20} MB free in {SHARED_MEMORY}, and {len(fleet.cameras)} cameras may need {needed >> 20}"
    return ok("shared memory", words) if free >= needed else failure("shared memory", words, _LARGER)


def _descriptors(fleet: Fleet | None) -> Finding:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return ok("descriptors", "as many as the system has")
    cameras = len(fleet.cameras) if fleet is not None else 0
    needed = PER_FLEET + PER_CAMERA * cameras
    words = f"a process may have {most} open"
    advice = "raise the hard limit: LimitNOFILE of the systemd unit, docker run --ulimit nofile=65536, limits.conf"
    if most < needed:
        return failure("descriptors", f"{words}, and a fleet of {cameras} cameras needs {needed}", advice)
    if most < ENOUGH_DESCRIPTORS:
        return warning("descriptors", f"{words}; each subscriber takes one", advice)
    return ok("descriptors", words)


def _cores(fleet: Fleet | None) -> Finding:
    """Whether threads take turns on cores: libraries make as many as the machine has, whatever a container may use."""
    cores, whole = machine.usable_cores(), os.cpu_count() or 1
    words = f"this process may use {cores:g} of {whole} cores"
    threads = fleet.model.threads if fleet is not None else None
    if fleet is not None and threads is not None and threads > cores:
        advice = f"set model.threads to {max(1, int(cores))} or leave it out"
        return warning("cores", f"{words}, and model.threads asks for {threads}: they take turns", advice)
    if cores < whole and threads is None:
        advice = f"set model: {{threads: {max(1, int(cores))}}}"
        return warning("cores", f"{words}, and libraries that look at the machine make threads for all", advice)
    return ok("cores", words)


def _folders(fleet: Fleet | None) -> Iterator[Finding]:
    """Those that a fleet writes to, made where they are missing."""
    try:
        with RunLease() as lease:
            yield ok("runtime folder", f"{lease.scope.directory.parent} can be written")
    except (SlotError, OSError) as error:
        yield failure("runtime folder", str(error), "" if "XDG_RUNTIME_DIR" in str(error) else "set XDG_RUNTIME_DIR")
    try:
        yield ok("cache", f"{cache_folder('openvino').parent} can be written")
    except PipelineError as error:
        yield failure("cache", str(error))
    if fleet is not None and (fleet.sinks or rules_of(fleet)):
        yield _state(state_folder(fleet.name))


def _state(folder: Path) -> Finding:
    try:
        private_folder(folder)
    except PipelineError as error:
        return failure("state folder", str(error))
    if not os.access(folder, os.W_OK):
        return failure("state folder", f"{folder} cannot be written", "set XDG_STATE_HOME to a folder of yours")
    return ok("state folder", f"{folder} can be written")
