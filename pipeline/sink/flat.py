"""Frames as rows of one table: a row for each object, and one without an object for a frame that has none."""

from __future__ import annotations

import msgspec

from pipeline.wire import FrameResult

FRAME_COLUMNS = (
    "fleet", "camera_id", "session_id", "session", "frame_id", "pts_s", "captured_at_ns", "published_at_ns",
    "capture_clock", "age_ms", "frame_width", "frame_height", "origin", "filled_because", "detection_age_ms", "stride",
    "objects", "lost",
)  # fmt: skip
BOX_COLUMNS = (
    "track_id", "class_id", "class_name", "score", "x1", "y1", "x2", "y2", "box_origin", "since_detected_ms",
    "uncertainty_px",
)  # fmt: skip
COLUMNS = (*FRAME_COLUMNS, *BOX_COLUMNS, "attributes")
"""As the settings of the file sink explain them."""

Value = str | int | float | None
_NO_BOX: tuple[Value, ...] = (None,) * (len(BOX_COLUMNS) + 1)


def frame_values(frame: FrameResult) -> tuple[Value, ...]:
    """What each row of a frame begins with, in the order of `FRAME_COLUMNS`."""
    width, height = frame.frame_wh
    return (
        frame.fleet, frame.camera_id, frame.session_id, frame.session, frame.frame_id, frame.pts_s,
        frame.captured_at_ns, frame.published_at_ns, frame.capture_clock, frame.age_ms, width, height, frame.origin,
        frame.filled_because, frame.detection_age_ms, frame.stride, len(frame.tracks),
        msgspec.json.encode(frame.lost).decode(),
    )  # fmt: skip


def box_values(frame: FrameResult) -> list[tuple[Value, ...]]:
    """How its rows end, in the order of `BOX_COLUMNS`, then its attributes as JSON; at least one."""
    return [
        (
            box.track_id, box.class_id, box.class_name, box.score, *box.xyxy, box.origin, box.since_detected_ms,
            box.uncertainty_px, msgspec.json.encode(box.attributes).decode() if box.attributes else None,
        )
        for box in frame.tracks
    ] or [_NO_BOX]  # fmt: skip
