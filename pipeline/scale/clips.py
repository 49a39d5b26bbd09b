"""A clip on its way from the machine that keeps a camera's second stream to the one where its user is."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder
from pipeline.errors import ControlError
from pipeline.fleet import Fleet

MOST_BYTES = 64 << 20
"""A clip passes in one piece: a minute of 8 Mbit/s. Ray keeps what is over 100 KB in its nodes' shared memory."""
MOST_AT_ONCE = 2
"""Clips that a shard writes at a time."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A clip and its file.

    Attributes:
        clip: What is in it; its path says nothing here.
        body: What the file says.
    """

    clip: Clip
    body: bytes = field(repr=False)

    def put(self, order: ClipOrder) -> Clip:
        """Write it where it was ordered to.

        Raises:
            ControlError: There is no room.
        """
        try:
            order.path.write_bytes(self.body)
        except OSError as error:
            raise ControlError(f"the clip cannot be written: {error.strerror}") from None
        return replace(self.clip, path=str(order.path))


class Cutter:
    """Cuts clips out of what the cameras of a shard keep; may be called from any thread, and blocks."""

    def __init__(self) -> None:
        """Nothing is cut yet."""
        self._room = threading.Semaphore(MOST_AT_ONCE)

    def cut(self, fleet: Fleet, camera_id: str, order: ClipOrder) -> Cut:
        """What was kept of that time; of the order's path only the ending is meant.

        Raises:
            ControlError: Nothing is kept of that time, it is too large to pass, or too many are being cut.
        """
        if not self._room.acquire(blocking=False):
            raise ControlError(f"{MOST_AT_ONCE} clips are being written on that machine; try again in a moment")
        try:
            with tempfile.TemporaryDirectory(prefix="clip-") as folder:
                file = Path(folder) / f"clip{order.path.suffix}"
                clip = fleet.clip(camera_id, file, from_ns=order.from_ns, to_ns=order.to_ns)
                _require_small(file)
                return Cut(clip, file.read_bytes())
        finally:
            self._room.release()


def _require_small(file: Path) -> None:
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise ControlError(
            f"the clip has {size >> 20} MB, and {MOST_BYTES >> 20} MB pass between machines; ask for fewer seconds"
        )
