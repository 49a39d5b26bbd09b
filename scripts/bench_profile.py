"""Whether a profile adds up, and what it costs the fleet that it looks at.

    .venv/bin/python scripts/bench_profile.py
    .venv/bin/python scripts/bench_profile.py --seconds 20 --repeats 5 --json out.json
    .venv/bin/python scripts/bench_profile.py --fleet town.yaml --no-replay

One fleet runs all the time (six sample cameras over RTSP and the demo's model, unless told otherwise). In turns it is
left alone and profiled, for as long each; a listener of this script's own hears it all the time, so that its cost is in
both. Goals, printed with what was found:

- the stages' cores add up to the cores that the system counts for all processes, within 5 %;
- the steps of typical and late frames add up to their age, within 2 ms;
- detections a second and p95 with a profile are those without one, within what turns without one differ by: while it
  measures, and while it does single steps again (each camera received, decoded and resized once more).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.bench import machine
from pipeline.fleet import Fleet
from pipeline.listen import Listener
from pipeline.profile.figures import Profile
from pipeline.profile.way import within_age
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.wire import CameraState, FrameResult

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "configs" / "demo.yaml"
CORES_GOAL, AGE_GOAL_MS = 0.05, 2.0
WARM_UP_S = 8.0
ALONE, MEASURES, REPEATS = "without", "while it measures", "while it repeats steps"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was published in one turn."""

    detected_hz: float
    p95_ms: float


class Ears:
    """Ages and detections of everything that is published, by the second in which it came."""

    def __init__(self) -> None:
        self._heard: list[tuple[float, float, bool]] = []

    def hear(self, message: FrameResult | CameraState) -> None:
        """Note one message."""
        if isinstance(message, FrameResult):
            self._heard.append((time.monotonic(), message.age_ms, message.origin == "detected"))

    def turn(self, begin_s: float, end_s: float) -> Turn:
        """What came in that time."""
        some = [(age_ms, detected) for at_s, age_ms, detected in self._heard if begin_s <= at_s < end_s]
        ages = [age_ms for age_ms, _ in some] or [0.0]
        detected = sum(detected for _, detected in some)
        return Turn(detected / (end_s - begin_s), float(np.percentile(ages, 95)))


def main() -> None:
    """Profile and leave alone in turns, and print both."""
    options = _options()
    turns: dict[str, list[Turn]] = {ALONE: [], MEASURES: [], REPEATS: []}
    profiles: list[Profile] = []
    # The fleet and the profiles find each other, and nobody else's.
    with tempfile.TemporaryDirectory() as folder, _cameras(options):
        os.environ["XDG_RUNTIME_DIR"] = folder
        ears = Ears()
        with Fleet(options.fleet) as fleet, Listener(fleet.endpoint, ears.hear):
            time.sleep(WARM_UP_S)
            for turn in range(options.repeats):
                print(f"turn {turn + 1} of {options.repeats} …", file=sys.stderr, flush=True)
                for with_profile in (turn % 2 == 0, turn % 2 == 1):
                    if not with_profile:
                        begin_s = time.monotonic()
                        time.sleep(options.seconds)
                        turns[ALONE].append(ears.turn(begin_s, time.monotonic()))
                        continue
                    found, (begin_s, repeats_s, end_s) = _profile(options)
                    profiles.append(found)
                    turns[MEASURES].append(ears.turn(begin_s, repeats_s))
                    turns[REPEATS].append(ears.turn(repeats_s, end_s))
    failed = _print(turns, profiles)
    if options.json:
        told = {
            "machine": machine.name(),
            "cores": machine.usable_cores(),
            "turns": msgspec.to_builtins(turns),
            "profiles": msgspec.to_builtins(profiles),
        }
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sys.exit(failed)


def _profile(options: argparse.Namespace) -> tuple[Profile, tuple[float, float, float]]:
    """As a user would, by a command of its own; and when it began, began with single steps, and ended, monotonic s."""
    command = [sys.executable, "-m", "pipeline", "profile", str(options.fleet), "--seconds", str(options.seconds)]
    begin_s = repeats_s = time.monotonic()
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen([*command, "--json"], stdout=out, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "alone" in line:
                    repeats_s = time.monotonic()
        end_s = time.monotonic()
        out.seek(0)
        return msgspec.json.decode(out.read(), type=Profile), (begin_s, repeats_s, end_s)


def cores_off(profile: Profile) -> float:
    """By how much the stages' cores miss what the system counts for the processes, as a share."""
    counted = sum(process.cores for process in profile.processes)
    return abs(sum(share.cores for share in profile.shares) - counted) / counted


def age_off_ms(profile: Profile) -> float:
    """By how much the steps of a frame's way miss its age, at most."""
    return max(abs(within_age(way.steps) - way.age_ms) for way in profile.ways)


def _print(turns: dict[str, list[Turn]], profiles: list[Profile]) -> bool:
    """Print a row for each goal; whether one of the first two is missed."""
    cores, ages = max(map(cores_off, profiles)), max(map(age_off_ms, profiles))
    table = Table(title=f"{len(profiles)} profiles of a running fleet, {machine.usable_cores():g} cores")
    for heading in ("", "found", "goal"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("stages' cores against the processes', worst", f"{100 * cores:.1f} %", f"≤ {100 * CORES_GOAL:g} %")
    table.add_row("steps against the age, worst", f"{ages:.2f} ms", f"≤ {AGE_GOAL_MS:g} ms")
    for words, figure, unit in (("detections a second", "detected_hz", ""), ("p95", "p95_ms", " ms")):
        for when, some in turns.items():
            values = [getattr(turn, figure) for turn in some]
            goal = "" if when == ALONE else "the same"
            table.add_row(f"{words} {when}, median ({_spread(values)})", f"{statistics.median(values):.1f}{unit}", goal)
    taken = statistics.median(profile.observer_cores for profile in profiles)
    table.add_row("cores that a profile takes while it measures", f"{taken:.3f}", "")
    Console().print(table)
    return cores > CORES_GOAL or ages > AGE_GOAL_MS


def _spread(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


@contextlib.contextmanager
def _cameras(options: argparse.Namespace) -> Iterator[None]:
    """The sample recordings as RTSP cameras, at the port that the demo's fleet file asks for."""
    if options.no_replay:
        yield
        return
    recordings = tuple(sorted((ROOT / "samples").glob("*.mp4")))
    with serve_recordings(ReplayOptions(recordings)) as server:
        os.environ["RTSP_PORT"] = str(urlsplit(server.urls[0]).port)
        yield


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleet", type=Path, default=DEMO)
    parser.add_argument("--no-replay", action="store_true", help="its cameras are there already")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
