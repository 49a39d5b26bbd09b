"""A fleet of a file, measured in parts and planned as a whole: its cameras alone, its detector alone, this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from pipeline.bench.decode import measure_decode
from pipeline.bench.figures import CameraCost, MeasuredService
from pipeline.bench.service import measure_service
from pipeline.capacity.answer import judge_giving_way, more_of, newcomers
from pipeline.capacity.arithmetic import size
from pipeline.capacity.constants import measure_constants, measure_in_place
from pipeline.capacity.figures import Constants, More, Plan, Sizing, Step
from pipeline.capacity.processor import Device
from pipeline.capacity.rehearse import Span, Stage, rehearse
from pipeline.capacity.service import ServiceTimes
from pipeline.capacity.task import Overheads, Source, Task
from pipeline.config.values import Fleet
from pipeline.errors import ConfigError, PipelineError
from pipeline.plan import camera_plan

SERVICE_S, DECODE_S, CONSTANTS_S, IN_PLACE_S = 4.0, 1.5, 5.0, 5.0
Turn = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """A fleet's parts, each measured alone.

    Attributes:
        service: Its detector.
        costs: Its cameras.
        constants: This machine.
        in_place: How many times as long the detector takes in its worker as alone.
    """

    service: MeasuredService
    costs: Sequence[CameraCost]
    constants: Constants
    in_place: float = 1.0

    @property
    def where(self) -> str:
        """What it was measured on."""
        return f"{self.constants.cores:g} cores, {self.constants.machine}"

    def frame_cpu_ms(self, cost: CameraCost) -> float:
        """CPU time that a frame of this camera takes beside the detector."""
        return cost.decode_ms + self.constants.hand_over_cpu_ms + self.constants.worker_cpu_ms

    @property
    def busy_cores(self) -> float:
        """Cores that all cameras' frames keep busy beside the detector."""
        return sum(cost.fps * self.frame_cpu_ms(cost) for cost in self.costs) / 1000


def measure(fleet: Fleet, step: Callable[[str, float], Turn]) -> Measured:
    """The parts of a fleet; blocks for about a quarter of a minute.

    Args:
        fleet: Its cameras are opened, and its detector loaded.
        step: Called with the words for each part and how long it takes; gives what is called with how far it is.

    Raises:
        ConfigError: A camera of it cannot be planned for.
        PipelineError: A camera does not answer, or the detector cannot be loaded.
    """
    require_live(fleet)
    service = measure_service(fleet, SERVICE_S, step("the detector alone, batch by batch", SERVICE_S))
    count = len(fleet.cameras)
    turn, done = step(f"{count} camera{'' if count == 1 else 's'}, each alone", count), []

    def known(cost: CameraCost) -> None:
        done.append(cost)
        turn(len(done))

    costs = measure_decode(fleet.cameras.values(), service.input_wh, DECODE_S, known)
    for cost in costs:
        if cost.error:
            raise PipelineError(f"camera {cost.camera_id}: {cost.error}; a plan needs every camera, leave this one out")
    constants = measure_constants(
        fleet, costs, service.input_wh, CONSTANTS_S, step("what this machine adds", CONSTANTS_S)
    )
    turn = step("the detector in its worker", IN_PLACE_S)
    return Measured(service, costs, constants, measure_in_place(fleet, service, constants, IN_PLACE_S, turn))


def require_live(fleet: Fleet) -> None:
    """Every camera promises something.

    Raises:
        ConfigError: One is an archive that is played as fast as it goes.
    """
    for camera_id, camera in fleet.cameras.items():
        if camera.waits_for_worker:
            raise ConfigError(
                f"camera {camera_id} is played as fast as it goes (pace: fastest): it takes what the others leave, and "
                "nothing is promised for it; plan without it, and ask for its price by --archive"
            )


def sources_of(fleet: Fleet, costs: Sequence[CameraCost]) -> tuple[Source, ...]:
    """Its cameras at the frame rates that they were found to have."""
    plans = {cost.camera_id: camera_plan(fleet.cameras[cost.camera_id]) for cost in costs}
    return tuple(
        Source(cost.camera_id, cost.fps, plans[cost.camera_id].stride, plan=plans[cost.camera_id]) for cost in costs
    )


