"""A number drawn into a picture so that it survives H.264: 24 black or white blocks of 16×16 px in the top left corner.

Twelve blocks are the number, twelve its complement, so that a picture without a number is told from one with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BITS = 12
MOST = (1 << BITS) - 1
BLOCK_PX = 16
_WEIGHTS = 1 << np.arange(BITS)
_DARK, _BRIGHT = 16, 235


def draw(luma: Any, number: int) -> None:
    """Draw `number`, 0..4095, into (H, W) uint8 luma of at least 16×384 px.

    Raises:
        ValueError: The number needs more bits.
    """
    if not 0 <= number <= MOST:
        raise ValueError(f"{number} cannot be drawn: only 0 to {MOST}")
    bits = (number & _WEIGHTS) > 0
    levels = np.where(np.concatenate((bits, ~bits)), _BRIGHT, _DARK).astype(np.uint8)
    luma[:BLOCK_PX, : 2 * BITS * BLOCK_PX] = np.repeat(levels, BLOCK_PX)


def read(picture: Any) -> int | None:
    """The number in (H, W) or (H, W, 3) uint8 of the size it was drawn in; None if there is none, or it is damaged."""
    middle = BLOCK_PX // 2
    samples = np.stack(
        [
            picture[middle + down, middle + right : 2 * BITS * BLOCK_PX : BLOCK_PX]
            for down in (-2, 2)
            for right in (-2, 2)
        ]
    )
    levels = samples.reshape(4, 2 * BITS, -1).mean(axis=(0, 2))
    bits = levels > 128
    if not np.array_equal(bits[:BITS], ~bits[BITS:]):
        return None
    return int(_WEIGHTS[bits[:BITS]].sum())
