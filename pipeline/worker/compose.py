"""Finished frames as the messages that subscribers get.

All that leave in one turn of the worker are made together: among sixty cameras what costs is not arithmetic but each
call into NumPy, three times as much as in a loop of nothing else, because caches are cold. By frame with five objects,
it took 16 µs to round the boxes and 27 to predict them one camera after the other, and takes 6 and 12 together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from msgspec.structs import replace

from pipeline.clock import Clock
from pipeline.detections import Origin, Tracks
from pipeline.track.fill import Filled
from pipeline.track.outlook import Ahead, foreseen
from pipeline.wire import Attribute, BoxOrigin, FrameOrigin, FrameResult, TrackedBox
from pipeline.worker.stream import Frame, Stream

_FRAME_ORIGINS: tuple[FrameOrigin, ...] = ("detected", "predicted", "interpolated", "skipped")
_UNITS = np.array([[10, 10, 10, 10, 1000, 10, 100]], np.float64).T
"""What xyxy, score, milliseconds and uncertainty of a box are rounded to, as parts of one; velocities to whole px/s,
which are a quarter as long on the wire."""
_TO_UNITS = _UNITS * [[1], [1], [1], [1], [1], [1000], [1]]
"""The same, with seconds to milliseconds."""
_BOX_ORIGINS: tuple[BoxOrigin, ...] = ("detected", "predicted", "interpolated")


@dataclass(frozen=True, slots=True)
class Composer:
    """Messages of one camera."""

    fleet: str
    camera_id: str
    class_names: Sequence[str]
    clock: Clock

    def compose(self, leaving: Leaving, boxes: tuple[TrackedBox, ...]) -> FrameResult:
        """The message of a frame that leaves now; its stream's account is charged with it."""
        filled, stream = leaving.filled, leaving.stream
        frame, tick, account = filled.frame, filled.frame.tick, stream.account
        frame_id = tick.frame_id - stream.first_frame_id
        detected = filled.origin is Origin.DETECTED
        account.lose(frame.lost_before)
        if detected:
            account.detect()
        else:
            account.fill(frame.reason or "ended")
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
            filled_because=None if detected else frame.reason,
            detection_age_ms=None if stream.detected_ns is None else _ms(now_ns - stream.detected_ns),
            stride=leaving.stride,
            lost=account.lost_since(),
            counts=account.counts(decoded=frame_id + 1),
            latency_ms=_latency_ms(frame, now_ns),
            tracks=boxes if stream.sights is None else _with(boxes, stream.sights.attributes),
        )


@dataclass(slots=True)
class Leaving:
    """A finished frame on its way out.

    Attributes:
        composer: Of its camera.
        stream: Its session.
        filled: The frame.
        stride: Every how many frames one is wanted of its camera.
    """

    composer: Composer
    stream: Stream
    filled: Filled[Frame]
    stride: int


def compose(leaving: Sequence[Leaving]) -> list[FrameResult]:
    """The messages of frames that leave now, in this order; boxes of all of them are worked out together."""
    if not leaving:
        return []
    shown = _shown([frame.filled.shown for frame in leaving])
    shown = [frame.stream.unmasked(tracks) for frame, tracks in zip(leaving, shown, strict=True)]
    boxes = _boxes(shown, [frame.composer.class_names for frame in leaving])
    return [frame.composer.compose(frame, found) for frame, found in zip(leaving, boxes, strict=True)]


def _shown(frames: list[Tracks | Ahead]) -> list[Tracks]:
    """The objects of each frame."""
    found = iter(foreseen([frame for frame in frames if isinstance(frame, Ahead)]))
    return [next(found) if isinstance(frame, Ahead) else frame for frame in frames]


def _latency_ms(frame: Frame, now_ns: int) -> dict[str, float]:
    """Where the time went; the stages follow each other and add up to the age.

    `capture`: camera to here, 0 unless the camera tells its own time. `decode`: until the picture was ready and in the
    slot. `slot`: until it was taken. `detect`: letterbox, inference, boxes. `publish`: waiting for the frames before
    it, tracking, filling. A frame that left without a detection has no `slot` and no `detect`.
    """
    tick, job = frame.tick, frame.job
    capture, decode = _ms(tick.received_ns - tick.captured_ns), _ms(tick.decoded_ns - tick.received_ns)
    if job is None or not job.done_ns:
        return {"capture": capture, "decode": decode, "publish": _ms(now_ns - tick.decoded_ns)}
    return {
        "capture": capture,
        "decode": decode,
        "slot": _ms(job.taken_ns - tick.decoded_ns),
        "detect": _ms(job.done_ns - job.taken_ns),
        "publish": _ms(now_ns - job.done_ns),
    }


def _boxes(shown: list[Tracks], class_names: list[Sequence[str]]) -> list[tuple[TrackedBox, ...]]:
    """A `TrackedBox` for each object of each frame, rounded to what the figures are worth.

    That also keeps JSON readable. `class_names` are those of each frame.
    """
    tracks = Tracks.together(shown)
    figures = (np.rint(tracks.figures[:7] * _TO_UNITS) / _UNITS).T.tolist()
    moves = np.rint(tracks.figures[7:].T).astype(np.int64).tolist()
    rows = zip(*tracks.names.tolist(), figures, moves, strict=True)
    return [
        tuple(
            [
                TrackedBox(
                    track_id=track_id,
                    class_id=class_id,
                    class_name=names[class_id],
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
                    (uncertainty_px_s, to_left, to_top, to_right, to_bottom),
                ) in islice(rows, len(one))
            ]
        )
        for one, names in zip(shown, class_names, strict=True)
    ]


def _with(boxes: tuple[TrackedBox, ...], known: Mapping[int, dict[str, Attribute]]) -> tuple[TrackedBox, ...]:
    """The same boxes, with what second looks have found of their objects, by track id."""
    if not known:
        return boxes
    return tuple([replace(box, attributes=known[box.track_id]) if box.track_id in known else box for box in boxes])


def _ms(ns: int) -> float:
    """Milliseconds, rounded to thousandths."""
    return (ns + 500) // 1000 / 1000
