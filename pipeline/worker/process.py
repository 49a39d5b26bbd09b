"""A worker's process: opens the parts, says that it is ready, works until it is told to stop."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection

import structlog

from pipeline.child import (
    DETECTOR_THREADS,
    end_with_parent,
    freeze_heap,
    go_first,
    ignore_terminal,
    name_thread,
    raise_descriptor_limit,
)
from pipeline.clock import SystemClock
from pipeline.config.values import Fleet, Model
from pipeline.detect import Detector, load_detector, load_second
from pipeline.errors import DetectorError, PipelineError
from pipeline.ledger import FileLedger
from pipeline.link import Settings, WorkerLink
from pipeline.logs import configure_logs
from pipeline.look.looks import Looks
from pipeline.publish import Publisher
from pipeline.runscope import RunScope
from pipeline.slot import SlotReader
from pipeline.worker.core import Core
from pipeline.worker.lanes import Beside, Lanes, lower_priority
from pipeline.worker.loop import Worker, WorkerParts, serving
from pipeline.worker.second import SecondModel, require_classes, second_model

log = structlog.get_logger()

BROKEN = 1
"""Exit code of a worker whose detector failed; it may work if it is started again."""
REFUSED = 2
"""Exit code of a worker that cannot serve this fleet."""
SWITCH_S = 0.0005
"""How long the loop may keep the interpreter from a lane that has its next picture: Python's 5 ms are a detection's
eighth. Three pairs of runs, six cameras on two cores: 0 to 3 more detections a second of 62."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """All a worker process needs to know.

    Attributes:
        name: For people.
        fleet: Its `model` is this worker's, for one device; which cameras it serves, they tell it themselves.
        scope: Where the slots are.
        link: The endpoint to which the cameras connect.
        publish_to: The inbox of the publisher.
    """

    name: str
    fleet: Fleet
    scope: RunScope
    link: str
    publish_to: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker's word that it can serve the fleet: its detector is loaded and warm.

    Attributes:
        input_wh: The model's input, px.
        max_batch: Frames in one inference at most.
        lanes: Inferences in flight at once.
    """

    input_wh: tuple[int, int]
    max_batch: int
    lanes: int


def run_worker(spec: WorkerSpec, report: Connection, beat: c_int64) -> None:
    """Run a worker in this process until SIGTERM or the parent's end.

    Args:
        spec: The fleet and where its parts meet.
        report: Gets one `WorkerReady`, or the `PipelineError` that says why it cannot serve the fleet.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    ignore_terminal()
    go_first()
    end_with_parent()
    configure_logs(spec.name)
    raise_descriptor_limit()
    with contextlib.ExitStack() as stack:
        try:
            worker, ready = _open(spec, beat, stack)
        except PipelineError as error:
            report.send(error)
            raise SystemExit(REFUSED) from None
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        freeze_heap()
        sys.setswitchinterval(SWITCH_S)
        report.send(ready)
        report.close()
        try:
            worker.run()
        except PipelineError as error:
            log.error(str(error))
            raise SystemExit(BROKEN) from None


def _open(spec: WorkerSpec, beat: c_int64, stack: contextlib.ExitStack) -> tuple[Worker, WorkerReady]:
    """Open every part; `stack` closes them in the reverse order."""
    fleet = spec.fleet
    publisher = Publisher(spec.publish_to)
    stack.callback(publisher.close)
    detector = _load_politely(fleet, fleet.model)
    seconds = _load_seconds(fleet, detector)
    looks = Looks([each.second for each in seconds], detector.class_names, SystemClock()) if seconds else None
    link = WorkerLink(spec.link)
    stack.callback(link.close)

    node = spec.scope.node("worker")

    def open_slot(camera_id: str) -> tuple[SlotReader, FileLedger]:
        return SlotReader(spec.scope, camera_id, node), FileLedger(spec.scope.ledger(camera_id))

    core = Core(
        fleet.name, serving(detector), settings_of(fleet), clock=SystemClock(), open_slot=open_slot, looks=looks
    )
    stack.callback(core.close)
    parts = WorkerParts(
        core=core,
        detector=detector,
        link=link,
        publisher=publisher,
        clock=SystemClock(),
        load=lambda model: _load_another(fleet, Model.model_validate_json(model)),
        open_lanes=lambda loaded: Lanes(loaded, fleet.worker.nice, _beside(loaded, looks, seconds)),
        name=spec.name,
        seconds=seconds,
    )
    worker = Worker(parts, beat)
    stack.callback(worker.close)
    return worker, WorkerReady(detector.input_wh, detector.max_batch, detector.lanes)


def _load_another(fleet: Fleet, model: Model) -> Detector:
    """What is to take over; it must know the classes that second looks are for, or no worker could begin with it."""
    detector = _load_politely(fleet, model)
    try:
        require_classes(fleet.cascade, detector.class_names)
    except DetectorError:
        detector.close()
        raise
    return detector


def _load_seconds(fleet: Fleet, detector: Detector) -> list[SecondModel]:
    """What takes second looks; as many lanes as the detector has, unless the file says otherwise."""
    require_classes(fleet.cascade, detector.class_names)
    seconds = []
    for name, look in fleet.cascade.items():
        try:
            seconds.append(second_model(name, look, _load_politely(fleet, look.model, lanes=detector.lanes)))
        except DetectorError as error:
            raise DetectorError(f"cascade.{name}.{error}") from error
    return seconds


def _beside(detector: Detector, looks: Looks | None, seconds: list[SecondModel]) -> Beside | None:
    """What the lanes of this detector do beside detecting."""
    if looks is None:
        return None
    return Beside(looks.cutter(detector.class_names), [second.detector for second in seconds])


def settings_of(fleet: Fleet) -> Settings:
    """What a fleet file says that holds for all cameras of a worker, and may change while it runs."""
    return Settings(
        fleet.slo.p95_ms / 1000,
        fleet.worker.max_wait_ms / 1000,
        fleet.publish.queue,
        max_loss=fleet.slo.max_loss,
        saves=fleet.power == "save",
    )


def _load_politely(fleet: Fleet, model: Model, lanes: int = 0) -> Detector:
    """The detector, loaded and warm, every thread of its library at the worker's lower priority.

    With `lanes` it is what takes a second look, in as many.

    Threads inherit the priority of the thread that starts them, so it is loaded in one that has been lowered.
    """
    loaded: list[Detector] = []
    failed: list[PipelineError] = []

    def load() -> None:
        name_thread(DETECTOR_THREADS)
        # What a server computes, threads here only carry, as the publisher's do: they stand back behind nothing.
        if model.backend != "triton":
            lower_priority(fleet.worker.nice)
        try:
            second = load_second(model, lanes) if lanes else None
            loaded.append(_warm(second or load_detector(model, fleet.worker.max_batch)))
        except PipelineError as error:
            failed.append(error)

    thread = threading.Thread(target=load, name="load")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    if not loaded:
        raise SystemExit("the detector's loading ended in the error above")
    return loaded[0]


def _warm(detector: Detector) -> Detector:
    """It, warm; one that fails at that is closed, as servers elsewhere may hold something for it."""
    try:
        detector.warm_up()
    except BaseException:
        detector.close()
        raise
    return detector
