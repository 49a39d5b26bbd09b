"""What a detector is built for where the model leaves it open: the picture's shape, and how many pictures at once."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.geometry import WidthHeight

USUAL_CAMERA_WH: WidthHeight = (1920, 1080)
"""The shape to expect of cameras that have not been seen yet: nearly every network camera sends 16:9."""


def input_for(own: WidthHeight, cameras: Sequence[WidthHeight], stride: int) -> WidthHeight:
    """The smallest input that shows every camera as large as a square of the model's own side would.

    A 16:9 picture in a square of 640 × 640 is 44 % padding, which costs as much as picture does; 640 × 384 shows it at
    the same scale (YOLO26n, bf16, 2 cores: 123 pictures a second instead of 78). A model whose own size is no square
    was made for a shape, and keeps it.

    Args:
        own: The size that the model was exported or trained for, px.
        cameras: Sizes of the cameras' pictures, px, as far as they are known.
        stride: Width and height are multiples of this, px.
    """
    if own[0] != own[1]:
        return own
    side = own[0]
    whs = cameras or (USUAL_CAMERA_WH,)
    widest = max(side * width / max(width, height) for width, height in whs)
    highest = max(side * height / max(width, height) for width, height in whs)
    return _up(widest, stride), _up(highest, stride)


def buckets(most: int) -> tuple[int, ...]:
    """1, 2, 4, 8 … and `most`: batch sizes for engines to which every new size costs preparing, memory and time.

    At worst nearly half of a batch is padding, on average a quarter; an engine prepared for each size up to 16 would
    hold 16 of them instead of 5.
    """
    sizes = [1]
    while sizes[-1] * 2 < most:
        sizes.append(sizes[-1] * 2)
    return (*sizes, most) if most > 1 else (1,)


def smallest(batches: Sequence[int], count: int) -> int:
    """The size of `batches`, ascending, that `count` pictures are computed in."""
    return next(size for size in batches if size >= count)


def _up(length: float, stride: int) -> int:
    return -(-round(length) // stride) * stride
