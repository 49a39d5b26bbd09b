"""Constant velocity, all tracks of a camera at once, with the true time step.

A box is (centre x, centre y, width, height). The four are filtered independently, so the covariance of a track is four
2×2 blocks and a prediction or correction is a dozen array operations, with no matrix product and no inverse.
Noise is proportional to the box height, as in SORT and ByteTrack, and grows with elapsed time, not with frames:
Ultralytics' ByteTrack adds (h/20)² px² to the position and (h/160 per frame)² to the velocity per frame at 30 fps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOTION = [
    ("mean", np.float64, 4),
    ("velocity", np.float64, 4),
    ("var", np.float64, 4),
    ("cov", np.float64, 4),
    ("velocity_var", np.float64, 4),
]
"""Fields of a structured array that hold the filter: px, px/s, px², px²/s, px²/s²."""

POSITION_NOISE = 0.27
"""Heights per √s that a position wanders beside its velocity: (h/20)² per frame at 30 fps."""
VELOCITY_NOISE = 1.0
"""Heights per s per √s that a velocity wanders: (h/160 per frame)² per frame at 30 fps."""
MEASUREMENT_NOISE = 0.05
"""Heights; one standard deviation of a detected edge: h/20."""
FIRST_VELOCITY_STD = 2.0
"""Heights per s; a new track may move in any direction: 10 × h/160 per frame at 30 fps."""


def to_cxcywh(xyxy: NDArray[np.floating]) -> Floats:
    """(N, 4) xyxy → (N, 4) float64 centre x, centre y, width, height."""
    out = np.empty(xyxy.shape, np.float64)
    np.subtract(xyxy[:, 2:], xyxy[:, :2], out=out[:, 2:])
    np.add(xyxy[:, 2:], xyxy[:, :2], out=out[:, :2])
    out[:, :2] *= 0.5
    return out


def to_xyxy(cxcywh: Floats) -> Floats:
    """(N, 4) centre x, centre y, width, height → (N, 4) float64 xyxy; a negative side counts as 0."""
    out = np.empty_like(cxcywh)
    half = np.maximum(cxcywh[:, 2:], 0.0) * 0.5
    np.subtract(cxcywh[:, :2], half, out=out[:, :2])
    np.add(cxcywh[:, :2], half, out=out[:, 2:])
    return out


def start(rows: NDArray[np.void], cxcywh: Floats) -> None:
    """Begin the filter of each row at a measured box, at rest, with no knowledge of its velocity."""
    height = cxcywh[:, 3:]
    rows["mean"] = cxcywh
    rows["velocity"] = 0.0
    rows["var"] = (2 * MEASUREMENT_NOISE * height) ** 2
    rows["cov"] = 0.0
    rows["velocity_var"] = (FIRST_VELOCITY_STD * height) ** 2


def advance(rows: NDArray[np.void], elapsed_s: float) -> None:
    """Carry every row `elapsed_s` ≥ 0 onwards, in place."""
    velocity_var, cov = rows["velocity_var"], rows["cov"]
    height_sq = np.square(np.maximum(rows["mean"][:, 3:], 1.0))
    rows["mean"] += rows["velocity"] * elapsed_s
    wander = VELOCITY_NOISE**2 * elapsed_s
    rows["var"] += (2 * elapsed_s) * cov + elapsed_s**2 * velocity_var
    rows["var"] += height_sq * (POSITION_NOISE**2 * elapsed_s + wander * elapsed_s**2 / 3)
    rows["cov"] += elapsed_s * velocity_var + height_sq * (wander * elapsed_s / 2)
    rows["velocity_var"] += height_sq * wander


def correct(rows: NDArray[np.void], index: NDArray[np.intp], cxcywh: Floats) -> None:
    """Take the measured box `cxcywh[i]` into row `index[i]`, in place."""
    var, cov = rows["var"][index], rows["cov"][index]
    surprise = cxcywh - rows["mean"][index]
    noise = np.square(MEASUREMENT_NOISE * cxcywh[:, 3:])
    gain = var / (var + noise)
    velocity_gain = cov / (var + noise)
    rows["mean"][index] += gain * surprise
    rows["velocity"][index] += velocity_gain * surprise
    rows["var"][index] = (1.0 - gain) * var
    rows["cov"][index] = (1.0 - gain) * cov
    rows["velocity_var"][index] -= velocity_gain * cov


def centre_std(rows: NDArray[np.void], ahead_s: float) -> Floats:
    """(N,) px: one standard deviation of the centre `ahead_s` ≥ 0 after the state, the larger of the two axes."""
    height_sq = np.square(np.maximum(rows["mean"][:, 3:], 1.0))
    var = rows["var"][:, :2] + (2 * ahead_s) * rows["cov"][:, :2] + ahead_s**2 * rows["velocity_var"][:, :2]
    var = var + height_sq * (POSITION_NOISE**2 * ahead_s + VELOCITY_NOISE**2 * ahead_s**3 / 3)
    return np.asarray(np.sqrt(var.max(axis=1)))
