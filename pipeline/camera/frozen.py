"""Since when a camera's pictures do not change: the stream goes on, and shows the same picture again and again.

A sensor has noise, so no two pictures of a living camera are equal bit by bit; those of a hung one are. Two things look
alike, though: a hung camera, and a still scene that the encoder saves bits on, where every picture between two key
frames says "as before". Measured on a still scene with noise of 1 to 3 grey levels (x264, crf 28 to 40): equal for the
whole of a key-frame interval, 1.9 s of 2, and different after each key frame. So the same picture counts as frozen only
once a key frame, which is drawn anew, has shown it again.
"""

from __future__ import annotations

import zlib

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.camera.resize import luma_view
from pipeline.clock import NS_PER_S, Clock

FROZEN_S = 3.0
"""Pictures that are the same for so long are frozen. The longest equal stretch in 12 recordings (6 of real cameras, of
10 to 30 fps and 225 s together; 6 rendered ones of 12 s each) is 0.2 s: two pictures of a corridor at 10 fps."""
LOOK_EVERY_S = 0.3
"""How often pictures between two key frames are looked at."""
SAMPLED_ROWS = 90
"""Luma is looked at in about so many rows, and as densely in each: 160x90 of 1280x720. Measured, a picture: 12 µs at
1280x720 and 1920x1080, 25 µs at 3840x2160, up to 30 and 53 µs while others used the machine. Twice as dense in both
directions costs 64 µs at 1280x720 and finds the same equal stretches in the recordings."""


class Frozen:
    """Looks at one camera's pictures in order; a new one for every stream. Keeps a number, and no picture."""

    def __init__(self, after_s: float = FROZEN_S) -> None:
        """Nothing was seen yet.

        Args:
            after_s: How long pictures must have been the same.
        """
        self._after_s = after_s
        self._checksum: int | None = None
        self._since_s = 0.0
        self._last_s = 0.0
        self._drawn_anew = False

    def see(self, luma: NDArray[np.uint8], now_s: float, *, key_frame: bool = True) -> bool:
        """Whether the pictures are frozen, this one included.

        Args:
            luma: (H, W) uint8, rows may lie apart; only read during the call.
            now_s: The picture's time, s; the monotonic clock's or the stream's.
            key_frame: Whether the picture does not refer to others; always so for MJPEG.
        """
        checksum = zlib.crc32(_sample(luma))
        self._last_s = now_s
        if checksum != self._checksum:
            self._checksum, self._since_s, self._drawn_anew = checksum, now_s, False
        elif key_frame:
            self._drawn_anew = True
        return self.frozen

    @property
    def unchanged_s(self) -> float:
        """For how long, up to the newest picture, the pictures have been the same."""
        return self._last_s - self._since_s

    @property
    def frozen(self) -> bool:
        """Whether the newest picture has been shown for too long."""
        return self._drawn_anew and self.unchanged_s >= self._after_s


class FrozenPictures:
    """The same for decoded frames, whatever their pixel format: those without a plane of 8-bit luma never are.

    Key frames are looked at, and of the others a few a second: twelve cameras of 25 fps lost 4 % of their processor to
    looking at each, most of it for memory that was cold.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._frozen = Frozen()
        self._looked_s = float("-inf")

    def see(self, frame: av.VideoFrame) -> bool:
        """Whether the pictures are frozen, this one included."""
        now_s, key_frame = self._clock.monotonic_ns() / NS_PER_S, frame.key_frame
        if not key_frame and now_s - self._looked_s < LOOK_EVERY_S:
            return self._frozen.frozen
        self._looked_s = now_s
        luma = luma_view(frame)
        return luma is not None and self._frozen.see(luma, now_s, key_frame=key_frame)


def _sample(luma: NDArray[np.uint8]) -> memoryview:
    step = max(1, luma.shape[0] // SAMPLED_ROWS)
    return np.ascontiguousarray(luma[::step, ::step]).data
