"""Lines and zones that are laid over any picture, and what passes them in truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.config.rules import Rules
from pipeline.evaluate.mot import Sequence as Recording
from pipeline.rules.geometry import Area, Places

STAYS_S = 0.2
"""Who changes sides for less has not."""
AROUND = 5
"""Frames to both sides over which a speed is measured."""
RULES = Rules.model_validate(
    {
        "lines": {
            "upright": {"points": [[0.5, 0.0], [0.5, 1.0]]},
            "level": {"points": [[0.0, 0.6], [1.0, 0.6]]},
            "slant": {"points": [[0.1, 0.3], [0.9, 0.9]]},
            "short": {"points": [[0.3, 0.5], [0.3, 0.9]]},
        },
        "zones": {
            "middle": {"polygon": [[0.3, 0.4], [0.7, 0.4], [0.7, 0.9], [0.3, 0.9]], "when": ["enter", "leave"]},
            "corner": {"polygon": [[0.0, 0.5], [0.45, 0.5], [0.3, 1.0], [0.0, 1.0]], "when": ["enter", "leave"]},
        },
    }
)


@dataclass(frozen=True, slots=True)
class Passed:
    """Something crossed: which rule, in which direction (`in`, `out`, `enter`, `leave`), and when, s of the recording.

    `wanted` is False where the truth does not ask for it; `error_s` is one standard deviation of the time, where the
    counter tells it; of a true one, `speed` is how fast the object moves away from the line or edge, widths of the
    picture a second.
    """

    rule: str
    way: str
    at_s: float
    wanted: bool = True
    error_s: float | None = None
    speed: float = 0.0


@dataclass(frozen=True, slots=True)
class _Path:
    """Where an object was: N frames, (N, 2) the middle of its lower edge, px, and whether it is asked for then."""

    frames: list[int]
    points: Any
    asked: list[bool]

    def turns(self, on: Sequence[bool], fps: float) -> list[int]:
        """The rows at which it changes sides and stays; one that is away for a frame may be anywhere afterwards."""
        stays, found, held = max(1, round(STAYS_S * fps)), [], on[0]
        for i in range(1, len(on)):
            follows = self.frames[i] - self.frames[i - 1] == 1
            if on[i] != held and (not follows or all(one == on[i] for one in on[i : i + stays])):
                held = on[i]
                found += [i] if follows else []
        return found

    def speed_px_s(self, i: int, away_px: Sequence[float], fps: float) -> float:
        """How fast it moves away from what it passes at a row, over some frames around it; by its signed distance."""
        first, last = max(0, i - AROUND), min(len(away_px) - 1, i - 1 + AROUND)
        return abs(away_px[last] - away_px[first]) * fps / max(1, self.frames[last] - self.frames[first])


def true_passages(recording: Recording) -> list[Passed]:
    """What passes in truth; when, is drawn between two frames."""
    places, found = Places.of(RULES, recording.picture_wh), []
    for path in _paths(recording):
        for name, barrier in places.barriers.items():
            sides_px = [barrier.side_px(point) for point in path.points]
            right = [side_px > 0 for side_px in sides_px]
            for i in path.turns(right, recording.fps):
                if barrier.meets(path.points[i - 1 : i + 1]):
                    share = abs(sides_px[i - 1]) / (abs(sides_px[i - 1]) + abs(sides_px[i]))
                    found.append(_passed(recording, path, (i, share, sides_px), (name, "in" if right[i] else "out")))
        for name, inside in places.inside(lambda _, at=path.points: at).items():
            turns = path.turns(inside, recording.fps)
            edge_px = _from_edge_px(places.areas[name], path, inside) if turns else []
            for i in turns:
                share = places.areas[name].crossed_at(path.points[i - 1 : i + 1])
                way = "enter" if inside[i] else "leave"
                found.append(_passed(recording, path, (i, share, edge_px), (name, way)))
    return sorted(found, key=lambda one: one.at_s)


def _passed(
    recording: Recording, path: _Path, turn: tuple[int, float, Sequence[float]], what: tuple[str, str]
) -> Passed:
    """One turn: its row, where between it and the row before, and how far the object is at each row."""
    i, share, away_px = turn
    at_s, wanted = (path.frames[i - 1] + share) / recording.fps, path.asked[i] and path.asked[i - 1]
    speed = path.speed_px_s(i, away_px, recording.fps) / recording.picture_wh[0]
    return Passed(*what, at_s, wanted, speed=speed)


def _from_edge_px(area: Area, path: _Path, inside: Sequence[bool]) -> list[float]:
    return [area.distance_px(at) * (1 if is_in else -1) for at, is_in in zip(path.points, inside, strict=True)]


def _paths(recording: Recording) -> list[_Path]:
    rows: dict[int, list[tuple[int, float, float, bool]]] = defaultdict(list)
    for number, truth in enumerate(recording.truth):
        for object_id, (left, top, wide, high), asked in zip(
            truth.object_id, truth.ltwh, truth.considered, strict=True
        ):
            rows[int(object_id)].append((number, left + wide / 2, top + high, bool(asked)))
    return [
        _Path([row[0] for row in path], np.array([row[1:3] for row in path], np.float64), [row[3] for row in path])
        for path in rows.values()
    ]
