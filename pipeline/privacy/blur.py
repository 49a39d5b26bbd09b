"""Objects made unrecognisable: where they may be in a picture, and what is left of them there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import cv2
import numpy as np

from pipeline.geometry import WidthHeight
from pipeline.privacy.stencil import Picture
from pipeline.wire import FrameResult, TrackedBox

Area = tuple[int, int, int, int]
"""Left, top, right, bottom, px; what is left of `right` and above `bottom` is within."""
CELLS = 12
"""Along the longer side of what is blurred: a head is an eighth of a person's height, and so less than four cells."""
_SMALLEST_PX = 4
"""Of a cell: less is no blur."""
_DOUBTS = 2
"""Standard deviations by which a box may be off: 95 of 100 are off by less."""
_Edges = tuple[float, float, float, float]


def areas_of(
    results: Sequence[FrameResult], classes: Collection[str], margin: float, picture_wh: WidthHeight
) -> list[Area]:
    """Where objects of these classes are in a picture, with margin; of several frames, all that each has swept.

    Args:
        results: What is known of the picture, or of the frames around it.
        classes: Names of the classes.
        margin: How far beyond a box, as a share of its width and height.
        picture_wh: Size of the picture, px; boxes are scaled to it.
    """
    swept: dict[tuple[str, int], _Edges] = {}
    for result in results:
        for box in result.tracks:
            if box.class_name in classes:
                key, edges = (result.session_id, box.track_id), _shares(box, margin, result.frame_wh)
                swept[key] = _both(swept[key], edges) if key in swept else edges
    return list(_in_px(swept.values(), picture_wh))


def pixelate(picture: Picture, areas: Sequence[Area]) -> None:
    """Leave of each area a few large cells, in place; one colour each, the mean of what was there."""
    for left, top, right, bottom in areas:
        part = picture[top:bottom, left:right]
        high, wide = part.shape[:2]
        if not high or not wide:
            continue
        cell_px = max(_SMALLEST_PX, max(wide, high) / CELLS)
        cells = max(1, round(wide / cell_px)), max(1, round(high / cell_px))
        few = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(few, (wide, high), interpolation=cv2.INTER_NEAREST)


def _shares(box: TrackedBox, margin: float, frame_wh: WidthHeight) -> _Edges:
    """The box with all that it may be off, as shares of its picture."""
    left, top, right, bottom = box.xyxy
    doubt_px = _DOUBTS * box.uncertainty_px
    aside, above = margin * (right - left) + doubt_px, margin * (bottom - top) + doubt_px
    wide, high = max(1, frame_wh[0]), max(1, frame_wh[1])
    return (left - aside) / wide, (top - above) / high, (right + aside) / wide, (bottom + above) / high


def _both(one: _Edges, other: _Edges) -> _Edges:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _in_px(some: Collection[_Edges], picture_wh: WidthHeight) -> Iterator[Area]:
    wide, high = picture_wh
    for left, top, right, bottom in some:
        yield (
            int(max(0, np.floor(left * wide))),
            int(max(0, np.floor(top * high))),
            int(min(wide, np.ceil(right * wide))),
            int(min(high, np.ceil(bottom * high))),
        )
