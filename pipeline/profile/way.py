"""Where a frame's milliseconds went: typical frames and late ones, step by step.

The stages of a message follow each other and add up to its age. Percentiles of stages do not add up to the percentile
of the age, so typical and late frames are taken as groups of whole frames, those whose ages lie around the median and
around the 95th percentile, and the mean of each stage over such a group adds up to its mean age. A stage that hides
several steps (`decode`, `detect`, `publish`) is split by what the steps take alone; what is left was spent waiting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pipeline.bench.figures import Percentiles
from pipeline.bench.fleet import FrameOutcome, percentiles
from pipeline.profile.figures import BEYOND_AGE, Step, Way

BANDS: dict[Literal["p50", "p95"], tuple[float, float]] = {"p50": (0.45, 0.55), "p95": (0.925, 0.975)}
"""Ranks of age that stand for a percentile."""
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True, slots=True)
class Alone:
    """What single steps take, ms: upper bounds for what they took of a stage.

    Attributes:
        decode: By camera.
        resize: By camera; only where the picture was admitted.
        after: After-work of one detection.
        track: With a detection.
        predict: Without one.
        encode: Of one message.
    """

    decode: Mapping[str, float]
    resize: Mapping[str, float]
    after: float
    track: float
    predict: float
    encode: float


def steps_of(frame: FrameOutcome, came_ms: float, alone: Alone) -> dict[Step, float]:
    """One frame's milliseconds by step; `came_ms` is how long its message took to come."""
    stages = frame.latency_ms
    admitted = frame.detected or frame.filled_because in ("replaced", "stale", "overdue")
    spent: dict[Step, float] = {"capture": stages.get("capture", 0.0)}
    decode: dict[Step, float] = {"decode": alone.decode.get(frame.camera_id, 0.0)}
    if admitted:
        decode["resize"] = alone.resize.get(frame.camera_id, 0.0)
    spent |= _shared(decode, stages.get("decode", 0.0), "core")
    if "detect" in stages:
        spent["wait"] = stages.get("slot", 0.0)
        spent |= _shared({"after": alone.after}, stages["detect"], "inference")
    tracking: dict[Step, float] = {"track": alone.track if frame.detected else alone.predict}
    spent |= _shared(tracking, stages.get("publish", 0.0), "turn")
    return spent | _shared({"encode": alone.encode}, max(0.0, came_ms), "publish")


def ways(frames: Sequence[tuple[FrameOutcome, float]], alone: Alone) -> list[Way]:
    """Typical and late frames, first of those that were detected, then of the others; those there are none of miss."""
    found = []
    for kind in ("detected", "filled"):
        some = sorted((each for each in frames if each[0].detected is (kind == "detected")), key=_age_of)
        for rank, (low, high) in BANDS.items():
            if some:
                first = int(low * (len(some) - 1))
                found.append(_way(kind, rank, some[first : max(first + 1, round(high * len(some)))], alone))
    return found


def step_percentiles(frames: Sequence[tuple[FrameOutcome, float]], alone: Alone) -> dict[Step, Percentiles]:
    """Of each step, over the frames that have it."""
    times: dict[Step, list[float]] = {}
    for frame, came_ms in frames:
        for step, ms in steps_of(frame, came_ms, alone).items():
            times.setdefault(step, []).append(ms)
    return {step: percentiles(times[step]) for step in STEPS if step in times}


def _way(
    kind: Literal["detected", "filled"],
    rank: Literal["p50", "p95"],
    band: Sequence[tuple[FrameOutcome, float]],
    alone: Alone,
) -> Way:
    each = [steps_of(frame, came_ms, alone) for frame, came_ms in band]
    means = {step: float(np.mean([steps.get(step, 0.0) for steps in each])) for step in STEPS}
    steps: dict[Step, float] = {step: round(ms, 3) for step, ms in means.items() if any(step in one for one in each)}
    age_ms = float(np.mean([frame.age_ms for frame, _ in band]))
    return Way(frames=kind, rank=rank, count=len(band), age_ms=round(age_ms, 2), steps=steps)


def within_age(steps: Mapping[Step, float]) -> float:
    """The steps that a frame's age is made of, together, ms."""
    return sum(ms for step, ms in steps.items() if step not in BEYOND_AGE)


def _shared(steps: dict[Step, float], whole_ms: float, rest: Step) -> dict[Step, float]:
    """A stage's steps, never more than the stage, and as `rest` what they leave of it."""
    whole_ms = max(0.0, whole_ms)
    wanted = sum(steps.values())
    scale = min(1.0, whole_ms / wanted) if wanted > 0 else 0.0
    found: dict[Step, float] = {step: ms * scale for step, ms in steps.items()}
    found[rest] = max(0.0, whole_ms - sum(found.values()))
    return found


def _age_of(frame: tuple[FrameOutcome, float]) -> float:
    return frame[0].age_ms
