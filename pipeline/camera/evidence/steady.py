"""A stream's times without what single pictures were held up on their way.

The problem: where a camera's clock is not believed, a picture's time is that of its arrival. A key frame is larger than
its neighbours and comes later than they do; a busy machine or network holds up any of them, by tens of ms and more.

The policy: pictures are as far apart as the stream's own stamps say, and as late as the quickest of the latest `WINDOW`
are; under load, most are late. By how much single ones are later than that is told, too. Pure arithmetic.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from pipeline.clock import NS_PER_S

WINDOW = 250
"""Pictures: ten seconds of a usual camera; a clock that drifts by 50 ppm is half a millisecond off in that time."""
JUMP_S = 2.0
"""A stamp that differs by so much from what the others say is that of another connection."""
_SHARE = 0.95


class SteadyTime:
    """Of one stream. Thread-safe.

    Example:
        >>> time = SteadyTime()
        >>> for number, came_ms in enumerate((7230, 7040, 7090, 7120, 7160)):
        ...     time.see(number * 0.04, came_ms * 1_000_000)
        >>> time.at_ns(0.08) / 1e6
        7080.0
    """

    def __init__(self) -> None:
        """Nothing came so far."""
        self._late_ns: deque[int] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()

    def see(self, pts_s: float, came_ns: int) -> None:
        """One more picture.

        Args:
            pts_s: By the stream's own stamp, s.
            came_ns: When it came, wall time, ns since 1970-01-01 UTC.
        """
        late_ns = came_ns - round(pts_s * NS_PER_S)
        with self._lock:
            if self._late_ns and abs(late_ns - self._late_ns[-1]) > JUMP_S * NS_PER_S:
                self._late_ns.clear()
            self._late_ns.append(late_ns)

    @property
    def is_known(self) -> bool:
        """Whether something came."""
        return bool(self._late_ns)

    def at_ns(self, pts_s: float) -> int:
        """When a picture would have come had nothing held it up; wall time, ns since 1970-01-01 UTC."""
        return round(pts_s * NS_PER_S) + self._quick_ns(self._ascending)

    @property
    def jitter_s(self) -> float:
        """How much later than that nineteen of twenty pictures came, at most, s."""
        late_ns = self._ascending
        if not late_ns:
            return 0.0
        return (late_ns[int(_SHARE * (len(late_ns) - 1))] - self._quick_ns(late_ns)) / NS_PER_S

    @property
    def _ascending(self) -> list[int]:
        with self._lock:
            return sorted(self._late_ns)

    @staticmethod
    def _quick_ns(ascending: Sequence[int]) -> int:
        """The second: the very quickest may be one whose stamp is wrong.

        Not a share of them: of pictures that are sent in another order than they are shown in, few are the first.
        """
        return ascending[min(1, len(ascending) - 1)]
