"""What became of every frame of a session, and the one number that outlives a worker.

A worker that is killed takes its counts with it. What it had published last stays in the camera's ledger, two
integers in a small mapped file of the run's directory, so that its successor can say exactly which frames nobody saw.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipeline.wire import Counts

_ENTRY = struct.Struct("qq")


class FileLedger:
    """Which frame of a camera comes next, remembered across workers. One worker writes at a time."""

    def __init__(self, file: Path) -> None:
        """Open the camera's ledger, making it where it is not yet."""
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with file.open("a+b") as opened:
            if file.stat().st_size < _ENTRY.size:
                opened.truncate(_ENTRY.size)
            self._memory = mmap.mmap(opened.fileno(), _ENTRY.size)

    def next_frame(self, session: int) -> int:
        """The first frame of this session that no worker has accounted for."""
        known, following = _ENTRY.unpack_from(self._memory)
        return following if known == session else 0

    def account(self, session: int, frame_id: int) -> None:
        """Every frame up to `frame_id` is accounted for."""
        _ENTRY.pack_into(self._memory, 0, session, frame_id + 1)

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._memory.close()


class Account:
    """The books of one session: decoded = detected + filled + lost, after every frame."""

    def __init__(self) -> None:
        self._detected = 0
        self._filled: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._lost_since: Counter[str] = Counter()

    def detect(self) -> None:
        """The detector ran on the next frame."""
        self._detected += 1

    def fill(self, reason: str) -> None:
        """It did not, because of `reason`, and the frame is published all the same."""
        self._filled[reason] += 1

    def lose(self, lost: Mapping[str, int]) -> None:
        """So many frames, by cause, are never published."""
        if lost:
            self._lost.update(lost)
            self._lost_since.update(lost)

    def counts(self, decoded: int) -> Counts:
        """Totals so far, beside the number of frames the camera says it has decoded."""
        return Counts(
            decoded=decoded,
            detected=self._detected,
            filled=dict(self._filled),
            lost=dict(self._lost),
        )

    def lost_since(self) -> dict[str, int]:
        """Frames lost since this was last asked, by cause."""
        if not self._lost_since:
            return {}
        lost, self._lost_since = dict(self._lost_since), Counter()
        return lost
