"""What is known of the moment of a picture that is none of the frames that results speak of."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.wire import FrameResult

_LEAST_MS, _UNKNOWN_MS = 50.0, 500.0
"""By how much a picture's moment may be off: never less than the first, and the second where nobody knows."""
_APART_NS = NS_PER_S
"""Results further from a picture than boxes live say nothing of it."""


def off_ns(error_ms: float | None) -> int:
    """How far from a picture's moment it is looked up what is in it; `error_ms` is None where nobody knows."""
    return round(NS_PER_MS * (_UNKNOWN_MS if error_ms is None else max(_LEAST_MS, error_ms)))


class Moments:
    """Results of one camera, to be asked for those around a moment."""

    def __init__(self, results: Iterable[FrameResult]) -> None:
        """In any order."""
        self._results = sorted(results, key=lambda result: result.captured_at_ns)
        self._at_ns = [result.captured_at_ns for result in self._results]

    def end(self, at_ns: int, within_ns: int) -> bool:
        """Whether this moment is behind the last result: who has come since, nobody knows."""
        return not self._at_ns or at_ns > self._at_ns[-1] + within_ns

    def around(self, at_ns: int, within_ns: int) -> list[FrameResult]:
        """All results that may be of this moment, and the nearest before and after; empty where none is near.

        Behind the last result, its boxes are carried on besides.

        Args:
            at_ns: Wall time by the clock of the camera's frames, ns since 1970-01-01 UTC.
            within_ns: How far that may be off.
        """
        begin = max(0, bisect_left(self._at_ns, at_ns - within_ns) - 1)
        end = bisect_right(self._at_ns, at_ns + within_ns) + 1
        near = [one for one in self._results[begin:end] if abs(one.captured_at_ns - at_ns) <= _APART_NS + within_ns]
        if near and near[-1].captured_at_ns < at_ns:
            near.append(at_capture(near[-1], at_ns))
        return near


def at_capture(result: FrameResult, captured_at_ns: int) -> FrameResult:
    """The objects of a frame where they are presumed when a later picture of the camera is captured.

    Args:
        result: What is known of a frame.
        captured_at_ns: The picture's capture by the clock of the camera's frames, ns since 1970-01-01 UTC.
    """
    since_ns = captured_at_ns - result.captured_at_ns
    return result.at(result.published_at_ns - round(result.age_ms * NS_PER_MS) + since_ns)
