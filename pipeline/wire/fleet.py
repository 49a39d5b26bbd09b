"""How the fleet is."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from pipeline.wire.base import Message, published
from pipeline.wire.frame import Counts
from pipeline.wire.values import SCHEMA, Count, Number, State


class CameraFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How one camera did of late.

    Attributes:
        state: How it is; None while nothing is known.
        frame_hz: Frames published a second.
        detect_hz: Frames detected a second.
        age_p50_ms: Median age of its frames; None without one.
        age_p95_ms: The age that 95 of 100 stay below; None without one.
        detection_age_ms: From the capture of its newest detected frame to this message; None before the first.
        kept_percent: Share of frames within the stated age that a detection stands behind; None without a frame.
        objects: In its newest frame.
        stride: Every how many frames the detector is offered one.
        loss: Points of HOTA that it loses against detecting every frame at full input, as estimated from its tracks of
            late; None while that is not known.
    """

    state: State | None
    frame_hz: Number
    detect_hz: Number
    age_p50_ms: Number | None
    age_p95_ms: Number | None
    detection_age_ms: Number | None
    kept_percent: Number | None
    objects: Count
    stride: Count
    loss: Number | None = None


class SinkState(msgspec.Struct, frozen=True, kw_only=True):
    """How a sink does: results that wait, and those that are not kept.

    Attributes:
        waiting: Messages that wait on disk.
        waiting_bytes: What they take there.
        lag_s: How long ago the oldest of them came; 0 where none waits.
        written: Messages that its place has taken since the process began.
        lost: Messages of this run of the fleet that gave way to newer ones, or that its place will never take.
        missed: Messages that were published and never reached it, since the process began.
    """

    waiting: Count = 0
    waiting_bytes: Count = 0
    lag_s: Number = 0.0
    written: Count = 0
    lost: Count = 0
    missed: Count = 0


class LookFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker's second model has done since the worker began.

    Attributes:
        given: Crops that were looked at.
        told: Of those, looks whose answer was sure enough to be told.
        failed: Crops that were not looked at because the model failed on them.
        took_s: The detector's lanes spent so long on all of them, s.
    """

    given: Count = 0
    told: Count = 0
    failed: Count = 0
    took_s: Number = 0.0


class ProcessFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the fleet.

    Attributes:
        name: For people: `worker`, `camera gate`, `sink archive`.
        role: What it does.
        condition: `running`, `waiting` to be started again, `done`, or `given up`.
        restarts: How often it was started again.
        detail: What it says of itself, in one sentence; empty where it has nothing to say.
        pid: Its process id on the fleet's machine; 0 while it does not run.
        lanes: How many detections may run at once in it, of a worker; None of others, and while it is not known.
        lanes_busy: How many ran, on average over the last second; likewise.
        sink: How it does, of a sink; None of others, and while it is not known.
        looks: What second looks it has done, of a worker, by the names of the attributes; empty where there are none,
            and while it is not known.
    """

    name: str
    role: str
    condition: str
    restarts: Count
    detail: str = ""
    pid: Count = 0
    lanes: Count | None = None
    lanes_busy: Number | None = None
    sink: SinkState | None = None
    looks: dict[str, LookFigures] = {}


@published
class FleetState(Message, frozen=True, kw_only=True):
    """How the fleet is, once a second: the publisher's heartbeat.

    Attributes:
        at_ns: Wall time of this message, ns since 1970-01-01 UTC.
        since_ns: Wall time since which `counts` counts: when this publisher began.
        window_s: How far back the figures of the cameras look, s.
        p95_ms: The age that is promised for 95 of 100 frames.
        kept: Whether the promise of age was kept of late by every camera that should deliver; None where nothing is
            known.
        broken_by: The cameras that do not keep it, and why, in one sentence each.
        max_loss: The points of HOTA that each camera may lose; None where nothing is promised.
        loss_kept: Whether no camera that should deliver loses more; None where nothing is promised or known.
        loss_broken_by: The cameras that lose more, and why, in one sentence each.
        counts: Frames of all cameras since `since_ns`: decoded = detected + filled + lost.
        cameras: Figures by camera.
        processes: Every process of the fleet.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "fleet"

    at_ns: Count
    since_ns: Count
    window_s: Number
    p95_ms: Number
    kept: bool | None
    broken_by: dict[str, str] = msgspec.field(default_factory=dict)
    max_loss: Number | None = None
    loss_kept: bool | None = None
    loss_broken_by: dict[str, str] = msgspec.field(default_factory=dict)
    counts: Counts
    cameras: dict[str, CameraFigures]
    processes: tuple[ProcessFigures, ...] = ()
    schema: int = SCHEMA
