"""What the independent subscriber saw, as columns: the ground of every figure and every verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.burst.listen import Heard
from pipeline.burst.match import true_ages_ms
from pipeline.burst.result import AgePercentiles, CameraFigures
from pipeline.clock import NS_PER_S


@dataclass(frozen=True, slots=True)
class CameraDepartures:
    """When the pictures of one camera left: (M,) by its sender reports, and by our clock; wall time, ns."""

    presented_ns: NDArray[np.int64]
    left_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Observed:
    """Every published frame of a run, (N,) each, in order of publication.

    Attributes:
        camera_ids: What `camera` is an index of.
        reasons: What `because` is an index of.
        at_s: When it was published, seconds after the first phase began.
        camera: Index of the camera.
        true_ms: Departure to publication; NaN where the departure is not known.
        fleet_ms: The age as the fleet says.
        detected: Whether the detector ran on it.
        because: Index of the reason why not, -1 where it did.
        stride: As published.
        lost: (L, 3): when it was told, index of the camera, frames; `causes` has the words.
        causes: One for each row of `lost`.
    """

    camera_ids: tuple[str, ...]
    reasons: tuple[str, ...]
    at_s: NDArray[np.float64]
    camera: NDArray[np.int64]
    true_ms: NDArray[np.float64]
    fleet_ms: NDArray[np.float64]
    detected: NDArray[np.bool_]
    because: NDArray[np.int64]
    stride: NDArray[np.float64]
    lost: NDArray[np.float64]
    causes: tuple[str, ...]

    @property
    def age_ms(self) -> NDArray[np.float64]:
        """The true age where it is known, else the fleet's own."""
        return np.where(np.isnan(self.true_ms), self.fleet_ms, self.true_ms)

    def within(self, start_s: float, end_s: float, cameras: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """(N,) the frames published from `start_s` to `end_s`, of some cameras or of all."""
        inside = (self.at_s >= start_s) & (self.at_s < end_s)
        return inside if cameras is None else inside & np.isin(self.camera, self.indices(cameras))

    def indices(self, cameras: Sequence[str]) -> list[int]:
        """The indices of these cameras."""
        return [self.camera_ids.index(camera_id) for camera_id in cameras]

    def filled(self, frames: NDArray[np.bool_]) -> dict[str, int]:
        """The undetected ones among `frames`, by reason."""
        counts = np.bincount(self.because[frames & ~self.detected], minlength=len(self.reasons))
        return {reason: int(count) for reason, count in zip(self.reasons, counts, strict=True) if count}

    def lost_in(self, start_s: float, end_s: float, cameras: Sequence[str]) -> dict[str, int]:
        """Frames lost, by cause."""
        told: dict[str, int] = {}
        wanted = self.indices(cameras)
        for (at_s, camera, frames), cause in zip(self.lost, self.causes, strict=True):
            if start_s <= at_s < end_s and camera in wanted:
                told[cause] = told.get(cause, 0) + int(frames)
        return told


def observe(
    heard: Heard, camera_ids: tuple[str, ...], departures: Mapping[str, CameraDepartures], zero_ns: int
) -> Observed:
    """What was heard, with the true ages, seconds counted from `zero_ns` of the wall clock."""
    frames = heard.frames[np.argsort(heard.frames["published_ns"], kind="stable")]
    true_ms = np.full(len(frames), np.nan)
    captured_ns = np.where(frames["by_rtcp"], frames["captured_ns"], 0)
    for index, camera_id in enumerate(camera_ids):
        if (left := departures.get(camera_id)) is not None:
            own = frames["camera"] == index
            true_ms[own] = true_ages_ms(captured_ns[own], frames["published_ns"][own], left.presented_ns, left.left_ns)
    lost = [((loss.published_ns - zero_ns) / NS_PER_S, loss.camera, loss.frames) for loss in heard.losses]
    return Observed(
        camera_ids=camera_ids,
        reasons=heard.reasons,
        at_s=(frames["published_ns"] - zero_ns) / NS_PER_S,
        camera=frames["camera"].astype(np.int64),
        true_ms=true_ms,
        fleet_ms=frames["age_ms"],
        detected=frames["detected"],
        because=frames["because"].astype(np.int64),
        stride=frames["stride"],
        lost=np.array(lost, np.float64).reshape(-1, 3),
        causes=tuple(loss.cause for loss in heard.losses),
    )


def ages(values_ms: NDArray[np.float64]) -> AgePercentiles:
    """Percentiles of `values_ms`, without NaN."""
    known = values_ms[~np.isnan(values_ms)]
    if not len(known):
        return AgePercentiles(p50=None, p95=None, p99=None)
    p50, p95, p99 = (round(float(value), 2) for value in np.percentile(known, (50, 95, 99)))
    return AgePercentiles(p50=p50, p95=p95, p99=p99)


def figures(
    observed: Observed, cameras: Sequence[str], span_s: tuple[float, float], offered: float, name: str = ""
) -> CameraFigures:
    """The figures of some cameras together over `span_s`, from and to; `offered` frames were in their recordings."""
    frames = observed.within(*span_s, cameras)
    return CameraFigures(
        camera_id=name or cameras[0],
        offered=round(offered, 1),
        published=int(frames.sum()),
        detected=int((frames & observed.detected).sum()),
        filled=observed.filled(frames),
        lost=observed.lost_in(*span_s, cameras),
        age=ages(observed.age_ms[frames]),
        fleet_age=ages(observed.fleet_ms[frames]),
        stride=round(float(observed.stride[frames].mean()), 2) if frames.any() else None,
    )
