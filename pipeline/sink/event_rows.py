"""Events, and what is kept of them, as rows."""

from __future__ import annotations

from pipeline.sink.columns import EventRow, EvidenceRow
from pipeline.sink.readable import attributes_json, readable
from pipeline.wire import Event, Evidence


def event_row(event: Event) -> EventRow:
    """What was told of an event."""
    return EventRow(
        fleet=event.fleet,
        camera_id=event.camera_id,
        event_id=readable(event.event_id),
        phase=event.phase,
        session_id=readable(event.session_id),
        frame_id=event.frame_id,
        happened_at_ns=event.at_ns,
        error_ms=event.error_ms,
        rule=event.rule,
        happening=event.happening,
        condition=readable(event.condition),
        lasted_s=event.lasted_s,
        direction=event.direction,
        object_id=readable(event.object_id),
        track_id=event.track_id,
        class_name=readable(event.class_name),
        score=event.score,
        x1=event.xyxy[0],
        y1=event.xyxy[1],
        x2=event.xyxy[2],
        y2=event.xyxy[3],
        objects=event.count,
        revised=int(event.revised),
        withdrawn=int(event.withdrawn),
        attributes=attributes_json(event.attributes),
    )


def evidence_row(kept: Evidence) -> EvidenceRow:
    """What is kept of an event."""
    left, top, right, bottom = kept.xyxy
    return EvidenceRow(
        fleet=kept.fleet,
        camera_id=kept.camera_id,
        event_id=readable(kept.event_id),
        happened_at_ns=kept.at_ns,
        rule=kept.rule,
        happening=kept.happening,
        class_name=readable(kept.class_name),
        score=kept.score,
        record=readable(kept.record),
        clip=readable(kept.clip),
        clip_from_ns=kept.clip_from_ns,
        clip_to_ns=kept.clip_to_ns,
        snapshot=readable(kept.snapshot),
        snapshot_at_ns=kept.snapshot_at_ns,
        snapshot_width=kept.snapshot_wh[0],
        snapshot_height=kept.snapshot_wh[1],
        x1=left,
        y1=top,
        x2=right,
        y2=bottom,
        error_ms=kept.error_ms,
        detail=readable(kept.detail),
    )
