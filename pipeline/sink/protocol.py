"""What a sink is: the seam between the process that reads a fleet's messages and the place they are kept in.

An adapter is a module with one function, `open_sink(settings, place)`, that gives a `Sink`; the library it needs is
imported there and nowhere else. Reading, choosing, waiting and trying again are not its business: the sink's process
(`process.py`) keeps messages in a spool on disk until `write` has returned for them, and gives a batch that failed once
more, to the same sink or to one that was opened anew. So every sink gets each message at least once, and one that must
not have it twice looks at (camera_id, session_id, frame_id), which no other frame has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import SinkError
from pipeline.wire import Message


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sink belongs.

    Attributes:
        name: The sink's name in the fleet file; in the log, and in what it makes.
        fleet: The fleet's name.
        directory: What relative paths in its settings begin at: the fleet file's folder.
    """

    name: str
    fleet: str
    directory: Path


class Sink(Protocol):
    """Somewhere results are kept. Used from one thread."""

    def write(self, batch: Sequence[Message]) -> None:
        """Keep these, in their order; they are safe once it returns. Blocks.

        Args:
            batch: `FrameResult`, `CameraState` and `FleetState`, already reduced to what was asked for; a sink leaves
                out kinds that it has no place for.

        Raises:
            SinkError: The place is away or refuses; the same batch comes again, after a pause.
        """
        ...

    def tick(self) -> None:
        """Called about once a second, between batches: rotate a file, say that one is alive.

        Raises:
            SinkError: As in `write`.
        """
        ...

    def close(self) -> None:
        """Finish what is open; never raises for a place that is gone."""
        ...


class Refused(SinkError):
    """The place will never take some messages of this batch; the rest of it is safe.

    They are counted as lost, with the reason, and the next batch comes.
    """

    def __init__(self, reason: str, messages: int) -> None:
        """Say why, and how many."""
        super().__init__(reason)
        self.messages = messages
