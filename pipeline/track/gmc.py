"""How the camera moved between two pictures, by sparse optical flow. The tracker's only use of OpenCV.

Corners are followed by pyramidal Lucas-Kanade and a similarity (shift, turn, zoom) is fitted by RANSAC, so that what
moves by itself does not count. As in BoT-SORT (arXiv:2206.14651), on a small picture.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.track.tracker import Tracker

SMALL_WIDTH, SMALL_HEIGHT = 320, 640
"""Pixels at most; enough for a hundred corners. The slot's pictures are of about twice this width."""
LEAST_SIDE = 21
"""Pixels; OpenCV's flow looks at windows of this size, so a narrower picture says nothing."""
MAX_CORNERS = 200
LEAST_CORNERS = 10
"""Fewer do not tell the camera from one large object."""

Affine = NDArray[np.float32]
"""(2, 3) float32: a point of the earlier picture, as (x, y, 1), to where it is in the later one, px."""


def estimate(previous: NDArray[np.uint8], current: NDArray[np.uint8]) -> Affine:
    """The motion in pixels of pictures (H, W) or RGB (H, W, 3) uint8 of one size; the identity where it is not seen."""
    if min(previous.shape[:2]) < LEAST_SIDE:
        return identity()
    before, after = _grey(previous), _grey(current)
    corners = cv2.goodFeaturesToTrack(before, MAX_CORNERS, qualityLevel=0.01, minDistance=before.shape[1] / 50)
    if corners is None or len(corners) < LEAST_CORNERS:
        return identity()
    moved, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.empty_like(corners))
    followed = status.ravel() == 1
    if followed.sum() < LEAST_CORNERS:
        return identity()
    affine, inliers = cv2.estimateAffinePartial2D(corners[followed], moved[followed], ransacReprojThreshold=1.5)
    if affine is None or inliers.sum() < LEAST_CORNERS:
        return identity()
    return np.asarray(affine, np.float32)


class CameraMotion:
    """Tells a tracker how the camera moved between the pictures that were detected."""

    def __init__(self, tracker: Tracker, source_width: int) -> None:
        """For a new session.

        Args:
            tracker: Gets the motion before each `update`.
            source_width: Of the pictures that its boxes belong to, px.
        """
        self._tracker = tracker
        self._source_width = source_width
        self._last: NDArray[np.uint8] | None = None

    def see(self, small: NDArray[np.uint8]) -> None:
        """The shrunk picture of the detection that the tracker is updated with next."""
        # A model that takes over may want smaller pictures; what moved between two sizes is not known.
        if self._last is not None and self._last.shape == small.shape:
            self._tracker.compensate(scaled(estimate(self._last, small), self._source_width / small.shape[1]))
        self._last = small


def identity() -> Affine:
    """No motion."""
    return np.eye(2, 3, dtype=np.float32)


def scaled(affine: Affine, factor: float) -> Affine:
    """The same motion in a picture `factor` times as large."""
    out = affine.copy()
    out[:, 2] *= factor
    return out


def shrink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w) uint8 grey of a grey or RGB picture, for `estimate`.

    Of the picture's shape, within `SMALL_WIDTH` × `SMALL_HEIGHT` whatever that shape is, and never enlarged.
    """
    height, width = picture.shape[:2]
    scale = min(SMALL_WIDTH / width, SMALL_HEIGHT / height, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _grey(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if picture.ndim == 2:
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def read_small(path: Path) -> NDArray[np.uint8]:
    """The picture file, shrunk; for sequences on disk.

    Raises:
        OSError: It cannot be read.
    """
    picture = cv2.imread(str(path))  # BGR, unlike everything else here
    if picture is None:
        raise OSError(f"{path} is no picture that OpenCV can read")
    return shrink(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))
