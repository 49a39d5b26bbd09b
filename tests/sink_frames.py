"""Frames for sinks, by number."""

from __future__ import annotations

import msgspec

from pipeline.wire import FrameResult, TrackedBox
from tests.wire_messages import FRAME

START_NS = 1_760_000_000_000_000_000
FRAME_NS = 40_000_000
NAMES = ("person", "car", "bicycle")


def frame(number: int, objects: int = 5, camera_id: str = "gate", session_id: str = "0000000001f0") -> FrameResult:
    """The frame of that number; one of 25 a second."""
    captured_at_ns = START_NS + number * FRAME_NS
    return msgspec.structs.replace(
        FRAME,
        camera_id=camera_id,
        session_id=session_id,
        frame_id=number,
        captured_at_ns=captured_at_ns,
        published_at_ns=captured_at_ns + 40_000_000,
        tracks=tuple(box(track_id) for track_id in range(1, objects + 1)),
    )


def box(track_id: int) -> TrackedBox:
    """An object whose class goes by its number."""
    class_id = track_id % len(NAMES)
    return msgspec.structs.replace(FRAME.tracks[0], track_id=track_id, class_id=class_id, class_name=NAMES[class_id])
