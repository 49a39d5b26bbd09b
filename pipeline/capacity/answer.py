"""A task answered: the arithmetic, the rehearsal, and what two more cameras would do to both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.capacity.arithmetic import Choice, judge, size
from pipeline.capacity.figures import More, Plan, Rehearsal, Sizing
from pipeline.capacity.rehearse import rehearse, stage_of
from pipeline.capacity.task import Source, Task, callers
from pipeline.errors import ConfigError


def answer(title: str, task: Task, more: int = 0, turn: Callable[[str], None] = lambda words: None) -> Plan:
    """The plan for a task by given service times.

    Args:
        title: What was asked, in words.
        task: The question.
        more: With how many cameras more to plan besides; 0: none.
        turn: Called with what is being done; for progress.

    Raises:
        ConfigError: `more` of what is not a number of equal cameras.
    """
    sizing, steps = size(task)
    turn("rehearsing the plan")
    return Plan(
        title=title,
        p95_ms=task.p95_ms,
        load=steps[0].words,
        steps=steps,
        sizing=sizing,
        rehearsal=_rehearse(task, sizing),
        more=_more(task, sizing, more, turn) if more else None,
    )


def _rehearse(task: Task, sizing: Sizing) -> Rehearsal:
    if not task.sources:
        task = replace(task, sources=callers(sizing.offered_hz))
    return rehearse(stage_of(task, sizing))


def _more(task: Task, sizing: Sizing, more: int, turn: Callable[[str], None]) -> More:
    """The same plan with more cameras, and the plan that they would need."""
    larger = replace(task, sources=(*task.sources, *newcomers(task, more)))
    turn(f"rehearsing it with {more} more cameras")
    as_it_is = judge_giving_way(replace(larger, wait_ms=sizing.wait_ms), sizing)
    needed, _ = size(replace(larger, instances=None))
    rehearsal = _rehearse(larger, as_it_is)
    return more_of(more, as_it_is, rehearsal, needed)


def more_of(cameras: int, as_it_is: Sizing, rehearsal: Rehearsal, needed: Sizing) -> More:
    """The same with the words that follow."""
    words = _words(as_it_is, rehearsal, needed)
    return More(cameras=cameras, as_it_is=as_it_is, rehearsal=rehearsal, needed=needed, words=words)


def newcomers(task: Task, more: int) -> tuple[Source, ...]:
    """Cameras like the last one.

    Raises:
        ConfigError: The load is no cameras.
    """
    if not task.regular:
        raise ConfigError("--more: it adds cameras, and this load is none; ask with a larger --rate instead")
    last = task.sources[-1]
    names = (f"one-more-{number}" for number in range(1, more + 1))
    return tuple(replace(last, camera_id=name, plan=None) for name in names)


def judge_giving_way(task: Task, sizing: Sizing) -> Sizing:
    """A load on a setting that stays as it is: the smallest stride that carries it, the largest where none does."""
    found = sizing
    for stride in range(sizing.stride, task.most_stride + 1):
        found = judge(task, Choice(sizing.batch, sizing.instances, stride))
        if found.fits:
            break
    return found


def _words(as_it_is: Sizing, rehearsal: Rehearsal, needed: Sizing) -> str:
    busy = f"{100 * as_it_is.utilisation:.0f} % busy at stride {as_it_is.stride}, p95 {rehearsal.age.p95_ms:.0f} ms"
    if as_it_is.fits and rehearsal.kept:
        return f"the plan bears them: {busy}"
    why = as_it_is.problem or (
        f"{rehearsal.detected_hz:.1f} of {as_it_is.offered_hz:.4g} detections a second would be in time, and p95 up to "
        f"{rehearsal.p95_most_ms:.0f} ms"
    )
    return (
        f"the plan does not bear them: {busy}; {why}. At stride {needed.stride} it takes {needed.instances} "
        f"instance{'s' if needed.instances > 1 else ''} with batches of {needed.batch}"
    )
