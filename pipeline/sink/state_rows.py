"""How cameras are, as rows."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.sink.columns import StateRow
from pipeline.sink.readable import readable
from pipeline.wire import CameraState


class Standing(NamedTuple):
    """What of a camera's state makes a row where it changes."""

    session_id: str
    state: str
    detail: str


def state_row(state: CameraState) -> StateRow:
    """How a camera was told to be."""
    return StateRow(
        fleet=state.fleet,
        camera_id=state.camera_id,
        told_at_ns=state.at_ns,
        state=state.state,
        detail=readable(state.detail),
        since_ns=state.since_ns,
        session_id=readable(state.session_id),
        reconnects=state.reconnects,
        codec=readable(state.codec),
        decoder=readable(state.decoder),
        frame_width=state.frame_wh[0],
        frame_height=state.frame_wh[1],
        detection_age_ms=state.detection_age_ms,
    )
