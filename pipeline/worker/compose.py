"""A finished frame as the message that subscribers get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.clock import NS_PER_MS, Clock
from pipeline.detections import Origin, Tracks
from pipeline.track.fill import Filled
from pipeline.wire import BoxOrigin, FrameOrigin, FrameResult, TrackedBox
from pipeline.worker.stream import Frame, Stream

_FRAME_ORIGINS: tuple[FrameOrigin, ...] = ("detected", "predicted", "interpolated", "skipped")
_UNITS = np.array([10, 10, 10, 10, 1000, 10, 100], np.float64)
"""What xyxy, score, milliseconds and uncertainty of a box are rounded to, as parts of one; velocities to whole px/s,
which are a quarter as long on the wire."""
_TO_UNITS = _UNITS * [1, 1, 1, 1, 1, 1000, 1]
"""The same, with seconds to milliseconds."""
_BOX_ORIGINS: tuple[BoxOrigin, ...] = ("detected", "predicted", "interpolated")


@dataclass(frozen=True, slots=True)
class Composer:
    """Messages of one camera."""

    fleet: str
    camera_id: str
    class_names: Sequence[str]
    clock: Clock

    def compose(self, filled: Filled[Frame], stream: Stream, stride: int) -> FrameResult:
        """The message of a frame that leaves now; the stream's account is charged with it."""
        frame, tick = filled.frame, filled.frame.tick
        frame_id = tick.frame_id - stream.first_frame_id
        stream.account.lose(frame.lost_before)
        if filled.origin is Origin.DETECTED:
            stream.account.detect()
        else:
            stream.account.fill(frame.reason or "ended")
        now_ns = self.clock.monotonic_ns()
        return FrameResult(
            fleet=self.fleet,
            camera_id=self.camera_id,
            session_id=stream.session_id,
            session=stream.session,
            frame_id=frame_id,
            pts_s=tick.pts_s,
            captured_at_ns=tick.captured_at_ns,
            capture_clock=tick.capture_clock,
            published_at_ns=self.clock.wall_ns(),
            age_ms=_ms(now_ns - tick.captured_ns),
            frame_wh=tick.frame_wh,
            origin=_FRAME_ORIGINS[filled.origin],
            filled_because=None if filled.origin is Origin.DETECTED else frame.reason,
            detection_age_ms=None if stream.detected_ns is None else _ms(now_ns - stream.detected_ns),
            stride=stride,
            lost=stream.account.lost_since(),
            counts=stream.account.counts(decoded=frame_id + 1),
            latency_ms=_latency_ms(frame, now_ns),
            tracks=_boxes(filled.tracks, self.class_names),
        )


def _latency_ms(frame: Frame, now_ns: int) -> dict[str, float]:
    """Where the time went; the stages follow each other and add up to the age.

    `capture`: camera to here, 0 unless the camera tells its own time. `decode`: until the picture was ready and in the
    slot. `slot`: until it was taken. `detect`: letterbox, inference, boxes. `publish`: waiting for the frames before
    it, tracking, filling. A frame that left without a detection has no `slot` and no `detect`.
    """
    tick = frame.tick
    stages = {"capture": tick.received_ns - tick.captured_ns, "decode": tick.decoded_ns - tick.received_ns}
    if frame.job is None or not frame.job.done_ns:
        return {name: _ms(ns) for name, ns in (stages | {"publish": now_ns - tick.decoded_ns}).items()}
    stages["slot"] = frame.job.taken_ns - tick.decoded_ns
    stages["detect"] = frame.job.done_ns - frame.job.taken_ns
    stages["publish"] = now_ns - frame.job.done_ns
    return {name: _ms(ns) for name, ns in stages.items()}


def _boxes(tracks: Tracks, class_names: Sequence[str]) -> tuple[TrackedBox, ...]:
    """One `TrackedBox` a row; rounded to what the figures are worth, which also keeps JSON readable."""
    table = np.empty((len(tracks), 7))
    table[:, :4] = tracks.xyxy
    table[:, 4] = tracks.score
    table[:, 5] = tracks.since_detected_s
    table[:, 6] = tracks.uncertainty_px
    table *= _TO_UNITS
    figures = (np.rint(table) / _UNITS).tolist()
    moves = np.rint(np.column_stack([tracks.velocity_px_s, tracks.uncertainty_px_s])).astype(np.int64).tolist()
    words = zip(tracks.track_id.tolist(), tracks.class_id.tolist(), tracks.origin.tolist(), figures, moves, strict=True)
    return tuple(
        TrackedBox(
            track_id=track_id,
            class_id=class_id,
            class_name=class_names[class_id],
            score=score,
            xyxy=(left, top, right, bottom),
            origin=_BOX_ORIGINS[origin],
            since_detected_ms=since_ms,
            uncertainty_px=uncertainty_px,
            velocity_px_s=(to_left, to_top, to_right, to_bottom),
            uncertainty_px_s=uncertainty_px_s,
        )
        for (
            track_id,
            class_id,
            origin,
            (left, top, right, bottom, score, since_ms, uncertainty_px),
            (to_left, to_top, to_right, to_bottom, uncertainty_px_s),
        ) in words
    )


def _ms(ns: int) -> float:
    return round(ns / NS_PER_MS, 3)
