"""The model opened as a run opens it: on each device, in a process of its own, and closed again.

In a process of its own, because the libraries below it write what they like to stderr, and some end the process where a
file or a driver is not what they expect. What they have written is shown only where there is no better word.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from pipeline.child import end_with_parent, ignore_terminal
from pipeline.config.base import mask_value
from pipeline.config.cascade import SecondLook
from pipeline.config.values import Fleet, Model
from pipeline.doctor.finding import Finding, failure, ok
from pipeline.errors import DetectorError, PipelineError
from pipeline.redact import printable, redact
from pipeline.supervise.child import exit_words
from pipeline.supervise.service import LOADING_S
from pipeline.worker.second import require_classes

CLASSES_SHOWN = 6
LINES_SHOWN = 3
"""Of what libraries have written before the process ended."""


class OpenedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is, once it is loaded and warm.

    Attributes:
        about: What it is in the fleet file: `model`, or `cascade.` and the name of a second look.
        name: The file's, the server's, or the backend's where there is none.
        device: What computes, in the library's words.
        backend: What runs it.
        input_wh: The model's input, px.
        max_batch: Pictures in one inference at most.
        lanes: Inferences in flight at once.
        class_names: All that the model knows.
        kept: Those that the fleet wants; all without `model.classes`.
    """

    about: str = "model"
    name: str
    device: str
    backend: str
    input_wh: tuple[int, int]
    max_batch: int
    lanes: int
    class_names: list[str]
    kept: list[str]

    @property
    def words(self) -> str:
        """One line."""
        width, height = self.input_wh
        shown = ", ".join(self.kept[:CLASSES_SHOWN])
        more = len(self.kept) - CLASSES_SHOWN
        classes = (
            f"{len(self.kept)} of {len(self.class_names)} classes ({shown}{f' and {more} more' if more > 0 else ''})"
        )
        lanes = f"{self.lanes} lane{'' if self.lanes == 1 else 's'} of {self.max_batch}"
        return f"{self.name}: {width}×{height}, {classes}, {lanes}, by {self.backend} on {self.device}"


def open_models(fleet: Fleet) -> Iterator[OpenedModel | Finding]:
    """The model on each of its devices, then what takes second looks; or why one cannot be opened; blocks meanwhile."""
    first: OpenedModel | None = None
    for model in fleet.model.per_device():
        try:
            first = _opened(model, fleet.worker.max_batch)
            yield first
        except PipelineError as error:
            where = f"model on {model.device}" if fleet.model.devices else "model"
            yield failure(where, redact(error))
    for name, look in fleet.cascade.items():
        yield from _second(name, look, first)


def _second(name: str, look: SecondLook, first: OpenedModel | None) -> Iterator[OpenedModel | Finding]:
    """What a second look is; `first` is the detector, if that is known."""
    where = f"cascade.{name}"
    try:
        if first is not None:
            require_classes({name: look}, first.class_names)
        yield _opened(look.model, None, about=where, lanes=first.lanes if first is not None else 1)
    except PipelineError as error:
        yield failure(where, redact(error))


def finding_of(model: OpenedModel | Finding) -> Finding:
    """A line of the report."""
    return model if isinstance(model, Finding) else ok(model.about, model.words)


def _opened(model: Model, max_batch: int | None, *, about: str = "model", lanes: int = 0) -> OpenedModel:
    """What it is; with `lanes`, as what takes a second look in as many.

    Raises:
        PipelineError: It cannot be loaded, or the process that tried has died over it.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="camfleet-model-") as noise, ours:
        process = context.Process(
            target=_look, args=((model, max_batch, about, lanes), theirs, noise.name), daemon=True
        )
        process.start()
        theirs.close()
        try:
            if not ours.poll(LOADING_S):
                raise DetectorError(f"model: it is not loaded after {LOADING_S:.0f} s; does its device or driver hang?")
            told: OpenedModel | PipelineError = ours.recv()
        except EOFError:
            process.join()
            raise DetectorError(_why_died(process.exitcode, Path(noise.name))) from None
        finally:
            process.kill()
            process.join()
    if isinstance(told, PipelineError):
        raise told
    return told


def _why_died(code: int | None, noise: Path) -> str:
    lines = [line.strip() for line in noise.read_text("utf-8", "replace").splitlines() if line.strip()]
    last = printable(redact("; ".join(lines[-LINES_SHOWN:]))) or "it said nothing"
    return f"model: the process that loaded it {exit_words(code)}: {last}"


def _look(asked: tuple[Model, int | None, str, int], report: Connection, noise: str) -> None:
    """Load and warm it, and tell what it is; in a process of its own."""
    ignore_terminal()
    end_with_parent()
    quiet = os.open(noise, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    try:
        report.send(_loaded(*asked))
    except PipelineError as error:
        report.send(error)


def _loaded(model: Model, max_batch: int | None, about: str, lanes: int) -> OpenedModel:
    from pipeline.detect import load_detector, load_second
    from pipeline.detect.load import pick_backend

    detector = load_second(model, lanes) if lanes else load_detector(model, max_batch)
    try:
        detector.warm_up()
        wanted = None if model.classes is None else set(model.classes)
        return OpenedModel(
            about=about,
            name=mask_value(Path(model.path).name or model.backend),
            device=mask_value(str(getattr(detector, "device", model.device))),
            backend=pick_backend(model) if model.backend == "auto" else model.backend,
            input_wh=detector.input_wh,
            max_batch=detector.max_batch,
            lanes=detector.lanes,
            class_names=list(detector.class_names),
            kept=[name for name in detector.class_names if wanted is None or name in wanted],
        )
    finally:
        detector.close()
