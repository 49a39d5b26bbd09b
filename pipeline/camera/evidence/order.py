"""A clip, ordered by the supervisor and written by the camera's process, which has the packets.

The camera's sandbox lets it write to the run's folder only; the supervisor fetches the file there.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline.camera.evidence.keeper import Clip, EvidenceKeeper
from pipeline.clock import NS_PER_S
from pipeline.errors import ControlError, SourceError

CLIP_S = 30.0
"""How long a clip may take to be written that shows a moment."""
_COVERED = 6.0
"""How many times as long as it shows one may take besides, if it has to be covered and encoded anew."""
_LOOK_S = 0.02
"""The reply is a file of another process, which nobody is told of; a clip is ordered by hand and takes longer."""


@dataclass(frozen=True, slots=True)
class ClipOrder:
    """Write what was captured of the camera's second stream.

    Attributes:
        path: Of the file, in the run's folder.
        from_ns: Wall time of the beginning, ns since 1970-01-01 UTC.
        to_ns: And of the end; in the past.
    """

    path: Path
    from_ns: int
    to_ns: int

    @property
    def wait_s(self) -> float:
        """How long it may take, s."""
        return CLIP_S + _COVERED * max(0, self.to_ns - self.from_ns) / NS_PER_S

    @property
    def reply(self) -> Path:
        """The file that tells what became of it."""
        return self.path.with_name(f"{self.path.name}.json")


class _Reply(msgspec.Struct, frozen=True):
    """A clip, or why there is none."""

    clip: Clip | None = None
    error: str = ""


def carry_out(order: ClipOrder, keeper: EvidenceKeeper) -> None:
    """Begin to write, in a thread of its own: a long clip must not hold up the pictures."""
    threading.Thread(target=_write, args=(order, keeper), name="clip", daemon=True).start()


def wait_for(order: ClipOrder, timeout_s: float) -> Clip:
    """What was written; blocks.

    Raises:
        ControlError: Nothing could be, or not in time.
    """
    give_up_s = time.monotonic() + timeout_s
    while not order.reply.exists():
        if time.monotonic() > give_up_s:
            raise ControlError(f"the camera's process wrote nothing in {timeout_s:g} s; the fleet's log may say why")
        time.sleep(_LOOK_S)
    reply = msgspec.json.decode(order.reply.read_bytes(), type=_Reply)
    order.reply.unlink()
    if reply.clip is None:
        raise ControlError(reply.error)
    return reply.clip


def _write(order: ClipOrder, keeper: EvidenceKeeper) -> None:
    try:
        reply = _Reply(clip=keeper.write(order.path, order.from_ns, order.to_ns))
    except SourceError as error:
        reply = _Reply(error=str(error))
    half_written = order.reply.with_suffix(".part")
    half_written.write_bytes(msgspec.json.encode(reply))
    half_written.replace(order.reply)
