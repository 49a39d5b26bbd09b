"""Constant velocity, all tracks of a camera at once, with the true time step.

The four edges of a box are filtered alike: all noise is proportional to the height of the box, as in SORT and
ByteTrack, and the same for each edge. So one 2×2 covariance a track (position, velocity) serves all four, and because
one gain for all commutes with any change of coordinates, this is the same filter as one of centre, width and height. A
prediction or correction is a handful of array operations with no inverse. Noise grows with elapsed time, not with
frames.

Arrays run over tracks along the last axis.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POSITION_NOISE = 0.3
"""Heights per √s that a position wanders beside its velocity. 0.2 to 0.4 are alike within 0.1 points of HOTA."""
VELOCITY_NOISE = 0.6
"""Heights per s per √s that a velocity wanders. 0.4 is as good; ByteTrack's, 1.0 at 30 fps, costs 0.4 points."""
MEASUREMENT_NOISE = 0.06
"""Heights; one standard deviation of an edge detected with score 0.75. 0.045 to 0.08: −0.2 to +0.4 points."""
LEAST_DOUBT = 0.02
"""No detection is exact, whatever its score."""
FIRST_VELOCITY_STD = 2.0
"""Heights per s; a new track may move in any direction. 1 to 4 are alike."""


def measurement_var(height: Floats, score: NDArray[np.floating]) -> Floats:
    """(N,) px²: what is not known of a detected box; a weak detection lies less well (NSA Kalman, arXiv:2202.11983)."""
    std = (2.0 * MEASUREMENT_NOISE) * height
    std *= std
    std *= np.maximum(1.0 - score, LEAST_DOUBT)
    return std


def first_covariance(height: Floats) -> Floats:
    """(3, N) px²/s, px², px²/s²: mixed, position and velocity variance of a new track."""
    out = np.zeros((3, len(height)))
    out[1] = np.square(2 * MEASUREMENT_NOISE * height)
    out[2] = np.square(FIRST_VELOCITY_STD * height)
    return out


def advance(covariance: Floats, height: Floats, elapsed_s: float) -> Floats:
    """(3, N): the covariance `elapsed_s` ≥ 0 later."""
    step, noise = _transition(elapsed_s)
    out: Floats = step @ covariance
    out += noise * (height * height)
    return out


def position_var(covariance: Floats, height: Floats, elapsed_s: Floats) -> Floats:
    """(N,) px²: the position's variance alone, `elapsed_s` ≥ 0 later, each track by a time of its own."""
    mixed, position, velocity = covariance
    wander = POSITION_NOISE**2 + (VELOCITY_NOISE**2 / 3.0) * elapsed_s * elapsed_s
    out: Floats = position + elapsed_s * (2.0 * mixed + elapsed_s * velocity + wander * (height * height))
    return out


@lru_cache(maxsize=64)
def _transition(t: float) -> tuple[Floats, Floats]:
    """What becomes of a covariance in `t` seconds, (3, 3), and what is added for each squared px of height, (3, 1)."""
    wander = VELOCITY_NOISE**2 * t
    step = np.array([[1.0, 0.0, t], [2 * t, 1.0, t * t], [0.0, 0.0, 1.0]])
    return step, np.array([[wander * t / 2], [POSITION_NOISE**2 * t + wander * t * t / 3], [wander]])


def correct(covariance: Floats, noise: Floats) -> Floats:
    """(2, N): what a surprise of 1 px changes, px/s and px; `covariance` is made that after the measurement."""
    mixed, position, velocity = covariance
    total = position + noise
    gains: Floats = covariance[:2] / total
    velocity -= gains[0] * mixed
    known = covariance[:2]
    known *= noise / total
    return gains
