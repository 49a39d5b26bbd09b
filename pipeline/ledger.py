"""Which frame of a camera comes next: two short entries in a file of the run's directory, which outlives every worker.

A worker that is killed takes its counts with it, and the messages that were still in its memory. So the publisher
notes in the ledger what it has received, and a successor can say exactly which frames nobody saw. A worker that lives
and hands its camera over notes what it has sent, some of which may still be on its way.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_ENTRY = struct.Struct("qq")
"""A session, and the first of its frames that is not accounted for."""
_RECEIVED, _HANDED_OVER = 0, _ENTRY.size
_SIZE = 2 * _ENTRY.size


class FileLedger:
    """A camera's ledger, as its worker sees it. One worker writes at a time."""

    def __init__(self, file: Path) -> None:
        """Open the camera's ledger, making it where it is not yet."""
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with file.open("a+b") as opened:
            if file.stat().st_size < _SIZE:
                opened.truncate(_SIZE)
            self._memory = mmap.mmap(opened.fileno(), _SIZE)

    def next_frame(self, session: int) -> int:
        """The first frame of this session that no worker has accounted for."""
        entries = (_ENTRY.unpack_from(self._memory, at) for at in (_RECEIVED, _HANDED_OVER))
        return max((following for known, following in entries if known == session), default=0)

    def hand_over(self, session: int, following: int) -> None:
        """Be done with the session here; `following` is the first frame that has not been sent."""
        _ENTRY.pack_into(self._memory, _HANDED_OVER, session, following)

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._memory.close()


def receipt(session: int, frame_id: int) -> bytes:
    """What `note` takes: every frame up to `frame_id`, by the camera's count, has been received."""
    return _ENTRY.pack(session, frame_id + 1)


def note(file: Path, receipt: bytes) -> None:
    """Write a receipt into a camera's ledger; of a camera that has left there is none, and nothing to note."""
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.pwrite(opened, receipt, _RECEIVED)
    finally:
        os.close(opened)
