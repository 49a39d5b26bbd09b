"""The arithmetic of a plan, which anybody can do again by hand: each step is told with its numbers.

What it cannot know is how long queues grow when frames come unevenly; the rehearsal (`rehearse.py`) finds that out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.capacity.figures import Sizing, Step
from pipeline.capacity.task import Task

FULL = 0.75
"""Utilisation that is planned for at most: at three quarters a frame waits for one and a half others on average
(M/D/1), at nine tenths for four and a half, and a neighbour or a second of haste is the end of the promise."""
WAIT_STEP_MS, MOST_WAIT_MS = 5.0, 10.0
"""A frame waits about as long for others as it takes the next one to come, in these steps: shorter, and nobody comes;
longer, and what batches gain is lost in age."""
MOST_INSTANCES = 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting that is looked at."""

    batch: int
    instances: int
    stride: int


def size(task: Task) -> tuple[Sizing, list[Step]]:
    """What to set for a task, and how that came about."""
    choice = _choose(task)
    sizing = judge(task, choice)
    return sizing, list(_steps(task, sizing))


def judge(task: Task, choice: Choice) -> Sizing:
    """What follows from a setting."""
    carried_hz = choice.instances * task.service.carries_hz(choice.batch)
    offered_hz = task.offered_hz(choice.stride) if task.sources else FULL * carried_hz
    wait_ms = waiting_ms(task, choice.batch, offered_hz)
    service_ms = task.service.of_ms(choice.batch)
    typical_ms = task.overheads.total_ms + wait_ms + service_ms
    relaxed_hz = task.offered_hz(task.most_stride) if task.sources else offered_hz
    utilisation = offered_hz / carried_hz
    problem = _problem(task, utilisation, typical_ms, typical_ms + service_ms)
    return Sizing(
        batch=choice.batch,
        wait_ms=wait_ms,
        instances=choice.instances,
        stride=choice.stride,
        most_stride=task.most_stride,
        offered_hz=round(offered_hz, 3),
        capacity_hz=round(carried_hz, 3),
        utilisation=round(utilisation, 4),
        typical_ms=round(typical_ms, 3),
        worst_ms=round(typical_ms + service_ms, 3),
        in_flight=round(offered_hz * typical_ms / 1000, 3),
        most_in_flight=math.floor(carried_hz * task.p95_ms / 1000 + 1e-6),
        slot=1,
        bears=round(FULL * carried_hz / offered_hz, 2),
        bears_at_most_stride=round(FULL * carried_hz / relaxed_hz, 2),
        fits=not problem,
        problem=problem,
    )


def waiting_ms(task: Task, batch: int, offered_hz: float) -> float:
    """How long a frame waits for others to fill a batch of this size: about until the next one comes."""
    if batch == 1:
        return 0.0
    if task.wait_ms is not None:
        return task.wait_ms
    steps = round(1000 / offered_hz / WAIT_STEP_MS)
    left_ms = max(0.0, task.p95_ms - task.overheads.total_ms - 2 * task.service.of_ms(batch))
    return min(steps * WAIT_STEP_MS, MOST_WAIT_MS, math.floor(left_ms))


def _choose(task: Task) -> Choice:
    """The fewest instances, then the smallest stride, then the smallest batch that carries the load in time."""
    for choice in _candidates(task):
        if judge(task, choice).fits:
            return choice
    # Nothing does: what comes nearest, so that its problem can be told.
    last = [
        Choice(batch, task.instances or 1, task.most_stride if task.instances else least_stride(task))
        for batch in batches(task)
    ]
    in_time = [choice for choice in last if judge(task, choice).worst_ms <= task.p95_ms]
    return max(in_time or last[:1], key=lambda choice: judge(task, choice).capacity_hz)


def _candidates(task: Task) -> Iterator[Choice]:
    least = least_stride(task)
    if task.instances is not None:
        for stride in range(least, task.most_stride + 1):
            for batch in batches(task):
                yield Choice(batch, task.instances, stride)
        return
    wanted_hz = task.offered_hz(least)
    needed = {batch: math.ceil(wanted_hz / (FULL * task.service.carries_hz(batch)) - 1e-9) for batch in batches(task)}
    for batch, instances in sorted(needed.items(), key=lambda item: (item[1], item[0])):
        if instances <= MOST_INSTANCES:
            yield Choice(batch, max(1, instances), least)


def least_stride(task: Task) -> int:
    """The smallest stride that any source allows."""
    return min((source.stride(1) for source in task.sources), default=1)


def batches(task: Task) -> tuple[int, ...]:
    """Sizes worth looking at: no larger than it takes to hold a frame of every camera, of which one waits at most."""
    if task.batch is not None:
        return (task.batch,)
    sizes = task.service.sizes
    if not task.regular:
        return sizes
    enough = next((batch for batch in sizes if batch >= len(task.sources)), sizes[-1])
    return tuple(batch for batch in sizes if batch <= enough)


def _problem(task: Task, utilisation: float, typical_ms: float, worst_ms: float) -> str:
    if typical_ms > task.p95_ms:
        return f"a frame that nothing stands in the way of is {typical_ms:g} ms old; {task.p95_ms:g} are promised"
    if worst_ms > task.p95_ms:
        return f"a frame that comes when a batch has just begun is {worst_ms:g} ms old; {task.p95_ms:g} are promised"
    if utilisation > FULL + 1e-9:
        return (
            f"the instances would be busy {100 * utilisation:.0f} % of the time; more than {100 * FULL:.0f} % is not "
            "planned for: more instances, a larger stride, larger batches or a smaller model"
        )
    return ""


