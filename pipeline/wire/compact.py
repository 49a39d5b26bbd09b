"""A frame in a sixth of the bytes: what was published as `detections/`, as columns of whole numbers.

It is version 2 of a frame beside version 1, made by the publisher while somebody subscribes to `compact/…`. Its numbers
(`number`, `frame_id`) are those of the message it stands for; nothing but the rounding of a box differs.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pipeline.wire.base import on_request
from pipeline.wire.box import Attribute, TrackedBox
from pipeline.wire.frame import FrameHeader, FrameResult
from pipeline.wire.values import BoxOrigin, Count

_ORIGINS: tuple[BoxOrigin, ...] = ("detected", "predicted", "interpolated")
_NUMBER_OF: dict[BoxOrigin, int] = {origin: number for number, origin in enumerate(_ORIGINS)}


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of a frame: row i of every column is one object.

    Attributes:
        track_id: As in `TrackedBox`.
        class_id: As in `TrackedBox`; `CompactFrame.class_names` names them.
        score: Thousandths.
        xyxy: Four for each object: left, top, right, bottom in tenths of a pixel of the source picture.
        origin: 0 detected, 1 predicted, 2 interpolated.
        since_detected_ms: Whole milliseconds.
        uncertainty_px: Tenths of a pixel.
        velocity_px_s: Four for each object: whole px/s of left, top, right and bottom; none where not known.
        uncertainty_px_s: Whole px/s; likewise.
    """

    track_id: tuple[Count, ...] = ()
    class_id: tuple[Count, ...] = ()
    score: tuple[int, ...] = ()
    xyxy: tuple[int, ...] = ()
    origin: tuple[int, ...] = ()
    since_detected_ms: tuple[int, ...] = ()
    uncertainty_px: tuple[int, ...] = ()
    velocity_px_s: tuple[int, ...] = ()
    uncertainty_px_s: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.track_id)
        columns = (self.class_id, self.score, self.origin, self.since_detected_ms, self.uncertainty_px)
        if any(len(column) != count for column in columns) or len(self.xyxy) != 4 * count:
            raise ValueError("the columns of objects are not of one length")
        if (len(self.uncertainty_px_s), len(self.velocity_px_s)) not in ((0, 0), (count, 4 * count)):
            raise ValueError("the velocities of objects are not of one length with them")
        if not all(0 <= origin < len(_ORIGINS) for origin in self.origin):
            raise ValueError("an object's origin is none of 0, 1 and 2")


@on_request
class CompactFrame(FrameHeader, frozen=True, kw_only=True):
    """What is known of one decoded frame, with its objects as columns.

    Attributes:
        class_names: The name of each class that is in the frame, by its `class_id` as text.
        objects: The objects.
        attributes: What second looks have found, of each object of which anything is known, by its `track_id` as text.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "compact"
    version: ClassVar[int] = 2

    class_names: dict[str, str]
    objects: Columns
    attributes: dict[str, dict[str, Attribute]] = {}  # noqa: RUF012  msgspec makes a new one each time
    schema: int = 2

    def __post_init__(self) -> None:
        if any(str(class_id) not in self.class_names for class_id in self.objects.class_id):
            raise ValueError("an object's class has no name")

    def expand(self) -> FrameResult:
        """The message it stands for."""
        rows, xyxy = self.objects, self.objects.xyxy
        moves, known = rows.velocity_px_s, bool(rows.velocity_px_s)
        return FrameResult(
            **_header(self),
            tracks=tuple(
                TrackedBox(
                    track_id=track_id,
                    class_id=class_id,
                    class_name=self.class_names[str(class_id)],
                    score=score / 1000,
                    xyxy=(xyxy[at] / 10, xyxy[at + 1] / 10, xyxy[at + 2] / 10, xyxy[at + 3] / 10),
                    origin=_ORIGINS[origin],
                    since_detected_ms=since_ms,
                    uncertainty_px=uncertainty / 10,
                    velocity_px_s=(moves[at], moves[at + 1], moves[at + 2], moves[at + 3]) if known else None,
                    uncertainty_px_s=rows.uncertainty_px_s[at // 4] if known else None,
                    attributes=self.attributes.get(str(track_id), {}) if self.attributes else {},
                )
                for at, track_id, class_id, score, origin, since_ms, uncertainty in zip(
                    range(0, len(xyxy), 4),
                    rows.track_id,
                    rows.class_id,
                    rows.score,
                    rows.origin,
                    rows.since_detected_ms,
                    rows.uncertainty_px,
                    strict=True,
                )
            ),
        )


def compact(result: FrameResult) -> CompactFrame:
    """The same frame, a sixth as long."""
    tracks = result.tracks
    moving = [box for box in tracks if box.velocity_px_s is not None and box.uncertainty_px_s is not None]
    known = moving if len(moving) == len(tracks) else []
    return CompactFrame(
        **_header(result),
        class_names={str(box.class_id): box.class_name for box in tracks},
        objects=Columns(
            track_id=tuple([box.track_id for box in tracks]),
            class_id=tuple([box.class_id for box in tracks]),
            score=tuple([round(box.score * 1000) for box in tracks]),
            xyxy=tuple([round(value * 10) for box in tracks for value in box.xyxy]),
            origin=tuple([_NUMBER_OF[box.origin] for box in tracks]),
            since_detected_ms=tuple([round(box.since_detected_ms) for box in tracks]),
            uncertainty_px=tuple([round(box.uncertainty_px * 10) for box in tracks]),
            velocity_px_s=tuple([round(value) for box in known for value in box.velocity_px_s or ()]),
            uncertainty_px_s=tuple([round(box.uncertainty_px_s or 0) for box in known]),
        ),
        attributes={str(box.track_id): box.attributes for box in tracks if box.attributes},
    )


def _header(frame: FrameHeader) -> dict[str, Any]:
    return {name: getattr(frame, name) for name in FrameHeader.__struct_fields__}
