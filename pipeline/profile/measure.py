"""A profile from beginning to end: attach, let it settle, measure from outside, do single steps again, conclude."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.bench import machine
from pipeline.bench.figures import CameraCost
from pipeline.bench.fleet import memory_mb
from pipeline.config.values import Fleet
from pipeline.errors import ProfileError
from pipeline.geometry import WidthHeight
from pipeline.profile.attach import TURN_S, Attached, attached, ended
from pipeline.profile.conclude import Conclusion, Window, why
from pipeline.profile.figures import Profile, Sampled
from pipeline.profile.hear import Ear
from pipeline.profile.sampler import sample
from pipeline.profile.steps import choose, measure_cameras, repeat_steps
from pipeline.profile.threads import read
from pipeline.wire import CameraState

FIRST_S = 5.0
"""How long the first camera may take beyond its own time-outs."""
ALL_S = 3.0
"""How much longer the others are waited for."""
SETTLE_S = (2.0, 8.0)
"""How long a fleet of our own settles, at least and at most: a quarter of --seconds in between."""
STEP_S = (0.5, 1.0)
"""How long a camera's steps are measured, likewise."""
SAMPLE_S = 10.0
"""How long processes are sampled at most."""
OVER = frozenset({"ended", "failed", "removed"})
"""States that a camera does not leave by itself."""


Progress = Callable[[str, float], Callable[[float], None]]
"""Begins a step with its words and total; the function that it gives is called with how much of that is done."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a profile.

    Attributes:
        seconds: How long to measure.
        urgent: Runs what must not stand back behind the fleet (`standing_back`).
        sinks: Whether a fleet of our own keeps its results as its file says.
        sample: Where a sampling profiler writes; None to do without it.
    """

    seconds: float
    urgent: Executor
    sinks: bool = True
    sample: Path | None = None


def profile(fleet: Fleet, file: Path, wish: Wish, step: Progress) -> Profile:
    """The profile of a fleet: of the one that runs under its name, or of one that is started for it; blocks.

    Raises:
        PipelineError: It cannot be started, no camera delivers, or it ended before it was measured.
    """
    cores = machine.usable_cores()
    with ExitStack() as stack:
        start = attached(fleet, file, wish.urgent, sinks=wish.sinks, begin=lambda: step("the fleet's start", 0))
        running = stack.enter_context(start)
        ear = stack.enter_context(wish.urgent.submit(Ear, running.inside).result())
        _await_cameras(running, fleet, ear, step)
        if running.ours:
            settle_s = _between(*SETTLE_S, wish.seconds / 4)
            _watch(running, ear, settle_s, step("nothing yet, it settles", settle_s))
        window = _measure(running, ear, wish, step("the fleet from outside", wish.seconds))
        memory = memory_mb({name: ids[0] for name, ids in window.after.pids.items()})
        worker = next(iter(running.workers.values()))
        alone = repeat_steps(window.heard.messages(), fleet, worker.input_wh)
        costs = _costs(fleet, ear.states, worker.input_wh, wish.seconds, step)
        sampled = _samples(window, wish, step)
    return Conclusion(fleet, running.ours, cores, window, worker.input_wh, memory, alone, costs, sampled).profile()


def _await_cameras(running: Attached, fleet: Fleet, ear: Ear, step: Progress) -> None:
    """Wait for the first frame, and a little for those of the other cameras.

    Raises:
        ProfileError: No camera delivers.
    """
    patience_s = FIRST_S + max(camera.open_timeout_s for camera in fleet.cameras.values())
    turn, began_s, first_s = step("cameras that come", patience_s), time.monotonic(), None
    while (spent_s := time.monotonic() - began_s) < patience_s:
        running.require()
        turn(spent_s)
        there = ear.cameras
        first_s = spent_s if there and first_s is None else first_s
        if there >= set(fleet.cameras) or (first_s is not None and spent_s > first_s + ALL_S):
            return
        time.sleep(TURN_S / 2)
    raise ProfileError(f"no camera delivers within {patience_s:g} s, so there is nothing to profile: {why(ear.states)}")


def _measure(running: Attached, ear: Ear, wish: Wish, turn: Callable[[float], None]) -> Window:
    ear.take()
    before = wish.urgent.submit(read, running.processes(), running.pid).result()
    _watch(running, ear, wish.seconds, turn)
    members = running.processes()
    after, heard = wish.urgent.submit(read, members, running.pid).result(), ear.take()
    if not heard.frames:
        raise ProfileError(f"no frame came within {wish.seconds:g} s: {why(ear.states)}")
    return Window(before, after, heard, members)


def _watch(running: Attached, ear: Ear, seconds: float, turn: Callable[[float], None]) -> None:
    """Let time pass while it runs and a camera may deliver."""
    began_s = time.monotonic()
    while (spent_s := time.monotonic() - began_s) < seconds:
        running.require()
        states = ear.states.values()
        if states and all(state.state in OVER for state in states):
            raise ended(running.name)
        turn(spent_s)
        time.sleep(min(TURN_S, seconds - spent_s))


def _costs(
    fleet: Fleet, states: Mapping[str, CameraState], input_wh: WidthHeight, seconds: float, step: Progress
) -> dict[str, CameraCost]:
    count = len(choose(fleet.cameras, states))
    turn, known = step(f"{count} camera{'' if count == 1 else 's'}, each alone", count), list[CameraCost]()

    def done(cost: CameraCost) -> None:
        known.append(cost)
        turn(len(known))

    return measure_cameras(fleet.cameras, states, input_wh, _between(*STEP_S, seconds / 10), done)


def _samples(window: Window, wish: Wish, step: Progress) -> list[Sampled]:
    if wish.sample is None:
        return []
    seconds = min(wish.seconds, SAMPLE_S)
    return sample(window.after.pids, seconds, wish.sample, step("every process by samples", seconds))


def _between(least: float, most: float, value: float) -> float:
    return min(max(value, least), most)
