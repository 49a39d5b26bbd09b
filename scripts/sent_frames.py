"""A frame as a fleet publishes it, for scripts that measure how frames travel."""

from __future__ import annotations

import time

from msgspec.structs import replace

from pipeline.wire import Counts, FrameResult, TrackedBox


def frame_of(objects: int) -> FrameResult:
    """A predicted frame with so many objects, published now."""
    box = TrackedBox(
        track_id=3,
        class_id=0,
        class_name="person",
        score=0.8765,
        xyxy=(101.25, 220.5, 310.75, 440.125),
        origin="predicted",
        since_detected_ms=40.0,
        uncertainty_px=1.5,
        velocity_px_s=(50, 0, 52, -1),
        uncertainty_px_s=12,
    )
    return FrameResult(
        fleet="bench",
        camera_id="cam0",
        session_id="a1",
        session=0,
        frame_id=0,
        pts_s=0.28,
        captured_at_ns=time.time_ns(),
        capture_clock="rtcp",
        published_at_ns=time.time_ns(),
        age_ms=41.0,
        frame_wh=(1280, 720),
        origin="predicted",
        filled_because="stride",
        stride=2,
        lost={},
        counts=Counts(decoded=8, detected=4, filled={"stride": 4}, lost={}),
        latency_ms={"capture": 5.0, "decode": 1.0, "slot": 2.0, "detect": 28.0, "publish": 2.0},
        tracks=tuple(replace(box, track_id=number) for number in range(objects)),
    )
