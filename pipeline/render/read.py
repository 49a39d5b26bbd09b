"""Results back from the files that a reader or a sink has put them in, one by one."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.errors import RenderError, SinkError
from pipeline.foreign import UNREADABLE
from pipeline.render.rows import read_csv, read_parquet
from pipeline.results.files import PART, Kind, files_at
from pipeline.wire import FrameResult

Reader = Callable[[Path, str | None], Iterator[FrameResult]]


class _Kind(msgspec.Struct):
    kind: str = FrameResult.kind
    camera_id: str = ""


def read_results(path: Path, camera: str | None = None) -> Iterator[FrameResult]:
    """The frames of one camera, or of all, one by one in the order in which they were kept.

    Args:
        path: JSON lines, as `camfleet subscribe --json` prints them; CSV or Parquet of a sink; or a folder of files of
            one kind, as a sink writes them.
        camera: Its name; None for all.

    Raises:
        RenderError: It cannot be read, or something in it is no frame of camfleet.
        SinkError: It is no text, or the library that reads it is not installed.
    """
    for file in _files_in(path) if path.is_dir() else [path]:
        if file.exists() and not file.is_file():
            raise RenderError(f"{file} is no file; write what comes to one, since results are read twice")
        yield from READERS.get(_whole(file).suffix.lower(), _read_lines)(file, camera)


def _files_in(folder: Path) -> list[Path]:
    """By name, which tells when they were begun; those that are still written too, where they can be read."""
    try:
        found = files_at(folder, (Kind.JSONL, Kind.CSV, Kind.PARQUET))
    except SinkError as error:
        raise RenderError(str(error)) from None
    return sorted((*found.closed, *found.open), key=_in_turn)


def _whole(path: Path) -> Path:
    """What a file is called once nobody writes it."""
    return path.with_suffix("") if path.suffix == PART else path


def _in_turn(path: Path) -> list[tuple[int, str]]:
    """Numbers as numbers: the second file of a second ends in -1, the eleventh in -10."""
    name = str(_whole(path).with_suffix(""))
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _read_lines(path: Path, camera: str | None) -> Iterator[FrameResult]:
    kinds, frames = msgspec.json.Decoder(_Kind), msgspec.json.Decoder(FrameResult)
    number, line = 0, b""
    try:
        with path.open("rb") as lines:
            for line in lines:
                number += 1
                head = kinds.decode(line) if line.strip() else None
                if head is not None and head.kind == FrameResult.kind and camera in (None, head.camera_id):
                    yield frames.decode(line)
    except OSError as error:
        raise RenderError(f"{path} cannot be read: {error.strerror}") from None
    except UNREADABLE as error:
        if number > 1 and not line.endswith(b"\n"):
            return  # Whoever wrote it was ended in the midst of its last line.
        raise RenderError(
            f"{path}, line {number}: no frame of camfleet ({error}); expected a line for each, as “camfleet subscribe "
            "--json” prints them"
        ) from None


def _read_text(path: Path, camera: str | None) -> Iterator[FrameResult]:
    """JSON lines under a name that a sink gives to MOTChallenge's."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(1).isdigit():
            raise RenderError(
                f"{path}: MOTChallenge's format has neither times nor frames without objects, so that it is not drawn; "
                "let a sink keep JSON lines, CSV, Parquet or a database"
            )
    yield from _read_lines(path, camera)


READERS: dict[str, Reader] = {".csv": read_csv, ".parquet": read_parquet, ".txt": _read_text}
"""How else results are kept, by the suffix of the file; whatever is not named here is JSON lines."""
