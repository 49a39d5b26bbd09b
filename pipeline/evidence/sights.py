"""Where the object of an event was seen, and which of these pictures are worth looking at: pure arithmetic."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.wire import FrameResult, first_frame_of

MOST = 6
"""Pictures of an object that are compared; each is decoded with what its key frame begins."""
SPAN_MS = 200.0
"""Pictures within such a span of time show the same."""
REMEMBERED_S = 20.0
"""An event is told with the detection that shows it, seconds after it began."""

Track = tuple[str, int]
"""Session id and track id."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sight:
    """An object on a frame on which it was detected.

    Attributes:
        at_ns: Wall time of the frame's capture, ns since 1970-01-01 UTC.
        pts_s: The stream's own time of it.
        frame: The camera's numbers of session and frame.
        session_id: Of the frame.
        frame_id: In that session id.
        frame_wh: Its size, px.
        xyxy: The object, px of that frame; None where it is about none.
        score: 0..1.
    """

    at_ns: int
    pts_s: float
    frame: tuple[int, int]
    session_id: str
    frame_id: int
    frame_wh: tuple[int, int]
    xyxy: Box | None = None
    score: float = 0.0

    @property
    def worth(self) -> float:
        """How much there is to see, before its picture is looked at: the larger and the more certain, the more."""
        if self.xyxy is None:
            return 0.0
        left, top, right, bottom = self.xyxy
        width, height = self.frame_wh
        # What is cut off by the edge of the picture is not seen.
        inside = max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(bottom, height) - max(top, 0.0))
        return inside * self.score


class Best:
    """The most promising sights of one object."""

    def __init__(self) -> None:
        """None so far."""
        self.sights: list[Sight] = []

    def see(self, sight: Sight) -> None:
        """One more; of each fifth of a second the best counts."""
        by_span = {_span(one): one for one in self.sights}
        before = by_span.get(_span(sight))
        if before is None or before.worth < sight.worth:
            by_span[_span(sight)] = sight
            self.sights = sorted(by_span.values(), key=lambda one: one.worth, reverse=True)[:MOST]


def _span(sight: Sight) -> int:
    return sight.at_ns // round(SPAN_MS * NS_PER_MS)


class Frames:
    """A camera's latest detected frames, for events that are told later than they began."""

    def __init__(self) -> None:
        """None so far."""
        self._frames: deque[FrameResult] = deque()

    def see(self, frame: FrameResult) -> None:
        """One more, if the detector ran on it."""
        if frame.origin != "detected":
            return
        self._frames.append(frame)
        while frame.captured_at_ns - self._frames[0].captured_at_ns > REMEMBERED_S * NS_PER_S:
            self._frames.popleft()

    def of(self, tracks: Iterable[Track], from_ns: int) -> list[Sight]:
        """Where these tracks, one object, were seen from then on."""
        wanted = set(tracks)
        return [sight for frame in self._frames if frame.captured_at_ns >= from_ns for sight in seen(frame, wanted)]

    def nearest(self, at_ns: int) -> Sight | None:
        """The frame nearest to a time; None where there is none."""
        near = min(self._frames, key=lambda frame: abs(frame.captured_at_ns - at_ns), default=None)
        return None if near is None else _sight(near)


def seen(frame: FrameResult, tracks: set[Track]) -> list[Sight]:
    """Where these tracks were detected on a frame."""
    return [
        _sight(frame, box.xyxy, box.score)
        for box in frame.tracks
        if box.origin == "detected" and (frame.session_id, box.track_id) in tracks
    ]


def _sight(frame: FrameResult, xyxy: Box | None = None, score: float = 0.0) -> Sight:
    number = frame.session, first_frame_of(frame.session_id) + frame.frame_id
    return Sight(
        frame.captured_at_ns, frame.pts_s, number, frame.session_id, frame.frame_id, frame.frame_wh, xyxy, score
    )


def by_worth(sights: Iterable[Sight], scores: Mapping[Sight, float]) -> Sight | None:
    """The best by its worth and how sharp it turned out to be; None of none."""
    return max((one for one in sights if one in scores), key=lambda one: scores[one] * max(one.worth, 1), default=None)