def task_of(fleet: Fleet, found: Measured, *, as_it_is: bool) -> tuple[Task, list[Step]]:
    """The question that a fleet asks, and how its service times came about.

    Args:
        fleet: Promises.
        found: Its parts.
        as_it_is: With the fleet's own batch and waiting time; otherwise they are to be found.
    """
    service, words = _stretched(found)
    constants, step = found.constants, Step(name="cores", words=words)
    overheads = Overheads(
        pre_ms=round(constants.decode.p50_ms + constants.link.p50_ms, 2),
        post_ms=round(constants.lane.p50_ms + constants.publish.p50_ms, 2),
    )
    task = Task(
        sources=sources_of(fleet, found.costs),
        service=service,
        p95_ms=fleet.slo.p95_ms,
        overheads=overheads,
        instances=found.service.lanes,
        batch=found.service.max_batch if as_it_is else None,
        wait_ms=fleet.worker.max_wait_ms if as_it_is else None,
    )
    return task, [step]


def _stretched(found: Measured) -> tuple[ServiceTimes, str]:
    """What a lane needs while all compute and cameras decode, ms by batch, and the sum in words."""
    lanes, cores, busy = found.service.lanes, found.constants.cores, found.busy_cores
    lane_cores = found.service.batches[-1].cores
    left = max(0.05, cores - busy)
    wanted = min(cores, lanes * lane_cores)
    stretch = max(1.0, wanted / left)
    slower = stretch * found.in_place
    times = {one.batch: round(one.together_ms * slower, 3) for one in found.service.batches}
    words = (
        f"decoding, following and publishing take {busy:.2f} of {cores:g} cores, {left:.2f} are left; {lanes} "
        f"lane{'s' if lanes > 1 else ''} at work want {wanted:.2f}: each takes {stretch:.2f} × as long, and "
        f"{found.in_place:.2f} × because it is not alone: {slower:.2f} × the detector's own time"
    )
    return ServiceTimes.of(times), words


def stage_of(fleet: Fleet, found: Measured, sizing: Sizing, sources: tuple[Source, ...]) -> Stage:
    """The fleet on a virtual clock, with what was measured; cameras that were not cost as much as the last one."""
    constants = found.constants
    cpu_ms = {cost.camera_id: found.frame_cpu_ms(cost) for cost in found.costs}
    last_ms = found.frame_cpu_ms(found.costs[-1])
    return Stage(
        sources=sources,
        device=Device.measured(found.service, constants.cores, found.in_place),
        max_batch=sizing.batch,
        wait_s=sizing.wait_ms / 1000,
        deadline_s=fleet.slo.p95_ms / 1000,
        lag=(constants.decode, constants.link),
        lane=constants.lane,
        publish=constants.publish,
        cores=constants.cores,
        frame_cpu_ms={source.camera_id: cpu_ms.get(source.camera_id, last_ms) for source in sources},
        turns=True,
        planned_hz=sizing.offered_hz,
    )


def plan_fleet(fleet: Fleet, found: Measured, *, as_it_is: bool, more: int = 0, span: Span | None = None) -> Plan:
    """The plan for a fleet whose parts were measured."""
    task, steps = task_of(fleet, found, as_it_is=as_it_is)
    sizing, arithmetic = size(task)
    made = Plan(
        title=f"fleet {fleet.name}",
        p95_ms=task.p95_ms,
        load=arithmetic[0].words,
        steps=[arithmetic[0], *steps, *arithmetic[1:]],
        sizing=sizing,
        rehearsal=rehearse(stage_of(fleet, found, sizing, task.sources), span),
        measured=found.service,
        machine=found.where,
    )
    return msgspec.structs.replace(made, more=_more(fleet, found, task, sizing, more)) if more else made


def _more(fleet: Fleet, found: Measured, task: Task, sizing: Sizing, more: int) -> More:
    """With so many cameras more like the last one, which take cores of the detector as well as its time."""
    service, _ = _stretched(replace(found, costs=[*found.costs, *[found.costs[-1]] * more]))
    larger = replace(task, sources=(*task.sources, *newcomers(task, more)), service=service)
    as_it_is = judge_giving_way(replace(larger, wait_ms=sizing.wait_ms), sizing)
    needed, _ = size(replace(larger, instances=None, batch=None, wait_ms=None))
    rehearsal = rehearse(stage_of(fleet, found, as_it_is, larger.sources))
    return more_of(more, as_it_is, rehearsal, needed)
