"""One message of each kind."""

from __future__ import annotations

from pipeline.wire import (
    CameraFigures,
    CameraState,
    Counts,
    Event,
    FleetState,
    FrameResult,
    ProcessFigures,
    SinkState,
    TrackedBox,
)

_COUNTS = Counts(decoded=8, detected=4, filled={"stride": 3}, lost={"link": 1})
FRAME = FrameResult(
    fleet="town",
    camera_id="gate",
    session_id="0000000001f0",
    session=496,
    frame_id=7,
    pts_s=0.28,
    captured_at_ns=1_760_000_000_000_000_000,
    capture_clock="rtcp",
    published_at_ns=1_760_000_000_040_000_000,
    age_ms=40.0,
    frame_wh=(1280, 720),
    origin="detected",
    filled_because=None,
    detection_age_ms=40.0,
    stride=2,
    lost={},
    counts=_COUNTS,
    latency_ms={"capture": 5.0, "decode": 3.0, "slot": 2.0, "detect": 28.0, "publish": 2.0},
    tracks=(
        TrackedBox(
            track_id=3,
            class_id=0,
            class_name="person",
            score=0.9,
            xyxy=(10.0, 20.0, 110.0, 220.5),
            origin="detected",
            since_detected_ms=0.0,
            uncertainty_px=1.25,
            velocity_px_s=(50, 0, 52, -1),
            uncertainty_px_s=12,
        ),
    ),
)
STATE = CameraState(
    fleet="town",
    camera_id="gate",
    session_id="0000000001f0",
    session=496,
    state="degraded",
    detail="decoding falls behind",
    since_ns=1_760_000_000_000_000_000,
    detection_age_ms=41.5,
    reconnects=1,
    codec="h264",
    frame_wh=(1280, 720),
    assembly="early",
    decoder="cpu",
    at_ns=1_760_000_000_500_000_000,
)
FLEET = FleetState(
    fleet="town",
    at_ns=1_760_000_001_000_000_000,
    since_ns=1_759_999_990_000_000_000,
    window_s=5.0,
    p95_ms=150.0,
    kept=False,
    broken_by={"gate": "degraded: decoding falls behind"},
    counts=_COUNTS,
    cameras={
        "gate": CameraFigures(
            state="degraded",
            frame_hz=25.0,
            detect_hz=12.5,
            age_p50_ms=38.0,
            age_p95_ms=61.0,
            detection_age_ms=41.5,
            kept_percent=97.5,
            objects=1,
            stride=2,
        )
    },
    processes=(
        ProcessFigures(name="camera gate", role="camera", condition="running", restarts=0),
        ProcessFigures(
            name="sink archive",
            role="sink",
            condition="running",
            restarts=0,
            detail="12 waiting, 1.5 s behind",
            sink=SinkState(waiting=12, waiting_bytes=3000, lag_s=1.5, written=70),
        ),
    ),
)
EVENT = Event(
    fleet="town",
    camera_id="gate",
    event_id="5d1c7a90b3e2f468",
    phase="end",
    rule="drive",
    happening="dwell",
    condition="dwell > 30s",
    at_ns=1_760_000_000_000_000_000,
    error_ms=12.5,
    lasted_s=41.2,
    direction=None,
    object_id="0000000001f0:3",
    session_id="0000000001f0",
    track_id=3,
    class_name="person",
    score=0.9,
    xyxy=(10.0, 20.0, 110.0, 220.5),
    count=2,
    frame_id=7,
    revised=True,
)
ALL = (FRAME, STATE, FLEET, EVENT)
