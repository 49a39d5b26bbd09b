"""The tables of a database: what the columns of `schema/*.sql` are, by name and in order, and since when.

The fields of each row are the columns, without those that a database derives itself.
"""

from __future__ import annotations

from typing import NamedTuple, get_args, get_type_hints


class FrameRow(NamedTuple):
    """A row of `frames`."""

    fleet: str
    camera_id: str
    session_id: str
    session: int
    frame_id: int
    pts_s: float
    captured_at_ns: int
    capture_clock: str
    published_at_ns: int
    age_ms: float
    frame_width: int
    frame_height: int
    origin: str
    filled_because: str | None
    detection_age_ms: float | None
    stride: int
    objects: int
    lost: str
    latency_ms: str


class BoxRow(NamedTuple):
    """A row of `boxes`."""

    fleet: str
    camera_id: str
    session_id: str
    frame_id: int
    track_id: int
    captured_at_ns: int
    class_id: int
    class_name: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float
    box_origin: str
    since_detected_ms: float
    uncertainty_px: float
    attributes: str | None


class StateRow(NamedTuple):
    """A row of `camera_states`."""

    fleet: str
    camera_id: str
    told_at_ns: int
    state: str
    detail: str
    since_ns: int
    session_id: str
    reconnects: int
    codec: str
    decoder: str
    frame_width: int
    frame_height: int
    detection_age_ms: float | None


class EventRow(NamedTuple):
    """A row of `events`."""

    fleet: str
    camera_id: str
    event_id: str
    phase: str
    session_id: str
    frame_id: int
    happened_at_ns: int
    error_ms: float
    rule: str
    happening: str
    condition: str
    lasted_s: float
    direction: str | None
    object_id: str
    track_id: int
    class_name: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float
    objects: int
    revised: int
    withdrawn: int
    attributes: str | None


class EvidenceRow(NamedTuple):
    """A row of `evidence`."""

    fleet: str
    camera_id: str
    event_id: str
    happened_at_ns: int
    rule: str
    happening: str
    class_name: str
    score: float
    record: str
    clip: str
    clip_from_ns: int
    clip_to_ns: int
    snapshot: str
    snapshot_at_ns: int
    snapshot_width: int
    snapshot_height: int
    x1: float
    y1: float
    x2: float
    y2: float
    error_ms: float | None
    detail: str


Row = FrameRow | BoxRow | StateRow | EventRow | EvidenceRow
KINDS: dict[str, type[Row]] = {
    "frames": FrameRow,
    "boxes": BoxRow,
    "camera_states": StateRow,
    "events": EventRow,
    "evidence": EvidenceRow,
}
"""The tables, in the order in which they are filled."""
SINCE = {"frames": 1, "boxes": 1, "camera_states": 1, "events": 2, "evidence": 3}
"""The version of the tables that each came with."""
COLUMNS_SINCE = {("boxes", "attributes"): 3, ("events", "attributes"): 3}
"""The version that brought a column, where that is not its table's."""
TIME_COLUMN = {
    "frames": "captured_at_ns",
    "boxes": "captured_at_ns",
    "camera_states": "told_at_ns",
    "events": "happened_at_ns",
    "evidence": "happened_at_ns",
}
"""The column of each table by which rows become too old."""


def columns_of(table: str, version: int) -> tuple[str, ...]:
    """The columns that a table has in this version of the tables."""
    return tuple(name for name in KINDS[table]._fields if COLUMNS_SINCE.get((table, name), 0) <= version)


def column_types(row: type[Row]) -> dict[str, type]:
    """`str`, `int` or `float` by column; whether it may be None is not told."""
    hints = get_type_hints(row)
    return {name: (get_args(hint) or (hint,))[0] for name, hint in hints.items()}
