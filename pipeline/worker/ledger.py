"""What became of every frame of a session, and the one number that outlives a worker.

A worker that is killed takes its counts with it. What it had published last stays in `Ledger`, a few integers of memory
that the supervisor owns, so that its successor can say exactly which frames nobody saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from ctypes import Array, c_int64

from pipeline.wire import Counts

LedgerMemory = Array[c_int64]
"""Two int64 a camera: the camera's session, and the first of its frames that is not accounted for."""


class Ledger:
    """Which frame of each camera comes next, remembered across workers."""

    def __init__(self, memory: LedgerMemory) -> None:
        self._memory = memory

    @staticmethod
    def size(cameras: int) -> int:
        """How many int64 so many cameras need."""
        return 2 * cameras

    def next_frame(self, camera_index: int, session: int) -> int:
        """The first frame of this session that no worker has accounted for."""
        known, following = self._memory[2 * camera_index : 2 * camera_index + 2]
        return following if known == session else 0

    def settle(self, camera_index: int, session: int, frame_id: int) -> None:
        """Every frame up to `frame_id` is accounted for."""
        self._memory[2 * camera_index + 1] = frame_id + 1
        self._memory[2 * camera_index] = session


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

    def take_lost(self) -> dict[str, int]:
        """Frames lost since this was last asked, by cause."""
        lost, self._lost_since = dict(self._lost_since), Counter()
        return lost
