"""A form of a model, tried on this machine: how fast it is, and how well it does in an exam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.bench import machine
from pipeline.config.values import Fleet, Model
from pipeline.detect.shape import input_for
from pipeline.geometry import WidthHeight
from pipeline.levers.accuracy import accuracy
from pipeline.levers.detecting import detect_all
from pipeline.levers.figures import Accuracy, Form, Where
from pipeline.levers.network import Source, open_source
from pipeline.levers.pictures import Exam
from pipeline.levers.speed import fleet_with, measure_speed

Step = Callable[[str, float], Callable[[float], None]]
"""Begins a step that is called so and has so many parts; the function returned tells how many are done."""


@dataclass(frozen=True, slots=True)
class Lab:
    """What all forms of a model are tried with.

    Attributes:
        template: The fleet's `model:`, or one with defaults: how forms are run. Its path is of no account.
        fleet: Whose `worker:` counts; None for defaults.
        exam: What they are judged by; None to measure their speed alone.
        seconds: How long the speed of each is measured.
        step: Tells of progress.
    """

    template: Model
    fleet: Fleet | None
    exam: Exam | None
    seconds: float
    step: Step

    def model(self, path: Path, input_wh: WidthHeight) -> Model:
        """The `model:` of a fleet that runs the form at `path`."""
        return self.template.model_copy(
            update={"path": str(path), "backend": "openvino", "devices": None, "input_wh": input_wh}
        )

    def measure(self, name: str, model: Model, max_batch: int | None = None, known: Accuracy | None = None) -> Form:
        """A form's figures; blocks.

        Args:
            name: For people.
            model: The form, by `model`.
            max_batch: Pictures at once; None leaves it to the fleet and the model.
            known: Its accuracy, where it is known already.

        Raises:
            DetectorError: It cannot be loaded so, or fails.
        """
        opened = open_source(Path(model.path))
        turn = self.step(f"speed of {name}", self.seconds)
        speed = measure_speed(fleet_with(model, self.fleet), max_batch, self.seconds, turn)
        return Form(
            name=name,
            path=model.path,
            input_wh=model.input_wh or opened.picture_wh,
            precision=opened.precision,
            size_mb=round(opened.size_mb, 2),
            speed=speed,
            accuracy=known or self._judge(name, model),
        )

    def where(self) -> Where:
        """On what figures are measured."""
        return Where(
            machine=machine.name(),
            cores=machine.usable_cores(),
            pictures=self.exam.words if self.exam else "no labelled pictures",
            by_model=bool(self.exam and self.exam.by_model),
        )

    def _judge(self, name: str, model: Model) -> Accuracy | None:
        if self.exam is None:
            return None
        turn = self.step(f"accuracy of {name}", len(self.exam.pictures))
        return accuracy(self.exam, detect_all(model, self.exam.pictures, turn))


def usual_input(source: Source, template: Model | None, sizes: list[WidthHeight]) -> WidthHeight:
    """The input that a fleet gives a model by itself, px.

    Args:
        source: The model.
        template: A fleet's `model:`, whose `input_wh` goes first; None where there is no fleet.
        sizes: Of the pictures that it is to be tried on, where there is no fleet; with one, 16:9 as in a running one.
    """
    if template is not None and template.input_wh is not None:
        return template.input_wh
    wanted = input_for(source.picture_wh, [] if template is not None else sizes, source.metadata.stride)
    return wanted if takes(source, wanted) else source.picture_wh


def takes(source: Source, wh: WidthHeight) -> bool:
    """Whether a model's input can be made `wh` px."""
    whole = all(side % source.metadata.stride == 0 for side in wh)
    own = source.input_wh
    return own == wh or (whole and (own is None or (wh[0] <= own[0] and wh[1] <= own[1])))
