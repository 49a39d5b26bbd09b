"""Forms of models made and judged by `pipeline.levers`: the only file of this package that knows it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.values import Fleet, Model
from pipeline.errors import PipelineError
from pipeline.geometry import WidthHeight
from pipeline.tune.models import Variant


class ByLevers:
    """Variants of real models, judged on real pictures; what was made or judged once is known."""

    def __init__(self, fleet: Fleet, played: Fleet, exam: Any, folder: Path) -> None:
        """Begin; nothing is made or judged yet.

        Args:
            fleet: As its file says: how models are run.
            played: The same with recordings for cameras, of which INT8 is calibrated.
            exam: Pictures and what is on them.
            folder: Where models are made.
        """
        self._fleet, self._played, self._exam, self._folder = fleet, played, exam, folder
        self._opened: dict[str, Any] = {}
        self._made: dict[str, str] = {}
        self._accuracies: dict[str, float] = {}

    @property
    def basis(self) -> str:
        """On what."""
        return f"mAP50-95 on {self._exam.words}"

    def input_wh(self, source: str) -> WidthHeight:
        """As `Variants.input_wh`."""
        from pipeline.levers.trial import usual_input

        width, height = usual_input(self._open(source), self._fleet.model, [])
        return int(width), int(height)

    def is_int8(self, source: str) -> bool:
        """As `Variants.is_int8`."""
        return bool(self._open(source).precision == "int8")

    def make(self, variant: Variant) -> str:
        """As `Variants.make`; INT8 is calibrated on frames of the recordings that nothing is judged on."""
        from pipeline.levers import recordings
        from pipeline.levers.make import make_model
        from pipeline.levers.recipe import Recipe

        if variant.precision == "as it is":
            return variant.source
        key = f"{variant.source} {variant.precision}"
        if key not in self._made:
            with tempfile.TemporaryDirectory(prefix="camfleet-calibration-") as folder:
                shots = recordings.frames_of(self._played, 2 * recordings.FRAMES)
                pictures = recordings.write_pictures(shots[1::2] or shots, Path(folder))
                recipe = Recipe(None, variant.precision)
                self._made[key] = str(make_model(Path(variant.source), recipe, pictures, self._folder))
        return self._made[key]

    def loss(self, variant: Variant) -> float:
        """As `Variants.loss`."""
        return self._accuracy(Variant(self._fleet.model.path)) - self._accuracy(variant)

    def _accuracy(self, variant: Variant) -> float:
        from pipeline.levers.accuracy import accuracy
        from pipeline.levers.detecting import detect_all

        if variant.words not in self._accuracies:
            path = self.make(variant)
            model = _run_as(self._fleet.model, path, variant.input_wh or self.input_wh(path))
            found = accuracy(self._exam, detect_all(model, self._exam.pictures, lambda done: None))
            self._accuracies[variant.words] = float(found.map50_95)
        return self._accuracies[variant.words]

    def _open(self, source: str) -> Any:
        from pipeline.levers.network import open_source

        if source not in self._opened:
            self._opened[source] = open_source(Path(source))
        return self._opened[source]


def variants(
    fleet: Fleet, played: Fleet, folder: Path, data: Path | None, reference: Path | None
) -> tuple[ByLevers | None, str]:
    """What makes and judges forms of a fleet's model, or why nothing can; blocks while recordings are read.

    Args:
        fleet: As its file says.
        played: The same with recordings in place of its cameras.
        folder: Where models are made.
        data: Labelled pictures; None to judge by the recordings.
        reference: A better model, whose boxes are the truth; None where there are labels.

    Raises:
        PipelineError: What was named cannot be used.
    """
    try:
        exam = _exam(fleet, played, data, reference)
    except PipelineError as error:
        if data is not None or reference is not None:
            raise
        return None, " ".join(str(error).split())
    return (None, "") if exam is None else (ByLevers(fleet, played, exam, folder), "")


def _exam(fleet: Fleet, played: Fleet, data: Path | None, reference: Path | None) -> Any:
    """Pictures and what is on them; None where nothing says what is."""
    from pipeline.levers import dataset, recordings

    labelled = dataset.read_dataset(data) if data is not None else None
    grounds: Mapping[str, Any] | None = None
    if labelled is None and reference is None:
        grounds = recordings.grounds_of(played)
        if grounds is None:
            return None
    if labelled is not None and reference is None:
        exam = dataset.exam_of(labelled)
    elif grounds is not None:
        exam = recordings.exam_of(_judged(played), dict(grounds))
    else:
        exam = _by_reference(fleet, played, labelled, Path(str(reference)))
    return exam if fleet.model.classes is None else exam.only(fleet.model.classes)


def _judged(played: Fleet) -> list[Any]:
    """Every other of the frames that are looked at; the rest is for calibrating."""
    from pipeline.levers import recordings

    return list(recordings.frames_of(played, 2 * recordings.FRAMES)[::2])


def _by_reference(fleet: Fleet, played: Fleet, labelled: Any, reference: Path) -> Any:
    from pipeline.levers.detecting import exam_by
    from pipeline.levers.make import named
    from pipeline.levers.network import open_source
    from pipeline.levers.pictures import picture_file
    from pipeline.levers.trial import usual_input

    pictures: Sequence[Any] = [shot.picture for shot in _judged(played)] if labelled is None else []
    pictures = pictures or [picture_file(path) for path in labelled.judged]
    model = _run_as(fleet.model, str(reference), usual_input(open_source(reference), None, []))
    return exam_by(model, pictures, f"the boxes of {named(reference)} on {len(pictures)} pictures", lambda done: None)


def _run_as(model: Model, path: str, input_wh: WidthHeight) -> Model:
    """How a form is run to be judged: with what the fleet file says, on this machine's processor."""
    changes = {"path": path, "backend": "openvino", "devices": None, "device": "auto", "input_wh": input_wh}
    return model.model_copy(update=changes)
