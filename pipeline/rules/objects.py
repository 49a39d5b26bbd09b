"""Who is who over the frames of a camera: tracks, and what becomes of an object when its track breaks off.

A tracker loses an object behind a pillar, or when its camera is away for a moment, and gives it another number
afterwards. Whoever counts numbers counts it twice, and does not see it cross a line that lies behind the pillar. So a
track that begins where an object that was just lost should be by now goes on being that object, if it is of its class
and size. Two objects that are both seen are never made one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.wire import Attribute, FrameResult, TrackedBox

Box = tuple[float, float, float, float]

BRIDGED_S = 2.0
"""So long after it was last seen, an object may go on under another track; it is gone after that."""
NEAR = 0.3
"""How far from where it should be, in sides of a box of its area, and as much again for each second it was away.

In the crowds of MOT17 0.75 makes one of two who stand side by side: at stride 5 counts of a zone were off by 50 %, and
are by 35 %; on the samples, where people walk alone, nothing changes."""
ALIKE = 1.7
"""How many times taller it may be, or less tall."""
STILL = 0.25
"""An object whose box keeps within so much of its height, and STILL_PX, stands."""
STILL_PX = 4.0
PATH_NS, PATH_EVERY_NS = 1_500_000_000, 80_000_000
"""Where an object was is remembered for so long, and so often."""
FIRM = ("detected", "interpolated")
"""Boxes that a detection of this very moment, or one on both sides of it, stands behind."""


class Look(msgspec.Struct, frozen=True):
    """An object at one moment.

    Attributes:
        at_ns: Wall time of the frame's capture.
        xyxy: Its box, px.
        error_px: One standard deviation of where it is.
    """

    at_ns: int
    xyxy: Box
    error_px: float

    @property
    def height_px(self) -> float:
        """Of its box."""
        return self.xyxy[3] - self.xyxy[1]

    @property
    def middle(self) -> tuple[float, float]:
        """Of its box, px."""
        left, top, right, bottom = self.xyxy
        return (left + right) / 2, (top + bottom) / 2


class Seen(msgspec.Struct):
    """An object of a camera, from its first frame until it is gone.

    Attributes:
        object_id: The session and track under which it was first seen.
        session_id: Those under which it is known now.
        track_id: Likewise.
        class_name: Of its newest detection.
        score: Likewise, 0..1.
        first: Where it was first seen for certain.
        last: Where it was last seen for certain.
        before: Where it was seen for certain before that.
        still_ns: Since when it stands.
        still_xy: Where the middle of its box is meanwhile, px.
        seen_ns: When it last had a box of any kind.
        appeared: Whether it came while the camera watched, and was not there when it began.
        velocity_px_s: How its box's edges moved when it was last seen.
        path: Where it was seen for certain of late, the newest last.
        attributes: What second looks have found of it; what an earlier track of it had stays until it is found anew.
    """

    object_id: str
    session_id: str
    track_id: int
    class_name: str
    score: float
    first: Look
    last: Look
    before: Look
    still_ns: int
    still_xy: tuple[float, float]
    seen_ns: int
    appeared: bool
    velocity_px_s: Box = (0.0, 0.0, 0.0, 0.0)
    path: list[Look] = []
    attributes: dict[str, Attribute] = {}

    def look(self, look: Look) -> None:
        """It is seen for certain again."""
        self.before, self.last = self.last, look
        path = self.path
        if not path or look.at_ns - path[-1].at_ns >= PATH_EVERY_NS:
            while path and look.at_ns - path[0].at_ns > PATH_NS:
                del path[0]
            path.append(look)
        middle = look.middle
        moved_px = math.dist(self.still_xy, middle)
        if moved_px > STILL_PX and moved_px > STILL * look.height_px:
            self.still_ns, self.still_xy = look.at_ns, middle

    def where(self, at_ns: int) -> Box:
        """Where its box should be at a later moment."""
        ahead_s = (at_ns - self.last.at_ns) / NS_PER_S
        left, top, right, bottom = [
            edge + ahead_s * speed for edge, speed in zip(self.last.xyxy, self.velocity_px_s, strict=True)
        ]
        return left, top, right, bottom


class Here(msgspec.Struct, frozen=True):
    """An object on this frame; `look` is None where its box is only predicted."""

    seen: Seen
    box: TrackedBox
    look: Look | None

    def glance(self, at_ns: int) -> Look:
        """Where its box says that it is, predicted or not."""
        return self.look or Look(at_ns, self.box.xyxy, self.box.uncertainty_px)


class Objects(msgspec.Struct):
    """All objects of a camera that are there, or were a moment ago; what can be kept on disk as it is.

    Attributes:
        known: By the session and track under which they are known now.
        watched_ns: When the camera last saw anything, boxes or not.
        session_id: Of the newest frame.
        began_ns: When that session began to be watched.
        ahead_ns: Of a recording: from its own time to the clock on the wall, in this session.
    """

    known: dict[str, Seen] = {}
    watched_ns: int = 0
    session_id: str = ""
    began_ns: int = 0
    ahead_ns: int = 0

    def moment(self, result: FrameResult) -> int:
        """Wall time of a frame's capture, ns; asked once for each frame, in their order.

        A recording may be played faster than it was made. Its own time is what lasts in it, and goes on from where the
        clock on the wall was at the first frame.
        """
        own_ns = round(result.pts_s * NS_PER_S)
        if result.session_id != self.session_id or own_ns + self.ahead_ns < self.watched_ns:
            self.ahead_ns = max(result.captured_at_ns, self.watched_ns) - own_ns
        return own_ns + self.ahead_ns if result.capture_clock == "file" else result.captured_at_ns

    def update(self, result: FrameResult, at_ns: int) -> list[Here]:
        """The objects on a frame of this moment, in the order of its boxes; those seen for the first time begin."""
        if result.session_id != self.session_id:
            self.session_id, self.began_ns = result.session_id, at_ns
        self.watched_ns = at_ns
        found: list[Here] = []
        new: list[TrackedBox] = []
        for box in result.tracks:
            seen = self.known.get(_key(result.session_id, box.track_id))
            if seen is None:
                new.append(box)
            else:
                found.append(Here(seen, box, _follow(seen, box, at_ns)))
        # An object begins with what is certain: what a tracker only predicts has been seen before.
        return [*found, *(self._begin(result, box, at_ns) for box in new if box.origin in FIRM)]

    def forget(self) -> Iterator[Seen]:
        """Those that are gone: not seen for so long that nobody takes up where they were."""
        since_ns = self.watched_ns - round(BRIDGED_S * NS_PER_S)
        for key in [key for key, seen in self.known.items() if seen.seen_ns < since_ns]:
            yield self.known.pop(key)

    def _begin(self, result: FrameResult, box: TrackedBox, at_ns: int) -> Here:
        look = Look(at_ns, box.xyxy, box.uncertainty_px)
        key = _key(result.session_id, box.track_id)
        lost = self._lost(box, at_ns)
        if lost is not None:
            seen = self.known.pop(lost)
            seen.session_id, seen.track_id = result.session_id, box.track_id
            self.known[key] = seen
            return Here(seen, box, _follow(seen, box, at_ns))
        appeared = at_ns - self.began_ns > NS_PER_S
        self.known[key] = seen = Seen(
            object_id=key,
            session_id=result.session_id,
            track_id=box.track_id,
            class_name=box.class_name,
            score=box.score,
            first=look,
            last=look,
            before=look,
            still_ns=at_ns,
            still_xy=look.middle,
            seen_ns=at_ns,
            appeared=appeared,
            velocity_px_s=box.velocity_px_s or (0.0, 0.0, 0.0, 0.0),
            path=[look],
            attributes=box.attributes,
        )
        return Here(seen, box, look)

    def _lost(self, box: TrackedBox, at_ns: int) -> str | None:
        """Under which key the object is known that a new box goes on with; None if it is one of its own.

        One that has a box on this frame, be it a predicted one, is not lost: two tracks beside each other would take
        the object from one another in turn, and each time it would have come from where the other was.
        """
        near = {
            key: away
            for key, seen in self.known.items()
            if seen.seen_ns < at_ns and seen.class_name == box.class_name and (away := _away(seen, box, at_ns)) < 1
        }
        return min(near, key=lambda key: near[key]) if near else None


def _follow(seen: Seen, box: TrackedBox, at_ns: int) -> Look | None:
    """Take note of an object's next box."""
    seen.seen_ns = at_ns
    if box.attributes:
        seen.attributes = {**seen.attributes, **box.attributes}
    if box.origin not in FIRM:
        return None
    seen.class_name, seen.score = box.class_name, box.score
    seen.velocity_px_s = box.velocity_px_s or seen.velocity_px_s
    seen.look(Look(at_ns, box.xyxy, box.uncertainty_px))
    return seen.last


def _away(seen: Seen, box: TrackedBox, at_ns: int) -> float:
    """How far a box is from where an object should be, in parts of what is near; 1 and more is another object."""
    gone_s = (at_ns - seen.last.at_ns) / NS_PER_S
    taller = (box.xyxy[3] - box.xyxy[1]) / max(seen.last.height_px, 1.0)
    if gone_s > BRIDGED_S or not 1 / ALIKE < taller < ALIKE:
        return math.inf
    expected, there = seen.where(at_ns), box.xyxy
    side = math.sqrt(max(1.0, (there[2] - there[0]) * (there[3] - there[1])))
    x = (expected[0] + expected[2] - there[0] - there[2]) / 2
    y = (expected[1] + expected[3] - there[1] - there[3]) / 2
    return math.hypot(x, y) / (NEAR * side * (1 + gone_s))


def _key(session_id: str, track_id: int) -> str:
    return f"{session_id}:{track_id}"
