"""`camfleet levers`: every lever alone, then the sensible ones together, each made and measured on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.values import Model
from pipeline.errors import PipelineError
from pipeline.evaluate.ground_truth import GroundTruth
from pipeline.levers.board import ranked, row_of
from pipeline.levers.candidates import MOST_COMBINATIONS, Candidate, Contestant, combinations, singles
from pipeline.levers.export import disturbed
from pipeline.levers.figures import Form, Leaderboard, Row
from pipeline.levers.make import make_model, named
from pipeline.levers.network import arithmetic
from pipeline.levers.recipe import Recipe
from pipeline.levers.skipping import skipping_rows
from pipeline.levers.trial import Lab

UNSTEADY = 0.1
"""The base is measured first and last; where its speeds differ by more, a note says so."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to compare.

    Attributes:
        base: The model as it is.
        others: Models that may take its place: smaller, pruned, distilled.
        inputs: Smaller inputs to try, px.
        calibration: Files of pictures, for INT8.
        calibrated_on: The same in words.
        grounds: Ground truth of the fleet's recordings, by camera, for skipping frames; None where there is none.
    """

    base: Contestant
    others: Sequence[Contestant]
    inputs: Sequence[tuple[int, int]]
    calibration: Sequence[Path]
    calibrated_on: str
    grounds: Mapping[str, GroundTruth] | None


def pull(lab: Lab, wish: Wish, folder: Path) -> Leaderboard:
    """The leaderboard; blocks for minutes. What cannot be pulled has a row that says why.

    Args:
        lab: What forms are tried with.
        wish: What to compare.
        folder: Where the forms are made; they stay there.

    Raises:
        PipelineError: The base cannot be measured.
    """
    alone = singles(wish.base, wish.others, wish.inputs)
    turn = lab.step(f"levers of {named(wish.base.path)}", len(alone) + MOST_COMBINATIONS + 2 + bool(wish.grounds))
    attempts = _Attempts(lab, wish, folder)
    base = lab.measure("as it is", lab.model(wish.base.path, wish.base.wh))
    rows = [row_of("base", base, base)]
    turn(1)
    for candidate in alone:
        rows.append(attempts.row(candidate, base))
        turn(len(rows))
    for candidate in combinations(wish.base, wish.others, rows):
        rows.append(attempts.row(candidate, base))
        turn(len(rows))
    rows += attempts.skipping(base)
    again = lab.measure("as it is, again", lab.model(wish.base.path, wish.base.wh), known=base.accuracy)
    turn(len(alone) + MOST_COMBINATIONS + 2 + bool(wish.grounds))
    return Leaderboard(
        model=named(wish.base.path),
        where=lab.where(),
        rows=ranked(rows),
        notes=_notes(lab, wish, rows, again),
    )


class _Attempts:
    """Candidates, made and measured."""

    def __init__(self, lab: Lab, wish: Wish, folder: Path) -> None:
        self._lab, self._wish, self._folder = lab, wish, folder
        self._made: dict[tuple[Path, Recipe], Path] = {}

    def row(self, candidate: Candidate, base: Form) -> Row:
        """A candidate beside the base."""
        try:
            model = self._model(candidate)
            changes_boxes = candidate.kind != "batch"
            known = None if changes_boxes else base.accuracy
            return row_of(candidate.kind, self._lab.measure(candidate.name, model, candidate.max_batch, known), base)
        except PipelineError as error:
            return row_of(candidate.kind, _failed(candidate, error), base)

    def skipping(self, base: Form) -> list[Row]:
        """The rows of skipping frames; none without ground truth."""
        fleet, grounds = self._lab.fleet, self._wish.grounds
        if fleet is None or grounds is None:
            return []
        turn = self._lab.step("every frame, for the tracker", sum(len(ground.sequence) for ground in grounds.values()))
        model = self._lab.model(self._wish.base.path, self._wish.base.wh)
        try:
            return skipping_rows(fleet, model, grounds, base, turn)
        except PipelineError as error:
            skipped = Candidate("skipping", "skipping frames", self._wish.base.path, Recipe(), self._wish.base.wh)
            return [row_of("skipping", _failed(skipped, error), base)]

    def _model(self, candidate: Candidate) -> Model:
        model = self._lab.model(self._path(candidate), candidate.wh)
        if not candidate.arithmetic:
            return model
        return model.model_copy(
            update={"openvino": model.openvino.model_copy(update={"precision": candidate.arithmetic})}
        )

    def _path(self, candidate: Candidate) -> Path:
        """Where the form is; made once."""
        key = candidate.source, candidate.recipe
        if candidate.recipe == Recipe():
            return candidate.source
        if key not in self._made:
            self._lab.step(f"making {named(candidate.source)} {candidate.recipe}", 1)
            self._made[key] = make_model(candidate.source, candidate.recipe, self._wish.calibration, self._folder)
        return self._made[key]


def _failed(candidate: Candidate, error: PipelineError) -> Form:
    return Form(
        name=candidate.name,
        path=str(candidate.source),
        input_wh=candidate.wh,
        precision=candidate.recipe.precision,
        why_not=str(error),
    )


def _notes(lab: Lab, wish: Wish, rows: Sequence[Row], again: Form) -> list[str]:
    notes = []
    if lab.exam is not None and lab.exam.by_model:
        notes.append(
            f"Nobody has labelled these pictures: {lab.exam.words} are taken for the truth, its mistakes included."
        )
    if any(row.form.precision == "int8" and row.kind != "base" and not row.form.why_not for row in rows) and (
        wish.base.source.precision != "int8"
    ):
        notes.append(f"INT8 is calibrated on {wish.calibrated_on}.")
    computed = arithmetic()
    if computed != "f32":
        notes.append(
            f"This processor computes floats in {computed} by itself (openvino.precision: auto): an f16 file halves "
            "what is on disk, and what 16 bits bring shows in the row that computes in 32."
        )
    if wish.grounds is None:
        notes.append("Skipping frames is left out: it needs recordings with ground truth (--fleet).")
    notes += disturbed([row.form for row in rows])
    return notes + _unsteady(rows[0].form, again)


def _unsteady(first: Form, again: Form) -> list[str]:
    if first.speed is None or again.speed is None:
        return []
    ratio = again.speed.times_as_fast(first.speed)
    if abs(ratio - 1) < UNSTEADY:
        return []
    return [
        f"The model as it is was measured first and last, and was {ratio:.2f} times as fast the second time. The "
        "machine is not steady, so trust no smaller difference than that."
    ]
