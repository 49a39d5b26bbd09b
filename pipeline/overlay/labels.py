"""Where labels go, so that they hide neither each other nor lie outside the picture; arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.geometry import WidthHeight

Area = tuple[int, int, int, int]
"""Left, top, right, bottom, px."""


def place(boxes: Sequence[Area], sizes_wh: Sequence[WidthHeight], picture_wh: WidthHeight) -> list[Area]:
    """A place for the label of each box: above it where that is free, else inside, below or aside.

    Args:
        boxes: What is labelled; who comes first chooses first.
        sizes_wh: Of each label, px.
        picture_wh: Of the picture, px.
    """
    placed: list[Area] = []
    for box, size_wh in zip(boxes, sizes_wh, strict=True):
        candidates = [_inside(area, picture_wh) for area in _candidates(box, size_wh)]
        placed.append(min(candidates, key=lambda area: sum(_overlap(area, other) for other in placed)))
    return placed


def _candidates(box: Area, size_wh: WidthHeight) -> Iterator[Area]:
    """In the order in which they are liked; `min` takes the first of equals."""
    (left, top, right, bottom), (width, height) = box, size_wh
    for x, y in (
        (left, top - height),
        (right - width, top - height),
        (left, top),
        (left, bottom),
        (right - width, bottom),
        (right, top),
        (left - width, top),
        (left, top - 2 * height),
    ):
        yield x, y, x + width, y + height


def _inside(area: Area, picture_wh: WidthHeight) -> Area:
    """Moved into the picture, as far as it fits."""
    left, top, right, bottom = area
    x = max(0, min(left, picture_wh[0] - (right - left)))
    y = max(0, min(top, picture_wh[1] - (bottom - top)))
    return x, y, x + right - left, y + bottom - top


def _overlap(a: Area, b: Area) -> int:
    """What two areas share, px²."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)
