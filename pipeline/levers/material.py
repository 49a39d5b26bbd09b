"""What a model is tried on: pictures and what is on them, and pictures to calibrate on; from a data set or a fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import load_fleet
from pipeline.config.values import Fleet, Model
from pipeline.errors import EvaluationError
from pipeline.evaluate.ground_truth import GroundTruth
from pipeline.levers import dataset as datasets
from pipeline.levers import recordings
from pipeline.levers.candidates import Contestant
from pipeline.levers.detecting import exam_by
from pipeline.levers.make import named
from pipeline.levers.network import open_source
from pipeline.levers.pictures import Exam, Picture, picture_file
from pipeline.levers.trial import Step, takes, usual_input

LOOKED_AT = 100
"""Pictures of a data set whose shape decides on that of the input."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line names.

    Attributes:
        model: The model.
        data: A DATASET.yaml.
        fleet: A fleet file.
        reference: A heavier model, whose boxes are the truth where nobody has labelled anything.
        calibrate: Whether pictures to calibrate on are needed.
        by_itself: Whether the model's own boxes are the truth where there is no other.
    """

    model: Path
    data: Path | None
    fleet: Path | None
    reference: Path | None
    calibrate: bool
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to try a model on.

    Attributes:
        fleet: The fleet, if one was named.
        template: How models are run: the fleet's `model:`, or defaults.
        exam: What they are judged by; None where there is nothing.
        calibration: Files of pictures, for INT8.
        calibrated_on: The same in words.
        grounds: The ground truth of the fleet's recordings; None where there is none.
        base: The model, with the input that it runs at.
    """

    fleet: Fleet | None
    template: Model
    exam: Exam | None
    calibration: tuple[Path, ...]
    calibrated_on: str
    grounds: Mapping[str, GroundTruth] | None
    base: Contestant

    def contestant(self, path: Path) -> Contestant:
        """Another model, at the same input if it can be, else at that which a fleet gives it.

        Raises:
            DetectorError: It is no model.
        """
        source = open_source(path)
        wh = self.base.wh if takes(source, self.base.wh) else usual_input(source, None, [self.base.wh])
        return Contestant(path, source, wh)


def gather(asked: Asked, folder: Path, step: Step) -> Material:
    """Everything that the command line names, read; blocks while recordings are.

    Args:
        asked: What it names.
        folder: For pictures to calibrate on; they have to stay until the models are made.
        step: Tells of progress.

    Raises:
        PipelineError: Something cannot be read, or does not fit together.
    """
    source = open_source(asked.model)
    fleet = load_fleet(asked.fleet) if asked.fleet else None
    dataset = datasets.read_dataset(asked.data) if asked.data else None
    template = fleet.model if fleet else Model(path=str(asked.model), backend="openvino")
    shots = _shots(fleet, dataset is not None, step)
    grounds = recordings.grounds_of(fleet) if fleet and shots else None
    judged, shown = shots[::2], shots[1::2] or shots
    exam = _exam(asked, template, dataset, judged, grounds, step)
    sizes = [datasets.size_of(picture) for picture in _few(exam.pictures)] if exam and fleet is None else []
    base = Contestant(asked.model, source, usual_input(source, fleet.model if fleet else None, sizes))
    calibration, words = _calibration(asked, dataset, shown, folder)
    if exam is not None and template.classes is not None:
        exam = exam.only(template.classes)
    return Material(fleet, template, exam, calibration, words, grounds, base)


def _exam(  # noqa: PLR0917
    asked: Asked,
    template: Model,
    dataset: datasets.Dataset | None,
    judged: list[recordings.Shot],
    grounds: dict[str, GroundTruth] | None,
    step: Step,
) -> Exam | None:
    """What models are judged by: the reference that was named, else labels, else ground truth, else the model."""
    if asked.reference is not None:
        return _by_reference(asked.reference, template, _pictures(dataset, judged), step)
    if dataset is not None:
        return datasets.exam_of(dataset)
    if grounds is not None:
        return recordings.exam_of(judged, grounds)
    if asked.by_itself and judged:
        return _by_reference(asked.model, template, [shot.picture for shot in judged], step)
    return None


def _shots(fleet: Fleet | None, optional: bool, step: Step) -> list[recordings.Shot]:
    """Frames of the fleet's recordings: as many to be judged as to calibrate on, in turns."""
    if fleet is None:
        return []
    if optional and not any(camera.url.kind == "file" for camera in fleet.cameras.values()):
        return []
    step("pictures from the recordings", 1)
    return recordings.frames_of(fleet, 2 * recordings.FRAMES)


def _by_reference(reference: Path, template: Model, pictures: Sequence[Picture], step: Step) -> Exam:
    source = open_source(reference)
    model = template.model_copy(
        update={
            "path": str(reference),
            "backend": "openvino",
            "devices": None,
            "input_wh": usual_input(source, None, [datasets.size_of(picture) for picture in _few(pictures)]),
        }
    )
    turn = step(f"the boxes of {named(reference)}", len(pictures))
    exam = exam_by(model, pictures, f"the boxes of {named(reference)} on {len(pictures)} pictures", turn)
    if not exam.objects:
        raise EvaluationError(f"{named(reference)} is sure of nothing on these {len(pictures)} pictures; take others")
    return exam


def _pictures(dataset: datasets.Dataset | None, judged: Sequence[recordings.Shot]) -> list[Picture]:
    if dataset is not None:
        return [picture_file(path) for path in dataset.judged]
    if not judged:
        raise EvaluationError("--reference needs pictures: give --fleet FLEET.yaml with recordings, or --data")
    return [shot.picture for shot in judged]


def _calibration(
    asked: Asked, dataset: datasets.Dataset | None, shown: list[recordings.Shot], folder: Path
) -> tuple[tuple[Path, ...], str]:
    """Files, and what they are: from the fleet's own recordings first, because those are its pictures."""
    if not asked.calibrate:
        return (), ""
    if shown:
        own = "" if dataset is not None else ", other frames than those it is judged on"
        return tuple(recordings.write_pictures(shown, folder)), f"{len(shown)} frames of the recordings{own}"
    if dataset is None:
        return (), ""
    same = set(dataset.shown) & set(dataset.judged)
    words = f"{len(dataset.shown)} pictures of {dataset.file.name}"
    return dataset.shown, words + (", which are also those it is judged on: new ones may do worse" if same else "")


def _few(pictures: Sequence[Picture]) -> Sequence[Picture]:
    return pictures[:: max(1, len(pictures) // LOOKED_AT)]
