"""What is known of one object on one frame, and of where it is a little later.

Whoever uses a result uses it later than its frame was captured, and what is in it has moved on meanwhile. Against exact
boxes of the moment of use, age costs more than all else (streaming perception: Li, Wang, Ramanan, ECCV 2020,
arXiv:2005.10420), and most of that can be had back for nothing: the tracker knows how fast each object moves.
"""

from __future__ import annotations

import math

import msgspec
from msgspec.structs import replace

from pipeline.wire.values import BoxOrigin, Count, Number

LONGEST_MS = 1000.0
"""So long after it was last detected an object has a box, as in the tracker; after that nothing is known of it."""
STRAYS = 0.3
"""Heights per √s that an object strays from a steady course, as in the tracker's filter."""


class Attribute(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a second look found at an object.

    Attributes:
        label: What the second model calls it, such as `red`.
        score: 0..1, of that look.
        xyxy: Where on the picture that was looked at, in pixels of the source picture, if the second model finds boxes;
            None where it speaks of the object as a whole.
        looked_at_s: Stream time of that picture, s: the `pts_s` of its frame.
    """

    label: str
    score: Number
    xyxy: tuple[Number, Number, Number, Number] | None = None
    looked_at_s: Number = 0.0


class TrackedBox(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object on one frame.

    Attributes:
        track_id: From 1; means something within (camera_id, session_id) only.
        class_id: Index into the model's class names.
        class_name: The model's name of the class.
        score: 0..1, of the last detection.
        xyxy: Left, top, right, bottom in pixels of the source picture.
        origin: How this box came to be.
        since_detected_ms: Milliseconds since the detector last saw the object; 0 where it did in this frame.
        uncertainty_px: One standard deviation of the box centre.
        velocity_px_s: How fast left, top, right and bottom change, by the tracker's filter; None where not known.
        uncertainty_px_s: One standard deviation of each of them; likewise.
        attributes: What second looks have found, by the name that the fleet file gives each; they stay with the object
            as long as it has boxes.
    """

    track_id: Count
    class_id: Count
    class_name: str
    score: Number
    xyxy: tuple[Number, Number, Number, Number]
    origin: BoxOrigin
    since_detected_ms: Number
    uncertainty_px: Number
    velocity_px_s: tuple[Number, Number, Number, Number] | None = None
    uncertainty_px_s: Number | None = None
    attributes: dict[str, Attribute] = {}

    @property
    def labels(self) -> str:
        """What second looks have found, for people, such as `red`; empty where nothing is known."""
        return ", ".join([attribute.label for attribute in self.attributes.values()])

    def carried(self, ahead_ms: float, frame_wh: tuple[int, int]) -> TrackedBox | None:
        """The box so much later, cut off at the picture's edges; None where nothing is known of it any more.

        That is so when it has left the picture, and when it was last detected longer ago than boxes live. One whose
        velocity is not known stays where it is, and its uncertainty grows by what objects stray.

        Args:
            ahead_ms: How much later than its frame, > 0.
            frame_wh: Width and height of its picture, px.
        """
        since_detected_ms = self.since_detected_ms + ahead_ms
        xyxy = self._moved(ahead_ms / 1000, frame_wh)
        if since_detected_ms > LONGEST_MS or xyxy[2] <= xyxy[0] or xyxy[3] <= xyxy[1]:
            return None
        return replace(
            self,
            xyxy=xyxy,
            origin="predicted",
            since_detected_ms=since_detected_ms,
            uncertainty_px=self._doubt_px(ahead_ms / 1000),
        )

    def _moved(self, ahead_s: float, frame_wh: tuple[int, int]) -> tuple[float, float, float, float]:
        moves = self.velocity_px_s or (0.0, 0.0, 0.0, 0.0)
        left, top, right, bottom = [edge + ahead_s * speed for edge, speed in zip(self.xyxy, moves, strict=True)]
        wide, high = frame_wh
        return max(left, 0.0), max(top, 0.0), min(right, wide), min(bottom, high)

    def _doubt_px(self, ahead_s: float) -> float:
        strays = STRAYS * (self.xyxy[3] - self.xyxy[1]) * math.sqrt(ahead_s)
        return math.hypot(self.uncertainty_px, (self.uncertainty_px_s or 0.0) * ahead_s, strays)
