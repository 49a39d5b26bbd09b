"""What this machine adds to a frame's way and takes for it, measured on the fleet's own stages.

A few of the fleet's cameras run with a detector that only waits, a known time and with a lane always free: what is
older than that is decoding, handing over, waking up and publishing. What follows when many frames come at once is not
measured but played (`rehearse.py`), so that constants of four cameras serve for forty.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.bench import machine
from pipeline.bench.figures import CameraCost, FleetRun, MeasuredService, Percentiles
from pipeline.bench.fleet import Span, measure_fleet
from pipeline.bench.service import time_batches
from pipeline.capacity.figures import Constants
from pipeline.config.camera import Stride
from pipeline.config.values import Fleet, Model, Slo, Worker
from pipeline.detect.stub import ServiceTime, StubDetector
from pipeline.errors import PipelineError
from pipeline.geometry import WidthHeight
from pipeline.supervise.status import role_of

FEW = 4
"""Cameras: ticks of six and more are heard together, and that is played, not measured."""
STRIDE = 2
"""Half of the frames are detected, so that both kinds are seen."""
LANES, SERVICE_MS, PATIENT_MS = 8, 10.0, 1000.0
SETTLE_S = 2.0
LIGHT, USUAL_FPS, MOST_STRIDE = 0.2, 25.0, 50
"""Share of one lane's time that is offered where the detector is measured in its worker; at this frame rate."""


def measure_constants(
    fleet: Fleet, costs: list[CameraCost], input_wh: WidthHeight, seconds: float, turn: Callable[[float], None]
) -> Constants:
    """The constants of this machine with the fleet's cameras; blocks for the start of a small fleet and `seconds`.

    Args:
        fleet: Whose first cameras are used.
        costs: What its cameras cost alone.
        input_wh: Of the detector that will be used, px: pictures are scaled to it.
        seconds: How long to measure.
        turn: Called several times a second with the seconds that are over; for progress.

    Raises:
        PipelineError: The fleet cannot be started, or no frame came.
    """
    waiting = _waiting(fleet, input_wh)
    run = measure_fleet(waiting, Span(SETTLE_S, seconds), turn)
    if not run.detected_hz or not run.published_hz:
        raise PipelineError(
            "no camera of the fleet delivered a frame while this machine was measured; see check --probe"
        )
    stub = StubDetector(lanes=1, max_batch=1, service=ServiceTime(a_ms=SERVICE_MS))
    own_ms = time_batches(stub, 0.3).batches[0].alone_ms
    stages = run.detected_stages
    decode_ms = {cost.camera_id: cost.decode_ms for cost in costs}
    mean_decode_ms = sum(decode_ms[name] for name in waiting.cameras) / len(waiting.cameras)
    camera_cores, worker_cores = _cores(run)
    return Constants(
        decode=stages["decode"],
        link=stages["slot"],
        lane=_beyond(stages["detect"], own_ms),
        publish=stages["publish"],
        hand_over_cpu_ms=round(max(0.0, 1000 * camera_cores / run.published_hz - mean_decode_ms), 4),
        worker_cpu_ms=round(1000 * worker_cores / run.published_hz, 4),
        cores=machine.usable_cores(),
        machine=machine.name(),
    )


def measure_in_place(
    fleet: Fleet, service: MeasuredService, constants: Constants, seconds: float, turn: Callable[[float], None]
) -> float:
    """How many times as long the detector takes in its worker, beside cameras that decode, as alone; 1 or more.

    Few frames are offered, so that hardly any has to share a core: what is left are caches and the interpreter's lock.
    The median is taken, because frames that had to share one all the same are played (`processor.py`).

    Raises:
        PipelineError: The fleet cannot be started, or no frame came.
    """
    alone_ms = service.batches[0].alone_ms
    stride = min(MOST_STRIDE, max(1, round(FEW * USUAL_FPS * alone_ms / 1000 / LIGHT)))
    run = measure_fleet(_few(fleet, stride), Span(SETTLE_S, seconds), turn)
    if not run.detected_hz:
        raise PipelineError("no frame was detected while the detector was measured in its worker")
    return round(max(1.0, (run.detected_stages["detect"].p50_ms - constants.lane.p50_ms) / alone_ms), 4)


def _waiting(fleet: Fleet, input_wh: WidthHeight) -> Fleet:
    """A few of the cameras with a detector that only waits."""
    model = Model(backend="stub", lanes=LANES, input_wh=input_wh, options={"a_ms": SERVICE_MS})
    return _few(fleet, STRIDE).model_copy(update={"model": model})


def _few(fleet: Fleet, stride: int) -> Fleet:
    """A few of the cameras, every frame of a stride one by one, however long it takes."""
    update = {"stride": Stride(min=stride, max=stride), "max_detect_hz": None, "min_detect_hz": 0.0}
    return fleet.model_copy(
        update={
            "cameras": {name: camera.model_copy(update=update) for name, camera in list(fleet.cameras.items())[:FEW]},
            "worker": Worker(max_batch=1, max_wait_ms=0, nice=fleet.worker.nice),
            "slo": Slo(p95_ms=PATIENT_MS),
            "page": None,
        }
    )


def _cores(run: FleetRun) -> tuple[float, float]:
    """Of the cameras' processes, and of worker and publisher."""
    cameras = sum(process.cores for process in run.processes if role_of(process.name) == "camera")
    return cameras, sum(process.cores for process in run.processes) - cameras


def _beyond(times: Percentiles, own_ms: float) -> Percentiles:
    """What is left of them without what the detector itself took."""
    p50, p95, p99 = (round(max(0.0, ms - own_ms), 3) for ms in (times.p50_ms, times.p95_ms, times.p99_ms))
    return Percentiles(p50_ms=p50, p95_ms=p95, p99_ms=p99)
