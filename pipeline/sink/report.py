"""What a sink says of itself, in a small file of the run, for `camfleet status`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from pipeline.foreign import UNREADABLE
from pipeline.wire import Count, Number


class SinkFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How a sink does; all but `detail` is also published, as `pipeline.wire.SinkState`.

    Attributes:
        waiting: Messages that wait on disk.
        waiting_bytes: What they take there.
        lag_s: How long ago the oldest of them came, s; 0 if none waits.
        written: Messages that its place has taken since the process began.
        lost: Messages of this run that gave way to newer ones, or that its place will never take.
        missed: Messages that were published and never reached it.
        detail: What is wrong, in one sentence, secrets masked; empty while all is well.
    """

    waiting: Count = 0
    waiting_bytes: Count = 0
    lag_s: Number = 0.0
    written: Count = 0
    lost: Count = 0
    missed: Count = 0
    detail: str = ""

    @property
    def words(self) -> str:
        """For people, in one line."""
        parts = [f"{self.waiting} waiting"]
        parts += [f"{self.lag_s:.1f} s behind"] if self.waiting else []
        parts += [f"{self.lost} lost"] if self.lost else []
        parts += [f"{self.missed} missed"] if self.missed else []
        return ", ".join(parts) + (f": {self.detail}" if self.detail else "")


def write_figures(path: Path, figures: SinkFigures) -> None:
    """Replace the file; where that cannot be done, what was said last stays."""
    beside = path.with_name(f".{path.name}")
    with suppress(OSError):
        beside.write_bytes(msgspec.json.encode(figures))
        beside.replace(path)


def read_figures(path: Path) -> SinkFigures | None:
    """What the sink has said last; None if nothing yet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SinkFigures)
    except OSError:
        return None
    except UNREADABLE:
        return None
