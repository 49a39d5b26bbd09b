"""Frames and their objects as rows."""

from __future__ import annotations

from pipeline.sink.columns import BoxRow, FrameRow
from pipeline.sink.readable import as_json, attributes_json, readable
from pipeline.wire import FrameResult, TrackedBox


def frame_row(frame: FrameResult) -> FrameRow:
    """A frame without its objects."""
    return FrameRow(
        fleet=frame.fleet,
        camera_id=frame.camera_id,
        session_id=readable(frame.session_id),
        session=frame.session,
        frame_id=frame.frame_id,
        pts_s=frame.pts_s,
        captured_at_ns=frame.captured_at_ns,
        capture_clock=frame.capture_clock,
        published_at_ns=frame.published_at_ns,
        age_ms=frame.age_ms,
        frame_width=frame.frame_wh[0],
        frame_height=frame.frame_wh[1],
        origin=frame.origin,
        filled_because=None if frame.filled_because is None else readable(frame.filled_because),
        detection_age_ms=frame.detection_age_ms,
        stride=frame.stride,
        objects=len(_once(frame.tracks)),
        lost=as_json(frame.lost),
        latency_ms=as_json(frame.latency_ms),
    )


def box_rows(frame: FrameResult) -> list[BoxRow]:
    """The objects of a frame; one that is in it twice is taken once."""
    fleet, camera_id, session_id = frame.fleet, frame.camera_id, readable(frame.session_id)
    frame_id, captured_at_ns = frame.frame_id, frame.captured_at_ns
    return [
        BoxRow(
            fleet,
            camera_id,
            session_id,
            frame_id,
            box.track_id,
            captured_at_ns,
            box.class_id,
            readable(box.class_name),
            box.score,
            *box.xyxy,
            box.origin,
            box.since_detected_ms,
            box.uncertainty_px,
            attributes_json(box.attributes),
        )
        for box in _once(frame.tracks)
    ]


def _once(tracks: tuple[TrackedBox, ...]) -> tuple[TrackedBox, ...]:
    by_id = {box.track_id: box for box in tracks}
    return tracks if len(by_id) == len(tracks) else tuple(by_id.values())
