"""Sequences played together as the cameras of one fleet, for which the worker's controller shares out detections.

Real are the controller, the tracker with what it tells of its boxes, and the filling; the clock is virtual and a
detection takes no time, so only how detections are shared decides what comes out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.link import Admission
from pipeline.plan import StrideBounds
from pipeline.track.drift import WatchedTracker
from pipeline.track.fill import Filled, Filling, FillMode, filling
from pipeline.worker.stride import INTERVAL_S, LEAST_OFFERED, MOST_OFFERED, Measured, StrideController

if TYPE_CHECKING:
    from pipeline.detections import Tracks
    from pipeline.evaluate.mot import Sequence
    from pipeline.track.tracker import TrackerConfig

NO_INPUT_WH = (1, 1)


@dataclass(frozen=True, slots=True)
class Share:
    """How detections are shared out.

    Attributes:
        stride: There is one detection for so many of the fleet's frames.
        policy: `fixed` gives every camera this stride; the others are the controller's.
        most: The stride that the controller gives to nobody.
        fill: What frames get that were not detected.
        max_delay_s: The longest that `interpolate` may hold a frame, in stream time.
        phase: Where the counting of frames begins, for repeating.
        max_loss: Points of HOTA that are promised not to be lost; None promises nothing.
    """

    stride: int
    policy: Literal["fixed", "equal", "content"]
    most: int = 8
    fill: FillMode = FillMode.PREDICT
    max_delay_s: float = 0.3
    phase: int = 0
    max_loss: float | None = None

    @property
    def bounds(self) -> StrideBounds:
        """For each camera."""
        if self.policy == "fixed":
            return StrideBounds(self.stride, self.stride)
        return StrideBounds(1, self.most, by_content=self.policy == "content")


@dataclass(frozen=True, slots=True)
class Shared:
    """What came out, by camera: a `Tracks` a frame, frames detected, and how often the stride was changed."""

    tracks: Mapping[str, list[Tracks]]
    detected: Mapping[str, int]
    changes: Mapping[str, int]


@dataclass(slots=True)
class _Camera:
    sequence: Sequence
    tracker: WatchedTracker
    filling: Filling[int]
    admission: Admission
    finished: list[Filled[int]]
    detected: int = 0
    changes: int = 0

    def see(self, frame: int) -> None:
        at_s = frame / self.sequence.fps
        finished = self.filling.expire(at_s)
        if self.admission.wants(frame):
            self.detected += 1
            finished += self.filling.detected(frame, self.sequence.detections[frame], at_s, at_s)
        else:
            finished += self.filling.skipped(frame, at_s, at_s)
        for filled in finished:
            self.tracker.loss.show(filled.origin, filled.unseen_s)
        self.finished += finished

    @property
    def seconds(self) -> float:
        return len(self.sequence) / self.sequence.fps


def share_out(sequences: Mapping[str, tuple[Sequence, TrackerConfig]], share: Share) -> Shared:
    """Every frame of every sequence with its boxes; they begin together and each is over when it ends."""
    cameras = {name: _open(*sequence, index, share) for index, (name, sequence) in enumerate(sequences.items())}
    controller = StrideController(dict.fromkeys(cameras, share.bounds))
    controller.promise(share.max_loss)
    next_s = INTERVAL_S
    for at_s, name, frame in _frames(cameras):
        while at_s >= next_s:
            _reconsider(cameras, controller, share, next_s)
            next_s += INTERVAL_S
        cameras[name].see(frame)
    for camera in cameras.values():
        camera.finished += camera.filling.flush()
    return Shared(
        {name: [filled.tracks for filled in camera.finished] for name, camera in cameras.items()},
        {name: camera.detected for name, camera in cameras.items()},
        {name: camera.changes for name, camera in cameras.items()},
    )


def _open(sequence: Sequence, config: TrackerConfig, index: int, share: Share) -> _Camera:
    tracker = WatchedTracker(config, sequence.picture_wh)
    admission = Admission(share.bounds.least, index + share.phase, NO_INPUT_WH)
    return _Camera(sequence, tracker, filling(share.fill, tracker, share.max_delay_s), admission, [])


def _frames(cameras: Mapping[str, _Camera]) -> Iterator[tuple[float, str, int]]:
    """When which camera shows which frame."""
    yield from heapq.merge(
        *(
            [(frame / camera.sequence.fps, name, frame) for frame in range(len(camera.sequence))]
            for name, camera in cameras.items()
        )
    )


def _reconsider(cameras: Mapping[str, _Camera], controller: StrideController, share: Share, now_s: float) -> None:
    """As the worker does, for a device that is always busy and serves what is to be shared out."""
    fps = {name: camera.sequence.fps for name, camera in cameras.items() if now_s < camera.seconds}
    wrong_hz = {name: hz for name, camera in cameras.items() if (hz := camera.tracker.drift.wrong_hz) is not None}
    # Every frame that is offered here is detected, so the device is one that is slower by the surplus.
    surplus = (LEAST_OFFERED + MOST_OFFERED) / 2
    frames = sum(fps.values()) / share.stride / surplus * INTERVAL_S
    measured = Measured(INTERVAL_S, frames, INTERVAL_S, 1)
    curves = {name: camera.tracker.loss.curve(share.fill, share.max_delay_s) for name, camera in cameras.items()}
    losses = {name: curve for name, curve in curves.items() if curve is not None}
    for name, stride in controller.update(measured, fps, now_s, wrong_hz, losses).items():
        camera = cameras[name]
        camera.admission = Admission(stride, camera.admission.phase, NO_INPUT_WH)
        camera.changes += 1
