"""What files a path stands for, and of which kind they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from pipeline.errors import SinkError

PART = ".part"
"""Ends the name of a file that a sink is writing, or was when it was killed."""


_MOT_NOTE = "MOTChallenge's format has neither times nor frames without objects: those are not counted"


class Kind(Enum):
    """What is in a file."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    MOT = "txt"


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one kind.

    Attributes:
        path: What was asked for.
        kind: What they hold.
        closed: Those that are whole.
        open: Those of which the last line may be half there.
        notes: What was left out, in a sentence each.
    """

    path: Path
    kind: Kind
    closed: list[Path]
    open: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def files_at(path: Path, kinds: Collection[Kind] = tuple(Kind)) -> Files:
    """The file at this path, or the files in this folder and the folders in it.

    Args:
        path: Of a file or folder.
        kinds: Which are looked for; all others are not seen.

    Raises:
        SinkError: There is nothing, nothing that camfleet writes, or more than one kind.
    """
    if not path.exists():
        raise SinkError(f"{path}: there is no such file or folder")
    try:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
    except OSError as error:
        raise SinkError(f"{path}: the folder cannot be read: {error.strerror}") from None
    by_kind = {one: kind for one in found if (kind := _kind_of(one)) in kinds and kind and one.is_file()}
    there = set(by_kind.values())
    if not there:
        raise SinkError(
            f"{path}: {_nothing(path)}; expected {', '.join(f'.{kind.value}' for kind in kinds)} or a database"
        )
    if len(there) > 1:
        raise SinkError(f"{path}: the folder has {_counted(by_kind.values())}; name the files of one kind")
    kind = there.pop()
    unfinished = [one for one in by_kind if one.suffix == PART]
    closed = [one for one in by_kind if one.suffix != PART]
    if kind in (Kind.JSONL, Kind.CSV):
        return Files(path, kind, closed, unfinished)
    if not closed:
        raise SinkError(f"{path}: what is there is still being written; its {kind.name} is readable once it is closed")
    notes = [_MOT_NOTE] if kind is Kind.MOT else []
    if unfinished:
        notes.append(f"left out, since still being written: {', '.join(one.name for one in unfinished)}")
    return Files(path, kind, closed, notes=notes)


def _kind_of(path: Path) -> Kind | None:
    suffix = (path.with_suffix("") if path.suffix == PART else path).suffix.lower()
    return next((kind for kind in Kind if suffix == f".{kind.value}"), None)


def _nothing(path: Path) -> str:
    return "there are no results in the folder" if path.is_dir() else f"“{path.suffix}” is no kind of results"


def _counted(kinds: Iterable[Kind]) -> str:
    return " and ".join(f"{count} of .{kind.value}" for kind, count in Counter(kinds).most_common())
