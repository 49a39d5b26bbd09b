"""For how long evidence is kept: the one place that deletes, and only what this program has written.

What belongs to an event is known by its record: a JSON file that says so itself, and the files beside it of the same
name. Anything else in the folder stays, whatever it is called, and counts for nothing.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from pipeline.clock import NS_PER_S
from pipeline.config.evidence import Retention
from pipeline.errors import SinkError
from pipeline.evidence.clip import SUFFIXES
from pipeline.evidence.record import PICTURE, RECORD, UNFINISHED, read_record

log = structlog.get_logger()

DAY_S, GB = 86_400, 1_000_000_000
LOCK = ".camfleet"
"""The kernel lets go of it with the process, however that ends."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one event.

    Attributes:
        at_ns: When it happened.
        record: Its JSON file.
        size: Of all its files, bytes.
    """

    at_ns: int
    record: Path
    size: int


def lock(folder: Path) -> IO[str]:
    """Have the folder for this process alone, until it ends or this is closed.

    Raises:
        SinkError: Another process has it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise SinkError(f"evidence cannot be kept in {folder}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SinkError(f"another process keeps evidence in {folder}; give each fleet a folder of its own") from None
    return file


class Keep:
    """Evidence on disk. Not thread-safe."""

    def __init__(self, folder: Path, settings: Retention) -> None:
        """Look through what there is.

        Args:
            folder: Made if it is not there.
            settings: For how long.

        Raises:
            SinkError: It cannot be made or read.
        """
        self._folder, self._settings = folder, settings
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._kept = {kept.record: kept for kept in found(folder)}
        except OSError as error:
            raise SinkError(f"evidence cannot be kept in {folder}: {error.strerror}") from None

    @property
    def size(self) -> int:
        """Of all there is, bytes."""
        return sum(kept.size for kept in self._kept.values())

    def add(self, record: Path) -> None:
        """Evidence that was just written."""
        if (kept := _of(record)) is not None:
            self._kept[record] = kept

    def tidy(self, now_ns: int) -> int:
        """Delete what is too old or too much, the oldest first; how many went.

        Args:
            now_ns: Wall time, ns since 1970-01-01 UTC.

        Raises:
            SinkError: Something cannot be deleted; all else was.
        """
        oldest_first = sorted(self._kept.values(), key=lambda kept: kept.at_ns)
        size, free, gone = self.size, self._free, 0
        wrong: SinkError | None = None
        for kept in oldest_first:
            too_old = kept.at_ns < now_ns - self._settings.days * DAY_S * NS_PER_S
            too_much = size > self._settings.gb * GB or free < self._settings.free_gb * GB
            if not too_old and not too_much:
                break
            try:
                self._delete(kept)
            except SinkError as error:
                wrong = wrong or error  # one that stays must not keep the others
                continue
            size, free, gone = size - kept.size, free + kept.size, gone + 1
        if wrong is not None:
            raise wrong
        return gone

    @property
    def has_room(self) -> bool:
        """Whether something more may be written."""
        return self._free >= self._settings.free_gb * GB

    @property
    def _free(self) -> int:
        try:
            return shutil.disk_usage(self._folder).free
        except OSError as error:
            raise SinkError(f"{self._folder} cannot be looked at: {error.strerror}") from None

    def _delete(self, kept: Kept) -> None:
        try:
            # The record last: what is killed in between is still known for what it is.
            for file in (*_beside(kept.record), kept.record):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(f"{kept.record.with_suffix('')} cannot be deleted: {error.strerror}") from None
        del self._kept[kept.record]
        for folder in (kept.record.parent, kept.record.parent.parent):
            try:
                folder.rmdir()
            except OSError:
                break  # something else is in it


def found(folder: Path) -> Iterator[Kept]:
    """All evidence in a folder, in no order."""
    for record in folder.glob(f"*/*/*{RECORD}"):
        if not record.name.startswith(UNFINISHED) and (kept := _of(record)) is not None:
            yield kept


def _of(record: Path) -> Kept | None:
    read = read_record(record)
    if read is None:
        return None
    size = sum(file.stat().st_size for file in (record, *_beside(record)) if file.is_file())
    return Kept(read.event.at_ns, record, size)


def _beside(record: Path) -> list[Path]:
    stem = record.name.removesuffix(RECORD)
    return [record.with_name(stem + ending) for ending in (*SUFFIXES, PICTURE)]
