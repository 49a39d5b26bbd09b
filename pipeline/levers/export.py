"""`camfleet export`: forms of a model, made and measured beside what they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DetectorError, EvaluationError
from pipeline.extras import require
from pipeline.geometry import WidthHeight
from pipeline.levers.figures import Exported, Form
from pipeline.levers.make import make_model, require_calibration
from pipeline.levers.network import open_source
from pipeline.levers.recipe import Recipe
from pipeline.levers.speed import MUCH
from pipeline.levers.trial import Lab


@dataclass(frozen=True, slots=True)
class Order:
    """What to make.

    Attributes:
        source: The model as it comes.
        base_wh: The input that a fleet gives it by itself, px.
        recipes: Its other forms.
        calibration: Files of pictures, for INT8.
        calibrated_on: The same in words.
        out: Where the forms are made.
    """

    source: Path
    base_wh: WidthHeight
    recipes: Sequence[Recipe]
    calibration: Sequence[Path]
    calibrated_on: str
    out: Path


def require_makeable(source: Path, recipes: Sequence[Recipe], *, pictures: bool) -> None:
    """Raise before any long work where a form cannot be made or judged.

    Args:
        source: The model.
        recipes: What is to be made of it.
        pictures: Whether there will be any.

    Raises:
        DetectorError: No such model, a precision that it cannot have, INT8 without pictures or without NNCF.
        EvaluationError: There are pictures to judge it by, and faster-coco-eval is not installed.
    """
    opened = open_source(source)
    for recipe in recipes:
        opened.require(recipe)
        require_calibration(source, recipe, pictures=pictures)
    if any(recipe.precision == "int8" for recipe in recipes):
        require("levers", "--precision int8", "nncf", error=DetectorError)
    if pictures:
        require("levers", "accuracy", "faster_coco_eval", error=EvaluationError)


def export(order: Order, lab: Lab) -> Exported:
    """Makes every form, then measures them all; blocks.

    Raises:
        DetectorError: A form cannot be made.
    """
    made = []
    for recipe in order.recipes:
        lab.step(f"making {recipe}", 1)
        made.append(make_model(order.source, recipe, order.calibration, order.out))
    before = lab.measure("before", lab.model(order.source, order.base_wh))
    after = [
        lab.measure(str(recipe), lab.model(path, recipe.input_wh or order.base_wh))
        for recipe, path in zip(order.recipes, made, strict=True)
    ]
    return Exported(where=lab.where(), before=before, after=after, notes=_notes(order, lab, [before, *after]))


def _notes(order: Order, lab: Lab, forms: Sequence[Form]) -> list[str]:
    notes = []
    if lab.exam is None:
        notes.append("Accuracy is unknown: give --data DATASET.yaml, or --fleet FLEET.yaml with recordings.")
    elif lab.exam.by_model:
        notes.append("Nobody has labelled these pictures: the boxes of the model before are taken for the truth.")
    if any(recipe.precision == "int8" for recipe in order.recipes):
        notes.append(f"INT8 is calibrated on {order.calibrated_on}.")
    notes += disturbed(forms)
    return notes


def disturbed(forms: Sequence[Form]) -> list[str]:
    """A sentence where other programs had a share of the machine that shows in the speeds."""
    others = [form.speed.other_cores for form in forms if form.speed is not None]
    if not others or max(others) < MUCH:
        return []
    told = f"Other programs took up to {max(others):.1f} cores meanwhile, so images a second are too few"
    if any(form.speed.by_cpu_time for form in forms if form.speed is not None):
        return [f"{told}; the speed-ups go by CPU time for an image. Measure again when they have ended."]
    return [f"{told}. Measure again when they have ended."]
