"""Whether evidence of events can be kept: something asks for it, and its folder has room and can be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.config.evidence import EventEvidence
from pipeline.config.values import Fleet
from pipeline.doctor.finding import Finding, failure, ok, warning
from pipeline.supervise.evidence import wanted_of

GB = 1_000_000_000


def look_at_evidence(fleet: Fleet, directory: Path) -> Iterator[Finding]:
    """What would keep a run from keeping evidence; makes no folder.

    Args:
        fleet: The whole fleet.
        directory: That of the fleet file, where a relative folder begins.
    """
    settings, cameras = wanted_of(fleet)
    if settings is None:
        yield from _pictures_of_nothing(fleet)
    elif not cameras:
        yield warning("evidence", "no zone or line asks for it, so nothing is kept", "give a camera zones or lines")
    else:
        yield _folder(settings, (directory / settings.folder).absolute())


def _pictures_of_nothing(fleet: Fleet) -> Iterator[Finding]:
    """Sinks that are to send pictures of events, of which none are kept."""
    for name, sink in fleet.sinks.items():
        if getattr(sink, "snapshots", False):
            found = "no picture is sent, as the fleet file has no “evidence”, which takes them"
            yield warning(f"sinks.{name}.snapshots", found, "add evidence: {}")


def _folder(settings: EventEvidence, folder: Path) -> Finding:
    there = next(one for one in (folder, *folder.parents) if os.path.exists(one))  # noqa: PTH110 - Path.exists raises where a folder above may not be entered
    if not there.is_dir():
        return failure("evidence.folder", f"{there} is a file, so {folder} is no folder", "name another")
    if not os.access(there, os.W_OK | os.X_OK):
        return failure("evidence.folder", f"{there} cannot be written", "name another, or let this user write there")
    free = shutil.disk_usage(there).free
    words = f"{folder} can be written, {free / GB:.1f} GB are free"
    if free < settings.keep.free_gb * GB:
        found = f"{words}, less than keep.free_gb ({settings.keep.free_gb:,g} GB): no clip is written"
        return warning("evidence.folder", found, "make room, lower free_gb, or name a folder on another disk")
    return ok("evidence.folder", words)
