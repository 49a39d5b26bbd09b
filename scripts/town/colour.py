"""What people would call the paint of a car or van, of which the town knows the exact colour."""

from __future__ import annotations

import numpy as np

from town.look import PAINTS, VANS, Colour

COLOURS = ("beige", "black", "blue", "brown", "green", "grey", "red", "white", "yellow")
"""Names in the order of the classifier's classes."""
PAINTED = ("car", "van")
"""The kinds of objects that have paint."""
_PAINT_NAMES = (
    *("red", "blue", "white", "black", "grey", "yellow", "green", "blue", "grey", "brown", "beige", "grey"),
    *("white", "white", "yellow", "blue", "white", "red", "green"),
)
"""Of each of `PAINTS`, then of each of `VANS`."""


def colour_name(paint: Colour) -> str:
    """The name of the paint that a look's colour, BGR, was drawn from: the nearest of them."""
    known = np.array([*PAINTS, *VANS], float)
    return _PAINT_NAMES[int(np.linalg.norm(known - paint, axis=1).argmin())]
