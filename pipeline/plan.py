"""What a camera tells a worker about itself: how it is to be served, and never where it is or how to log in there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

from pipeline.config.camera import Camera

_RANKS = ("low", "normal", "high")
RATE_SLACK = 0.02
"""By how much a frame rate may seem to be above what it is: 25 a second, measured as 25.1, are 12.5 at stride 2."""


@dataclass(frozen=True, slots=True)
class StrideBounds:
    """What may be done to one camera.

    Attributes:
        least: The stride it has when there is room.
        most: The stride it never exceeds.
        rank: 0 gives way first: low priority 0, normal 1, high 2.
        weight: A camera of weight 2 keeps twice the detections of its equals.
        min_detect_hz: Its detections a second do not fall below, whatever the load.
        max_detect_hz: Its detections a second do not rise above, however much room there is, not even where `most`
            would have it so; 0: no bound. Where no whole stride lies between the two, `min_detect_hz` holds.
        by_content: Whether its share depends on what it sees.
    """

    least: int
    most: int
    rank: int = 1
    weight: float = 1.0
    min_detect_hz: float = 0.0
    by_content: bool = False
    max_detect_hz: float = 0.0

    def floor(self, fps: float) -> int:
        """The smallest stride allowed at this frame rate."""
        if self.max_detect_hz <= 0:
            return self.least
        capped = math.ceil((1 - RATE_SLACK) * fps / self.max_detect_hz)
        if self.min_detect_hz > 0:
            capped = min(capped, math.floor(fps / self.min_detect_hz))
        return max(self.least, capped)

    def ceiling(self, fps: float) -> int:
        """The largest stride allowed at this frame rate; never below the smallest."""
        kept = math.floor(fps / self.min_detect_hz) if self.min_detect_hz > 0 else self.most
        return max(self.floor(fps), min(self.most, kept))


class CameraPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a camera is to be served.

    Attributes:
        camera_id: Its name in the fleet file.
        stride: Between which bounds the stride is chosen, and who gives way first.
        pace: `live`: frames that come too late are given up. `archive`: a recording played as fast as it goes, which
            waits for the worker, for which no latency is promised and of which no admitted frame is given up.
        fill: What skipped frames get.
        max_delay_s: How long interpolation may hold a frame, s.
        max_fill_s: How long boxes live without a detection, s.
        high_score: A detection from here on may continue any object.
        birth_score: A detection from here on begins an object.
        gmc: Whether the camera moves and the tracker is told how, by optical flow.
        masks: Areas in which no box is published: polygons, as shares or in pixels of the camera's picture.
        blur: Classes whose objects the camera makes unrecognisable, and which the detector has to know for that.
    """

    camera_id: str
    stride: StrideBounds
    pace: Literal["live", "archive"] = "live"
    fill: Literal["predict", "interpolate", "none"] = "predict"
    max_delay_s: float = 0.3
    max_fill_s: float = 1.0
    high_score: float = 0.3
    birth_score: float = 0.4
    gmc: bool = False
    masks: tuple[tuple[tuple[float, float], ...], ...] = ()
    blur: tuple[str, ...] = ()


def camera_plan(camera: Camera) -> CameraPlan:
    """The plan of a camera as its fleet file describes it."""
    waits, track = camera.waits_for_worker, camera.track
    return CameraPlan(
        camera_id=camera.camera_id,
        stride=StrideBounds(
            least=camera.stride.min,
            most=camera.stride.min if waits else camera.stride.max,
            rank=_RANKS.index(camera.priority),
            weight=camera.weight,
            min_detect_hz=camera.min_detect_hz,
            by_content=camera.stride.policy == "content",
            max_detect_hz=0.0 if waits else camera.max_detect_hz or 0.0,
        ),
        pace="archive" if waits else "live",
        fill=track.fill,
        max_delay_s=track.max_delay_ms / 1000,
        max_fill_s=track.max_fill_ms / 1000,
        high_score=track.high_score,
        birth_score=track.birth_score,
        gmc=track.gmc == "sparse",
        masks=camera.privacy.masks,
        blur=camera.privacy.blur,
    )
