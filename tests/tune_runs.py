"""A machine that is not there: how fast a fleet is under a setting is arithmetic, and so is how long a run takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from pipeline.errors import DetectorError
from pipeline.tune.figures import Figures
from pipeline.tune.fingerprint import Fingerprint
from pipeline.tune.goal import Budget, Goal
from pipeline.tune.journal import Journal
from pipeline.tune.knobs import Machine
from pipeline.tune.lab import Lab
from pipeline.tune.outcome import Outcome
from pipeline.tune.search import search
from pipeline.tune.setting import Setting
from pipeline.tune.task import Task

WANTED_HZ = 150.0
GOAL = Goal(150)
CPU = Machine(backend="openvino", device="auto", cores=2, cameras=6)
HERE = Fingerprint(cpu="Test CPU", cores=2, memory_gb=8, libraries={"openvino": "1", "av": "1"})

Rate = Callable[[Setting], float]
Age = Callable[[Setting], float]


class Clock:
    """Time that passes only when a run takes it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Pretence:
    """Runs that take `seconds` + 5 and give `rate`, off by up to `noise` either way."""

    def __init__(
        self,
        rate: Rate,
        *,
        age: Age = lambda setting: 120.0,
        noise: float = 0.0,
        seed: int = 7,
        clock: Clock | None = None,
    ):
        self.clock = clock or Clock()
        self.made: list[Setting] = []
        self._rate, self._age, self._noise, self._random = rate, age, noise, Random(seed)

    def run(self, setting: Setting, seconds: float, goal: Goal) -> Figures:
        self.clock.now_s += seconds + 5
        self.made.append(setting)
        rate_hz = self._rate(setting)
        if rate_hz < 0:
            raise DetectorError("the model takes one picture at once")
        detected_hz = min(WANTED_HZ, rate_hz * (1 + self._noise * self._random.uniform(-1, 1)))
        return Figures(detected_hz=detected_hz, wanted_hz=WANTED_HZ, published_hz=WANTED_HZ, p95_ms=self._age(setting))


def searched(
    pretence: Pretence,
    folder: Path,
    *,
    task: Task | None = None,
    goal: Goal = GOAL,
    time_s: float = 900.0,
    resume: bool = True,
) -> Outcome:
    """What a search finds on the machine that is not there."""
    journal = Journal(folder / "journal", {"what": "test"}, time_s, resume)
    lab = Lab(pretence, journal, goal, time_s, seconds=5.0, clock=pretence.clock)
    return search(task or Task(CPU, Budget(1.0, 1.0)), lab)


def at(**keys: str | float | None) -> Setting:
    """A setting by short names: lanes, streams, threads, hint, batch, wait, nice."""
    names = {
        "lanes": "model.lanes",
        "streams": "model.openvino.streams",
        "threads": "model.threads",
        "hint": "model.openvino.hint",
        "batch": "worker.max_batch",
        "wait": "worker.max_wait_ms",
        "nice": "worker.nice",
    }
    return Setting().but({names[key]: value for key, value in keys.items()})
