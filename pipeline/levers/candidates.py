"""Which levers there are to pull on a model, and which of them are worth pulling together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.geometry import WidthHeight
from pipeline.levers.figures import Kind, Row
from pipeline.levers.make import named
from pipeline.levers.network import Source
from pipeline.levers.recipe import Recipe
from pipeline.levers.trial import takes

SHARES = (0.75, 0.65, 0.5)
"""Sides of the smaller inputs that are tried: of 640, 480 as in the lesson, 416, and 320."""
BATCHES = (4, 8)
WORTH = 1.05
"""Times as fast: levers that bring less are not combined with others."""
MOST_COMBINATIONS = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A form to be tried.

    Attributes:
        kind: The lever that it is.
        name: In words.
        source: The model that it is made of.
        recipe: How.
        wh: The input that it runs at, px.
        max_batch: Pictures at once; None leaves it to fleet and model.
        arithmetic: The type floats are computed in (`openvino.precision`); empty leaves it to the fleet.
    """

    kind: Kind
    name: str
    source: Path
    recipe: Recipe
    wh: WidthHeight
    max_batch: int | None = None
    arithmetic: str = ""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A model that is a candidate by itself: opened, and with the input that it runs at, px."""

    path: Path
    source: Source
    wh: WidthHeight


def smaller_inputs(wh: WidthHeight, stride: int) -> list[WidthHeight]:
    """Inputs of about the same shape, each side a multiple of `stride`.

    Example:
        >>> smaller_inputs((640, 384), 32)
        [(480, 288), (416, 256), (320, 192)]
    """
    sizes = [tuple(max(stride, round(side * share / stride) * stride) for side in wh) for share in SHARES]
    return [(width, height) for width, height in dict.fromkeys(sizes) if (width, height) != wh]


def singles(base: Contestant, others: Sequence[Contestant], inputs: Sequence[WidthHeight]) -> list[Candidate]:
    """Each lever alone."""
    path, wh = base.path, base.wh
    tried = [Candidate("model", named(other.path), other.path, Recipe(), other.wh) for other in others]
    tried += [Candidate("input", str(Recipe(size)), path, Recipe(size), size) for size in inputs]
    tried += [
        Candidate("f16", "f16", path, Recipe(precision="f16"), wh),
        Candidate("int8", "int8", path, Recipe(wh if takes(base.source, wh) else None, "int8"), wh),
        Candidate("f32", "floats computed in 32 bits", path, Recipe(), wh, arithmetic="f32"),
    ]
    tried += [Candidate("batch", f"batches of {size}", path, Recipe(), wh, max_batch=size) for size in BATCHES]
    return tried


def combinations(base: Contestant, others: Sequence[Contestant], rows: Sequence[Row]) -> list[Candidate]:
    """What is worth pulling together, by what each brought alone: best inputs and precision, and faster models.

    Args:
        base: The model.
        others: Models that are candidates, too.
        rows: What the levers brought alone.
    """
    inputs = [row.form.input_wh for row in _worth(rows, "input")]
    bits = next((row.kind for row in _worth(rows, "int8", "f16")), None)
    faster = {row.name for row in _worth(rows, "model")}
    models = [other for other in others if named(other.path) in faster]
    found = [] if bits is None else [_joined(base, size, bits) for size in inputs]
    found += [_joined(model, size, None) for model in models for size in inputs if takes(model.source, size)]
    if bits is not None:
        floats = [model for model in models if model.source.precision == "f32"]
        found += [_joined(model, size, bits) for model in floats for size in (model.wh, *inputs[:1])]
    return found[:MOST_COMBINATIONS]


def _joined(model: Contestant, size: WidthHeight, bits: Kind | None) -> Candidate:
    precision = "int8" if bits == "int8" else "f16" if bits == "f16" else "as it is"
    recipe = Recipe(size, precision)  # type: ignore[arg-type]
    return Candidate("combination", f"{named(model.path)} {recipe}", model.path, recipe, size)


def _worth(rows: Sequence[Row], *kinds: Kind) -> list[Row]:
    """Rows of these kinds that bring something, best leverage first."""
    found = [row for row in rows if row.kind in kinds and row.speed_up is not None and row.speed_up >= WORTH]
    return sorted(found, key=lambda row: -(row.leverage or row.speed_up or 0.0))
