"""The cameras of one fleet played side by side: who is detected when is decided by device time alone.

Every frame brings a camera some device time; a detection of a view costs what that view takes, and is made on the first
frame on which the camera has saved enough. So strides are fractions on average, as they are where a fleet's cameras
have different ones, and every way of choosing views has the same device time to the last detection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ladder.views import View, inside, seen, truth
from ladder.ways import Known
from pipeline.detections import Detections, Tracks
from pipeline.track.drift import WatchedTracker
from pipeline.track.fill import Filled, Filling, FillMode, filling
from pipeline.track.tracker import TrackerConfig

GOLDEN = 0.618
"""Phases of neighbours differ by this share of a stride."""


class Chooser(Protocol):
    """Decides what the next detection of a camera looks at."""

    @property
    def view(self) -> View:
        """The next."""
        ...

    def saw(self, tracks: Tracks, at_s: float, known: Known) -> None:
        """A detection of it came back, with these boxes."""
        ...


@dataclass(frozen=True)
class Budget:
    """Device time.

    Attributes:
        share: Of each frame of one camera, in detections at full input, by camera.
        costs: Of one detection, in detections at full input.
        equal: `time`: each camera its share; `rate`: all together what they have, as many detections for each.
    """

    share: Mapping[str, float]
    costs: Mapping[View, float]
    equal: str = "time"


@dataclass
class Camera:
    """One camera: its chooser, tracker and savings."""

    name: str
    chooser: Chooser
    fill: FillMode
    looks: dict[View, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sequence = truth(self.name)
        self.fps, self.picture_wh, self.frames = sequence.fps, sequence.picture_wh, len(sequence)
        self.tracker = WatchedTracker(TrackerConfig(), sequence.picture_wh)
        self.filling: Filling[int] = filling(self.fill, self.tracker, 10.0)
        self.finished: list[Filled[int]] = []
        self.credit = 0.0

    def see(self, frame: int, gain: float, cost: float) -> None:
        """The next frame, with what it brings and what a detection costs."""
        at_s = frame / self.fps
        self.credit = min(self.credit + gain, cost + gain)
        if self.credit < cost - 1e-9:
            self.finished += self.filling.skipped(frame, at_s, at_s)
            return
        self.credit -= cost
        view = self.chooser.view
        self.looks[view] = self.looks.get(view, 0) + 1
        self.finished += self.filling.detected(frame, self._detections(view, frame, at_s), at_s, at_s)
        known = Known(self.picture_wh[0], 1 / gain, self.tracker.drift.wrong_hz)
        self.chooser.saw(self.tracker.predict(at_s), at_s, known)

    def _detections(self, view: View, frame: int, at_s: float) -> Detections:
        """What a view shows; beyond its part, what the tracker expects there takes the place of detections."""
        found = seen(self.name, view)[frame]
        if view.part is None:
            return found
        expected = self.tracker.predict(at_s)
        beyond = expected[~inside(expected.xyxy, view, self.picture_wh)]
        return Detections(
            np.concatenate([found.xyxy, beyond.xyxy]),
            np.concatenate([found.score, beyond.score]),
            np.concatenate([found.class_id, beyond.class_id]),
        )


def play(cameras: list[Camera], budget: Budget, phase: float) -> dict[str, list[Tracks]]:
    """Every frame of every camera with its boxes; `phase` 0..1 is where in a stride the counting begins."""
    for frame in range(max(camera.frames for camera in cameras)):
        costs = [budget.costs[camera.chooser.view] for camera in cameras]
        for number, (camera, cost) in enumerate(zip(cameras, costs, strict=True)):
            if frame >= camera.frames:
                continue
            gain = budget.share[camera.name]
            if budget.equal == "rate":
                gain = sum(budget.share[c.name] for c in cameras) * cost / sum(costs)
            if not frame:
                camera.credit = cost * (1 - (phase + GOLDEN * number) % 1) - gain
            camera.see(frame, gain, cost)
    for camera in cameras:
        camera.finished += camera.filling.flush()
    return {camera.name: [filled.tracks for filled in camera.finished] for camera in cameras}
