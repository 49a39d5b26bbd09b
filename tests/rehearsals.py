"""Rehearsals made up for tests: recordings of so many seconds, paths of objects, what runs saw of them, a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.burst.result import Check
from pipeline.rehearse.catalogue import Witness
from pipeline.rehearse.result import (
    Around,
    CameraRow,
    CountRow,
    DifferenceRow,
    EventRow,
    FigureRow,
    Mark,
    Picture,
    RehearsalReport,
    RunSeries,
    SideReport,
    Spread,
)
from pipeline.rehearse.sightings import Sighting
from pipeline.rehearse.take import BOX, Clip, Take

FPS = 25


def clip(seconds: float = 10.0) -> Clip:
    return Clip(Path("gate.mp4"), np.arange(round(seconds * FPS)) / FPS, 0.0, (640, 360))


def take(paths: dict[int, float], seconds: float = 10.0) -> Take:
    """Objects, by track, that stand at an x for the whole time, 40 x 80 px."""
    frames = range(round(seconds * FPS))
    rows = [
        (frame, number, 0, 0, 0.9, (x, 100.0, x + 40, 180.0))
        for frame in frames
        for number, x in enumerate(paths.values())
    ]
    objects = {("s", track): number for number, track in enumerate(paths)}
    published = np.ones(len(frames), np.int64)
    return Take(clip(seconds), np.array(rows, BOX), objects, ("person",), published, 0, (640, 360))


def seen(at_s: float, track: int = 1, what: str = "in", *, wanted: bool = True) -> Sighting:
    return Sighting("gate", "door", what, at_s, 10.0, "person", ("s", track), (0, 0, 1, 1), 100.0, wanted)


def witness(name: str, *sightings: Sighting, paths: dict[int, float] | None = None) -> Witness:
    """Who saw these; its objects stand at these x, the one of track 1 at 100 by default."""
    return Witness(name, sightings, {"gate": take({1: 100.0} if paths is None else paths)})


def event(number: int, **changes: object) -> EventRow:
    told = {
        "camera_id": "gate",
        "rule": "door",
        "what": "in",
        "class_name": "person",
        "at_s": float(number),
        "seen_a": 1,
        "seen_b": 1,
        "a_at_s": float(number),
        "b_at_s": float(number),
        "truth": "yes",
        "by": "both",
    }
    return EventRow(number=number, **{**told, **changes})  # type: ignore[arg-type]


def figure(key: str, a: float | None, b: float | None, **changes: object) -> FigureRow:
    told = {"words": key, "unit": "", "decimals": 1, "better": "less"} | changes
    return FigureRow(key=key, a=_spread(a), b=_spread(b), **told)  # type: ignore[arg-type]


def _spread(value: float | None) -> Spread | None:
    return None if value is None else Spread(median=value, least=value, most=value)


def side(letter: str, **changes: object) -> SideReport:
    run = RunSeries(name=f"{letter}1", at_s=[0.5, 1.5], p95=[40.0, None], detected=[20, 22], stride=[2.0, 2.0])
    told = {
        "file": f"{letter}.yaml",
        "p95_goal_ms": 150.0,
        "left_out": ["sinks (alarm): nothing is sent to them"],
        "cores": {"workers": 0.8, "cameras": 0.3},
        "runs": [run],
        "fleet_yaml": "name: <b>",
        "log": [],
    }
    return SideReport(**{**told, **changes})  # type: ignore[arg-type]


def report(events: Sequence[EventRow] | None = None, **changes: object) -> RehearsalReport:
    """Two events: one that both told, one that A alone told and that has a picture."""
    picture = Picture(
        jpeg="/9j/4AAQ",
        wh=(640, 360),
        marks=[Mark(side="a", xyxy=(1.0, 2.0, 30.0, 40.0), about=True), Mark(side="b", xyxy=(5, 5, 9, 9), about=False)],
        rule=[(10.0, 0.0), (10.0, 360.0)],
        is_line=True,
    )
    alone = {"by": "only_a", "seen_b": 0, "b_at_s": None, "picture": picture}
    told = {
        "verdict": "B told 1 of the 2 events that A told.",
        "passed": False,
        "started_at": "2026-11-30T10:00:00+00:00",
        "seconds": 10.0,
        "repeats": 1,
        "within_s": 1.0,
        "figures": [
            figure("events.caught", 2, 1, better="more", decimals=0),
            figure("p95_ms", 60, 58, unit="ms", decimals=0),
            figure("cores", 1.1, 0.7, decimals=2),
        ],
        "counts": [CountRow(camera_id="gate", rule="door", what="in", a=2, b=1, truth=2)],
        "events": [event(1), event(2, **alone)] if events is None else list(events),
        "checks": [Check(what="events.missed", expected="≤ 0", found="1", passed=False, miss="1 too much")],
        "differences": [DifferenceRow(key="model.path", a="big", b="small")],
        "cameras": [CameraRow(camera_id="gate", recording="gate.mp4", seconds=10, frames=250, yardstick="truth")],
        "notes": [],
        "a": side("a"),
        "b": side("b"),
        "around": Around(machine="a processor", cores=2, memory_gb=8, busy=0.0, versions={"camfleet": "0.1.0"}),
    }
    return RehearsalReport(**{**told, **changes})  # type: ignore[arg-type]
