"""How results went in time: by hour, and in steps that suit the whole."""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.clock import NS_PER_S
from pipeline.results.account import Ages, CameraAccount, Course, HourCount
from pipeline.results.tables import Tables, asked
from pipeline.wire import Count

MOST_STEPS = 96
HOUR_NS = 3600 * NS_PER_S
_HOURS_S = (3600, 7200, 6 * 3600, 12 * 3600)
_DAYS_S = (86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, *_HOURS_S, *_DAYS_S)

Counts = dict[int, int]
"""How many frames were how many tenths of a millisecond old."""


def ages_of(counts: Counts) -> Ages | None:
    """The percentiles: the smallest age that at least so many frames do not exceed."""
    tenths = sorted(counts)
    if not tenths:
        return None
    below = list(itertools.accumulate(counts[one] for one in tenths))
    p50, p95, p99 = (tenths[bisect.bisect_left(below, share * below[-1] / 100)] / 10 for share in (50, 95, 99))
    return Ages(p50, p95, p99)


def step_of(span_ns: int, most: int = MOST_STEPS) -> int:
    """The length of a step, ns, of which no more than about `most` cover that time."""
    return next((step for step in _STEPS_S if span_ns <= most * step * NS_PER_S), _STEPS_S[-1]) * NS_PER_S


@dataclass(frozen=True, slots=True)
class Timed:
    """What was counted by time.

    Attributes:
        scale: The steps of the course.
        frames: Of each camera, by the finer of these steps and hours: when a step begins, fleet, camera, how many.
        boxes: The same of boxes: when, fleet, camera, class, how many.
        ages: Frames by step of the course and age: when, tenths of a millisecond, how many.
    """

    scale: Scale
    frames: list[tuple[int, str, str, int]]
    boxes: list[tuple[int, str, str, str, int]]
    ages: list[tuple[int, int, int]]

    @classmethod
    def ask(cls, tables: Tables, first_ns: int, last_ns: int) -> Timed:
        """Count what is there from the first frame to the last; each table is read once for both uses."""
        scale = Scale.over(first_ns, last_ns)
        finer_ns = min(scale.step_ns, HOUR_NS)
        by_camera = _steps("frames", finer_ns, "fleet", "camera_id")
        by_class = _steps("boxes", finer_ns, "fleet", "camera_id", "class_name")
        by_age = _steps("frames", scale.step_ns, "10 * CAST(round(age_ms) AS BIGINT)")
        return cls(
            scale,
            asked(tables, by_camera, tuple[Count, str, str, Count]),
            # In files of strangers a box may have another time than its frame.
            [
                row
                for row in asked(tables, by_class, tuple[Count, str, str, str, Count])
                if 0 <= scale.index(row[0]) < len(scale.at_ns)
            ],
            [
                (at_ns, tenths, count)
                for at_ns, tenths, count in asked(tables, by_age, tuple[Count, int | None, Count])
                if tenths is not None
            ],
        )


def hours_of(timed: Timed) -> list[HourCount]:
    """Frames and boxes by hour and camera."""
    frames: dict[tuple[int, str, str], int] = defaultdict(int)
    boxes: dict[tuple[int, str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for at_ns, fleet, camera_id, count in timed.frames:
        frames[at_ns - at_ns % HOUR_NS, fleet, camera_id] += count
    for at_ns, fleet, camera_id, name, count in timed.boxes:
        boxes[at_ns - at_ns % HOUR_NS, fleet, camera_id][name] += count
    return [
        HourCount(hour_ns=key[0], fleet=key[1], camera_id=key[2], frames=count, boxes=dict(sorted(boxes[key].items())))
        for key, count in sorted(frames.items())
    ]


def course_of(timed: Timed, cameras: Sequence[CameraAccount]) -> Course:
    """Frames by camera, boxes by class and ages, in steps of time from the first frame to the last."""
    scale = timed.scale
    several = len({camera.fleet for camera in cameras}) > 1
    frames = {(one.fleet, one.camera_id): scale.zeros() for one in cameras}
    for at_ns, fleet, camera_id, count in timed.frames:
        frames[fleet, camera_id][scale.index(at_ns)] += count
    boxes: dict[str, list[int]] = defaultdict(scale.zeros)
    for at_ns, _, _, class_name, count in timed.boxes:
        boxes[class_name][scale.index(at_ns)] += count
    ages: list[Counts] = [{} for _ in scale.zeros()]
    for at_ns, tenths, count in timed.ages:
        ages[scale.index(at_ns)][tenths] = count
    return Course(
        step_ns=scale.step_ns,
        at_ns=scale.at_ns,
        frames={f"{fleet}/{name}" if several else name: counts for (fleet, name), counts in frames.items()},
        boxes=dict(sorted(boxes.items(), key=lambda item: (-sum(item[1]), item[0]))),
        ages=[ages_of(counts) for counts in ages],
    )


def _steps(table: str, step_ns: int, *by: str) -> str:
    """Rows of a table by step of time and columns."""
    step = f"captured_at_ns - captured_at_ns % {step_ns}"
    columns = ", ".join((step, *by))
    return f"SELECT {columns}, count(*) FROM {table} WHERE captured_at_ns IS NOT NULL GROUP BY {columns}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Steps of time.

    Attributes:
        step_ns: How long each is.
        at_ns: Where each begins.
    """

    step_ns: int
    at_ns: list[int]

    @classmethod
    def over(cls, first_ns: int, last_ns: int) -> Scale:
        """As many as it takes from the first frame to the last."""
        step_ns = step_of(last_ns - first_ns)
        return cls(step_ns, list(range(first_ns - first_ns % step_ns, last_ns + 1, step_ns)))

    def zeros(self) -> list[int]:
        """Nothing in each step."""
        return [0] * len(self.at_ns)

    def index(self, at_ns: int) -> int:
        """The step of a time."""
        return (at_ns - self.at_ns[0]) // self.step_ns
