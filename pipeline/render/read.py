"""Results back from where a reader or a sink has put them: the one seam for all that reads them one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.errors import RenderError
from pipeline.foreign import UNREADABLE
from pipeline.wire import FrameResult

Reader = Callable[[Path, str | None], Iterator[FrameResult]]


class _Kind(msgspec.Struct):
    kind: str = FrameResult.kind
    camera_id: str = ""


def read_results(path: Path, camera: str | None = None) -> Iterator[FrameResult]:
    """The frames of one camera, or of all, one by one in the order in which they were kept.

    Args:
        path: JSON lines, as `camfleet subscribe --json` prints them; or a folder of such files, as a sink writes them.
        camera: Its name; None for all.

    Raises:
        RenderError: It cannot be read, or something in it is no frame of camfleet.
    """
    if path.is_dir():
        for part in _files_in(path):
            yield from read_results(part, camera)
        return
    if path.exists() and not path.is_file():
        raise RenderError(f"{path} is no file; write what comes to one, since results are read twice")
    yield from READERS.get(path.suffix.lower(), _read_lines)(path, camera)


def _files_in(folder: Path) -> list[Path]:
    """By name, which tells when they were begun; those that are still written, too."""
    found = [path for path in folder.iterdir() if path.name.endswith((".jsonl", ".jsonl.part"))]
    if not found:
        raise RenderError(f"{folder} has no file of results in it; expected names that end in .jsonl")
    return sorted(found, key=_in_turn)


def _in_turn(path: Path) -> list[tuple[int, str]]:
    """Numbers as numbers: the second file of a second ends in -1, the eleventh in -10."""
    name = path.name.partition(".jsonl")[0]
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


READERS: dict[str, Reader] = {}
"""How else results are kept, by the suffix of the file; whatever is not named here is JSON lines."""
