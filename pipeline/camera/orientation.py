"""Which side of a picture is up: by the recording's own word (a phone held upright), and by how a camera is mounted."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

from pipeline.geometry import WidthHeight

_MATRIX = struct.Struct("<9i")
"""FFmpeg's display matrix, as in ISO/IEC 14496-12 §8.3.2: (a b u, c d v, x y w); a picture's (x, y) is shown at
(ax + cy, bx + dy)."""
_TURNS = {(1, 0): 0, (0, 1): 1, (-1, 0): 2, (0, -1): 3}
"""Quarter turns clockwise by where the matrix takes the picture's x axis."""
_ROTATIONS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a picture upright: first it is mirrored, left and right, then turned.

    Attributes:
        turns: Quarter turns clockwise, 0 to 3.
        mirrored: Whether left and right change places.
    """

    turns: int = 0
    mirrored: bool = False

    def then(self, other: Orientation) -> Orientation:
        """Both, `other` after this one.

        Example:
            >>> Orientation(turns=1).then(Orientation(mirrored=True)).then(Orientation(turns=1))
            Orientation(turns=0, mirrored=True)
        """
        turns = -self.turns if other.mirrored else self.turns
        return Orientation((turns + other.turns) % 4, self.mirrored != other.mirrored)

    def upright_wh(self, wh: WidthHeight) -> WidthHeight:
        """Size of the upright picture, px; the way back is the same."""
        return (wh[1], wh[0]) if self.turns % 2 else wh

    def make_upright(self, picture: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        """Write the upright picture into `out`.

        Args:
            picture: (H, W, 3) uint8.
            out: (H, W, 3) uint8 of the upright size, contiguous, other memory.
        """
        source = cv2.flip(picture, 1) if self.mirrored else picture
        if self.turns:
            cv2.rotate(source, _ROTATIONS[self.turns - 1], dst=out)
        else:
            np.copyto(out, source)


UPRIGHT = Orientation()


def told_orientation(frame: av.VideoFrame) -> Orientation:
    """What a frame says of itself; turns by anything but quarters, which only editors write, are left alone."""
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return UPRIGHT
    assert isinstance(side_data, SideData)
    a, b, _, c, d, *_ = (round(value / 65536) for value in _MATRIX.unpack_from(side_data))
    mirrored = a * d - b * c < 0
    turns = _TURNS.get((-a, -b) if mirrored else (a, b))
    return UPRIGHT if turns is None else Orientation(turns, mirrored)