def _steps(task: Task, sizing: Sizing) -> Iterator[Step]:
    service, over, instances = task.service, task.overheads, sizing.instances
    yield Step(name="load", words=_load_words(task, sizing))
    sizes = batches(task)
    told = "; ".join(f"{size} ÷ {service.of_ms(size):g} ms = {service.carries_hz(size):.0f}/s" for size in sizes)
    yield Step(name="one instance", words=f"by batch: {told}")
    left_out = [batch for batch in service.sizes if batch > sizes[-1]]
    if task.batch is None and left_out:
        yield Step(
            name="queue",
            words=f"one frame of each camera waits, the newest: {len(task.sources)} at most are ready at once, and a "
            f"batch of {sizes[-1]} holds them; {', '.join(map(str, left_out))} would never fill",
        )
    many = f"{instances} × " if instances > 1 else ""
    shares = "; ".join(
        f"{size}: {100 * sizing.offered_hz / instances / service.carries_hz(size):.0f} %" for size in sizes
    )
    if task.sources:
        yield Step(
            name="batch",
            words=f"{_count(instances, 'instance')} busy at batch {shares}. The smallest that stays at or below "
            f"{100 * FULL:.0f} % is {sizing.batch}"
            if sizing.utilisation <= FULL
            else f"{_count(instances, 'instance')} busy at batch {shares}. None stays at or below {100 * FULL:.0f} %",
        )
    yield Step(name="waiting time", words=_wait_words(task, sizing))
    yield Step(
        name="age",
        words=f"before {over.pre_ms:g} + network {over.network_ms:g} + wait {sizing.wait_ms:g} + batch "
        f"{service.of_ms(sizing.batch):g} + after {over.post_ms:g} = {sizing.typical_ms:g} ms. Where another batch has "
        f"just begun, {service.of_ms(sizing.batch):g} more: {sizing.worst_ms:g} ms, of {task.p95_ms:g} promised",
    )
    yield Step(
        name="throughput",
        words=f"{many}{sizing.batch} ÷ {service.of_ms(sizing.batch):g} ms = {sizing.capacity_hz:.0f}/s",
    )
    yield Step(
        name="utilisation",
        words=f"{sizing.offered_hz:.4g} ÷ {sizing.capacity_hz:.0f} = {100 * sizing.utilisation:.0f} %",
    )
    yield Step(
        name="in flight",
        words=f"by Little's law {sizing.offered_hz:.4g}/s × {sizing.typical_ms / 1000:g} s = {sizing.in_flight:.1f}; "
        f"at most {sizing.capacity_hz:.0f}/s × {task.p95_ms / 1000:g} s = {sizing.most_in_flight}, then the last comes "
        "too late: that bounds all queues together",
    )
    if task.sources:
        yield Step(name="spikes", words=_spike_words(task, sizing))


def _load_words(task: Task, sizing: Sizing) -> str:
    if not task.sources:
        return (
            f"nobody said what comes: {100 * FULL:.0f} % of what {_count(sizing.instances, 'instance')} "
            f"{'carries' if sizing.instances == 1 else 'carry'}, {sizing.offered_hz:.4g}/s"
        )
    if not task.regular:
        return f"{sizing.offered_hz:.4g} requests a second, at random"
    first = task.sources[0]
    if any((source.fps, source.bounds) != (first.fps, first.bounds) for source in task.sources):
        total_hz = sum(source.fps for source in task.sources)
        return f"{len(task.sources)} cameras, {total_hz:.4g} frames/s together; {sizing.offered_hz:.4g}/s to detect"
    stride, capped = first.stride(sizing.stride), first.bounds.max_detect_hz
    words = (
        f"{_count(len(task.sources), 'camera')} × {first.fps:g} frames/s ÷ stride {stride} = {sizing.offered_hz:.4g}/s"
    )
    if capped and stride == first.bounds.floor(first.fps) > first.bounds.least:
        words += f"; stride {stride} because max_detect_hz is {capped:g}: {first.fps:g} ÷ {stride} = "
        words += f"{first.fps / stride:.3g} a second, the most that is not above it"
    return words


def _wait_words(task: Task, sizing: Sizing) -> str:
    if sizing.batch == 1:
        return "none: a batch of one waits for nobody"
    if task.wait_ms is not None:
        return f"{task.wait_ms:g} ms, as given"
    return (
        f"a frame comes every 1000 ÷ {sizing.offered_hz:.4g} = {1000 / sizing.offered_hz:.1f} ms; waiting for about "
        f"one more, in steps of {WAIT_STEP_MS:g} and at most {MOST_WAIT_MS:g}: {sizing.wait_ms:g} ms"
    )


def _spike_words(task: Task, sizing: Sizing) -> str:
    words = f"{100 * FULL:.0f} % of {sizing.capacity_hz:.0f}/s bears {sizing.bears:.3g} × this load"
    if sizing.most_stride <= sizing.stride:
        return words
    relaxed_hz = task.offered_hz(sizing.most_stride)
    return (
        f"{words} at stride {sizing.stride}; in spikes strides give way up to {sizing.most_stride}: "
        f"{relaxed_hz:.4g}/s, which bears {sizing.bears_at_most_stride:.3g} ×"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
