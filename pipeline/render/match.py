"""Which result belongs to which frame of a recording; no more than two of them are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.wire import FrameResult

Place = Callable[[FrameResult], float]
"""Where a result belongs: its time in the recording, or the number of its frame."""


class Matcher:
    """Walks along the results as the recording's frames come, both in ascending order."""

    def __init__(self, results: Iterator[FrameResult], place: Place, within: float) -> None:
        """Frames and results belong together that lie no further apart than `within`."""
        self._results, self._place, self._within = results, place, within
        self._next = next(results, None)
        self.unused = 0

    def at(self, place: float) -> FrameResult | None:
        """The result of the frame there; None where there is none. Each is given once."""
        found: FrameResult | None = None
        while self._next is not None and self._place(self._next) <= place + self._within:
            if found is not None and self._away(found, place) <= self._away(self._next, place):
                break
            self.unused += found is not None
            found, self._next = self._next, next(self._results, None)
        if found is not None and self._away(found, place) > self._within:
            self.unused += 1
            return None
        return found

    def finish(self) -> int:
        """How many results have no frame, once all frames have come."""
        while self._next is not None:
            self._next = next(self._results, None)
            self.unused += 1
        return self.unused

    def _away(self, result: FrameResult, place: float) -> float:
        return abs(self._place(result) - place)
