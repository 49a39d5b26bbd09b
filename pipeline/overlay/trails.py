"""Where objects came from: the last seconds of each, as lines that fade."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.wire import FrameResult

SECONDS = 2.0
_REACH = 5
"""Neighbours on either side; a fifth of a second at 25 frames a second."""


@dataclass(frozen=True, slots=True)
class Trail:
    """The way of one object.

    Attributes:
        track_id: Whose.
        class_id: Of which class.
        points: x and y in pixels of the source picture, and the age as a share of the trail's length in 0..1; oldest
            first.
    """

    track_id: int
    class_id: int
    points: tuple[tuple[float, float, float], ...]


class Trails:
    """Remembers where the objects of one camera stood. Not thread-safe; memory is bounded by `seconds`.

    Example:
        trails = Trails()
        for picture, result in …:
            draw(picture, result, trails=trails)
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        """An object's last `seconds`, in stream time; 0 draws none."""
        self._seconds = seconds
        self._session, self._now_s = "", 0.0
        self._ways: dict[int, tuple[int, deque[tuple[float, float, float]]]] = {}

    def follow(self, result: FrameResult) -> list[Trail]:
        """The trails up to this frame, oldest objects first; frames come in their order."""
        session = result.session_id.partition(".")[0]
        if session != self._session or result.pts_s < self._now_s:
            self._ways.clear()
        self._session, self._now_s = session, result.pts_s
        for box in result.tracks:
            left, _, right, bottom = box.xyxy
            _, way = self._ways.setdefault(box.track_id, (box.class_id, deque()))
            way.append(((left + right) / 2, bottom, result.pts_s))
        return [self._trail(track_id, *way) for track_id, way in self._fresh().items()]

    def _fresh(self) -> dict[int, tuple[int, deque[tuple[float, float, float]]]]:
        """The ways without what is too old."""
        oldest_s = self._now_s - self._seconds
        for _, way in self._ways.values():
            while way and way[0][2] <= oldest_s:
                way.popleft()
        self._ways = {track_id: known for track_id, known in self._ways.items() if known[1]}
        return self._ways

    def _trail(self, track_id: int, class_id: int, way: deque[tuple[float, float, float]]) -> Trail:
        ages = ((self._now_s - at_s) / self._seconds for _, _, at_s in way)
        return Trail(track_id, class_id, tuple((x, y, age) for (x, y), age in zip(_smooth(way), ages, strict=True)))


def _smooth(way: Iterable[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Each point as the mean of its neighbours, of as many before as behind it; the ends are where they are.

    A box moves by a pixel or two from frame to frame although its object stands.
    """
    points = list(way)
    xs, ys = ([0.0, *itertools.accumulate(point[axis] for point in points)] for axis in (0, 1))
    count = len(xs) - 1
    reaches = [min(_REACH, number, count - 1 - number) for number in range(count)]
    return [(_mean(xs, at, reach), _mean(ys, at, reach)) for at, reach in enumerate(reaches)]


def _mean(sums: list[float], at: int, reach: int) -> float:
    return (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1)
