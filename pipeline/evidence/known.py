"""What was published of a camera of late: what is in the pictures of it that are to be covered."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from msgspec.structs import replace

from pipeline.clock import NS_PER_S
from pipeline.wire import FrameResult

KEEP_S = 25.0
"""Longer than any picture is looked at again that belongs to no case: see `sights.REMEMBERED_S`."""
LATE_S = 10.0
"""How late an event may be told, and its clip still begins before it."""


class Known:
    """Its latest results, with the boxes of some classes. Not thread-safe."""

    def __init__(self, classes: Collection[str], before_s: float = 0.0) -> None:
        """Nothing was heard yet.

        Args:
            classes: Whose boxes matter; where there are none, nothing is kept.
            before_s: How long before an event a clip begins.
        """
        self._classes, self._keep_s = frozenset(classes), max(KEEP_S, before_s + LATE_S)
        self._results: deque[FrameResult] = deque()

    @property
    def matters(self) -> bool:
        """Whether anything has to be known."""
        return bool(self._classes)

    @property
    def newest_ns(self) -> int:
        """Capture of the newest frame of which something was heard; 0 of none."""
        return self._results[-1].captured_at_ns if self._results else 0

    def hear(self, result: FrameResult) -> None:
        """One more."""
        if self._classes:
            boxes = tuple(box for box in result.tracks if box.class_name in self._classes)
            self._results.append(replace(result, tracks=boxes))

    def forget(self, needed_ns: int) -> None:
        """Let go of what is old and was captured before what is still needed."""
        oldest_ns = min(needed_ns, self.newest_ns - round(self._keep_s * NS_PER_S))
        while self._results and self._results[0].captured_at_ns < oldest_ns:
            self._results.popleft()

    @property
    def all(self) -> list[FrameResult]:
        """All that is kept, as it came."""
        return list(self._results)
