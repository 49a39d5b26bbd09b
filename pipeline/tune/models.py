"""Other forms of a fleet's model and what they cost in accuracy: what a search asks of whoever can make and judge them.

`by_levers` answers with exports and pictures; `Pretended`, below, with what a test says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pipeline.geometry import WidthHeight

Precision = Literal["as it is", "f32", "f16", "int8"]

STEPS_DOWN = (0.75, 0.65, 0.5)
"""Smaller inputs to try, as shares of the model's own side; 640×384 becomes 480×288, 416×256 and 320×192."""
GRID_PX = 32
"""Sides of an input are multiples of this, the coarsest stride of YOLO's heads."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A model in one form.

    Attributes:
        source: Its path, as given.
        input_wh: Another input, px; None for its own.
        precision: Of its numbers.
    """

    source: str
    input_wh: WidthHeight | None = None
    precision: Precision = "as it is"

    @property
    def words(self) -> str:
        """Such as “yolo26n.pt 512×288 int8”."""
        size = [f"{self.input_wh[0]}×{self.input_wh[1]}"] if self.input_wh else []
        bits = [self.precision] if self.precision != "as it is" else []
        return " ".join([self.source.rstrip("/").rpartition("/")[2], *size, *bits])


class Variants(Protocol):
    """Makes forms of models, and knows what they cost. Calls block for seconds to minutes."""

    @property
    def basis(self) -> str:
        """In words: on what accuracy is measured."""
        ...

    def input_wh(self, source: str) -> WidthHeight:
        """The input at which the fleet runs a model by itself, px.

        Raises:
            PipelineError: There is no such model.
        """
        ...

    def is_int8(self, source: str) -> bool:
        """Whether a model computes in 8 bits as it is."""
        ...

    def make(self, variant: Variant) -> str:
        """The path of the model with these bits, to name in a fleet file; its source where it has them already.

        The input is none of its business: a fleet file sets that.

        Raises:
            PipelineError: It cannot be made.
        """
        ...

    def loss(self, variant: Variant) -> float:
        """Points of mAP50-95 that it loses against the fleet file's own model; below 0 where it is better.

        Raises:
            PipelineError: It cannot be made or judged.
        """
        ...


@dataclass(slots=True)
class Pretended:
    """Variants that are nowhere, for tests: their losses by words, their names as paths.

    Attributes:
        losses: By `Variant.words`; others lose nothing.
        own_wh: Input of every model, px.
        int8: Whether every model computes in 8 bits already.
        asked: What was judged, in order.
    """

    losses: Mapping[str, float] = field(default_factory=dict)
    own_wh: WidthHeight = (640, 384)
    int8: bool = True
    asked: list[str] = field(default_factory=list)

    @property
    def basis(self) -> str:
        """Nothing real."""
        return "pretended pictures"

    def input_wh(self, source: str) -> WidthHeight:
        """The same for all."""
        return self.own_wh

    def is_int8(self, source: str) -> bool:
        """The same for all."""
        return self.int8

    def make(self, variant: Variant) -> str:
        """A name that says what it would be."""
        return variant.source if variant.precision == "as it is" else f"{variant.source}-{variant.precision}"

    def loss(self, variant: Variant) -> float:
        """What the test says."""
        self.asked.append(variant.words)
        return self.losses.get(variant.words, 0.0)


def smaller_inputs(own: WidthHeight) -> list[WidthHeight]:
    """Inputs of about the same shape that cost less, the largest first; none larger than the grid allows."""
    found: list[WidthHeight] = []
    for share in STEPS_DOWN:
        width, height = (max(GRID_PX, round(side * share / GRID_PX) * GRID_PX) for side in own)
        if (width, height) != own and (width, height) not in found:
            found.append((width, height))
    return found
