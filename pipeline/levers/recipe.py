"""What to make of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.geometry import WidthHeight

Precision = Literal["as it is", "f32", "f16", "int8"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make of a model.

    Attributes:
        input_wh: Width and height of the input, px; None keeps what the model has.
        precision: Of its weights; `int8` computes in 8 bits, too. `as it is` keeps them.

    Example:
        >>> str(Recipe((512, 288), "int8"))
        '512×288 int8'
    """

    input_wh: WidthHeight | None = None
    precision: Precision = "as it is"

    def __str__(self) -> str:
        size = [f"{self.input_wh[0]}×{self.input_wh[1]}"] if self.input_wh else []
        bits = [self.precision] if self.precision != "as it is" else []
        return " ".join([*size, *bits]) or "as it is"

    @property
    def slug(self) -> str:
        """The same for a file's name; empty where nothing changes."""
        return str(self).replace("×", "x").replace(" ", "-") if self != Recipe() else ""
