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

from pipeline.child import end_with_parent, hurry, settle
from pipeline.clock import SystemClock
from pipeline.config.values import Fleet
from pipeline.detect import Detector, load_detector
from pipeline.errors import PipelineError
from pipeline.link import WorkerLink
from pipeline.logs import configure_logs
from pipeline.publish import Publisher
from pipeline.runscope import RunScope
from pipeline.slot import SlotReader
from pipeline.track.fill import FillMode
from pipeline.track.tracker import TrackerConfig
from pipeline.worker.channel import Channel, ChannelPlan
from pipeline.worker.channels import Channels
from pipeline.worker.compose import Composer
from pipeline.worker.lanes import Lanes, lower_priority
from pipeline.worker.ledger import Ledger, LedgerMemory
from pipeline.worker.scheduler import BatchPolicy, Scheduler
from pipeline.worker.stream import Job
from pipeline.worker.stride import StrideBounds, StrideController
from pipeline.worker.worker import Worker, WorkerParts

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
        fleet: The whole fleet; its `model` is this worker's, for one device.
        cameras: Those it serves from the beginning; any other of the fleet may come to it later.
        scope: Where the slots are.
        link: The endpoint to which the cameras connect.
        publish_to: Where to publish; a restarted worker gets the very endpoint of the one before.
        relayed: Whether a relay is bound there, which brings the results of several workers together.
    """

    name: str
    fleet: Fleet
    cameras: tuple[str, ...]
    scope: RunScope
    link: str
    publish_to: str
    relayed: bool = False


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker's word that it can serve the fleet: its detector is loaded and warm.

    Attributes:
        endpoint: Where it publishes; its relay's, if it has one.
        input_wh: The model's input, px.
        max_batch: Frames in one inference at most.
        lanes: Inferences in flight at once.
    """

    endpoint: str
    input_wh: tuple[int, int]
    max_batch: int
    lanes: int


def run_worker(spec: WorkerSpec, memory: LedgerMemory, report: Connection, beat: c_int64) -> None:
    """Run a worker in this process until SIGTERM or the parent's end.

    Args:
        spec: The fleet and where its parts meet.
        memory: The ledger's, kept by the supervisor across workers.
        report: Gets one `WorkerReady`, or the `PipelineError` that says why it cannot serve the fleet.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hurry()
    end_with_parent()
    configure_logs(spec.name)
    with contextlib.ExitStack() as stack:
        try:
            worker, ready = _open(spec, memory, beat, stack)
        except PipelineError as error:
            report.send(error)
            raise SystemExit(REFUSED) from None
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        settle()
        sys.setswitchinterval(SWITCH_S)
        report.send(ready)
        report.close()
        try:
            worker.run()
        except PipelineError as error:
            log.error(str(error))
            raise SystemExit(BROKEN) from None


def _open(
    spec: WorkerSpec, memory: LedgerMemory, beat: c_int64, stack: contextlib.ExitStack
) -> tuple[Worker, WorkerReady]:
    """Open every part; `stack` closes them in the reverse order."""
    fleet = spec.fleet
    publisher = Publisher(spec.publish_to, fleet.publish.queue, relayed=spec.relayed)
    stack.callback(publisher.close)
    detector = _load_politely(fleet)
    stack.callback(detector.close)
    lanes: Lanes[Job] = Lanes(detector, fleet.worker.nice)
    stack.callback(lanes.close)
    link = WorkerLink(spec.link)
    stack.callback(link.close)
    ledger = Ledger(memory)

    def make(plan: ChannelPlan, phase: int) -> Channel:
        composer = Composer(fleet.name, plan.camera_id, detector.class_names, SystemClock())
        slot = SlotReader(spec.scope, plan.camera_id)
        return Channel(plan, slot, ledger, composer, detector.input_wh, phase=phase)

    plans = channel_plans(fleet)
    channels = Channels(plans, make)
    stack.callback(channels.close)
    for camera_id in spec.cameras:
        channels.open(camera_id)
    scheduler = Scheduler(BatchPolicy(detector.max_batch, fleet.worker.max_wait_ms / 1000))
    deadline_s = fleet.slo.p95_ms / 1000
    # Told of all cameras; those that are served elsewhere have no frame rate here and so no part in its arithmetic.
    controller = StrideController({plan.camera_id: plan.stride for plan in plans})
    parts = WorkerParts(channels, lanes, scheduler, controller, link, publisher, SystemClock())
    worker = Worker(parts, deadline_s, beat)
    lanes.start()
    return worker, WorkerReady(publisher.endpoint, detector.input_wh, detector.max_batch, detector.lanes)


def channel_plans(fleet: Fleet) -> list[ChannelPlan]:
    """What a worker is to do with each camera, in the order of the fleet file."""
    return [
        ChannelPlan(
            camera_id=camera_id,
            index=index,
            stride=StrideBounds(
                least=camera.stride.min,
                most=camera.stride.min if camera.waits_for_worker else camera.stride.max,
                rank=("low", "normal", "high").index(camera.priority),
                weight=camera.weight,
                min_detect_hz=camera.min_detect_hz,
                by_content=camera.stride.policy == "content",
            ),
            fill=FillMode(camera.track.fill),
            max_delay_s=camera.track.max_delay_ms / 1000,
            tracker=TrackerConfig(
                high_score=camera.track.high_score,
                birth_score=camera.track.birth_score,
                max_fill_s=camera.track.max_fill_ms / 1000,
            ),
            waits=camera.waits_for_worker,
            gmc=camera.track.gmc == "sparse",
        )
        for index, (camera_id, camera) in enumerate(fleet.cameras.items())
    ]


def _load_politely(fleet: Fleet) -> Detector:
    """The detector, loaded and warm, every thread of its library at the worker's lower priority.

    Threads inherit the priority of the thread that starts them, so it is loaded in one that has been lowered.
    """
    loaded: list[Detector] = []
    failed: list[PipelineError] = []

    def load() -> None:
        lower_priority(fleet.worker.nice)
        try:
            detector = load_detector(fleet.model, fleet.worker.max_batch)
            detector.warm_up()
            loaded.append(detector)
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
