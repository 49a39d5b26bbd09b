"""Both sides' events and figures, beside each other and beside the truth."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.rehearse.catalogue import Occurrence
from pipeline.rehearse.result import Better, By, CountRow, FigureRow, InTruth, Spread
from pipeline.rehearse.score import Figures
from pipeline.rehearse.yardstick import TRUTH

Measured = Collection[tuple[str, str]]
"""Cameras and their rules of which it is known what happened."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that can be expected and is told; arguments as `FigureRow`."""

    key: str
    words: str
    unit: str = ""
    decimals: int = 0
    better: Better = "less"


FIGURES = (
    Figure("events", "events told", better=""),
    Figure("events.caught", "events caught", better="more"),
    Figure("events.missed", "events missed"),
    Figure("events.false", "events told that did not happen"),
    Figure("events.count_error", "error of the counts", "%", 1),
    Figure("told_ms", "crossing to message, median", "ms"),
    Figure("hota", "HOTA", "", 1, "more"),
    Figure("det_a", "DetA", "", 1, "more"),
    Figure("ass_a", "AssA", "", 1, "more"),
    Figure("idf1", "IDF1", "", 1, "more"),
    Figure("sap50", "streaming AP, IoU 0.5", "", 1, "more"),
    Figure("p50_ms", "age of boxes, p50", "ms"),
    Figure("p95_ms", "age of boxes, p95", "ms"),
    Figure("p99_ms", "age of boxes, p99", "ms"),
    Figure("detected_hz", "frames detected a second", "/s", 1, ""),
    Figure("detected_share", "frames detected", "%", 0, ""),
    Figure("stride", "stride", "", 1, ""),
    Figure("published_hz", "frames published a second", "/s", 0, "more"),
    Figure("lost", "frames without any message"),
    Figure("cores", "processor cores", "", 2),
    Figure("cores.workers", "  detecting and tracking", "", 2),
    Figure("cores.cameras", "  decoding", "", 2),
    Figure("memory_mb", "memory", "MB"),
)
OF_BOTH = {
    "events.both": "events that both told",
    "events.only_a": "events that A alone told",
    "events.only_b": "events that B alone told",
}
"""Figures of the two together, which can be expected, too."""
KEYS = (*(figure.key for figure in FIGURES), *OF_BOTH)


def caught(one: Occurrence, letter: str, repeats: int) -> bool:
    """Whether a side saw it in most of its runs."""
    return 2 * one.runs_of(letter) > repeats


def by(one: Occurrence, repeats: int) -> By:
    """Who saw it in most runs."""
    a, b = caught(one, "a", repeats), caught(one, "b", repeats)
    return "both" if a and b else "only_a" if a else "only_b" if b else "neither"


def truth_of(one: Occurrence, measured: Measured) -> InTruth:
    """Whether it happened."""
    if TRUTH in one.by:
        return "yes" if one.by[TRUTH].wanted else "unasked"
    return "no" if one.sighting.kind[:2] in measured else "unknown"


def event_figures(found: Sequence[Occurrence], letter: str, repeats: int, measured: Measured) -> Figures:
    """What of the events concerns one side, by most of its runs."""
    seen = [one for one in found if caught(one, letter, repeats)]
    told: Figures = {"events": float(len(seen))}
    if measured:
        true = [one for one in found if truth_of(one, measured) == "yes"]
        told["events.caught"] = float(sum(caught(one, letter, repeats) for one in true))
        told["events.missed"] = len(true) - told["events.caught"]
        told["events.false"] = float(sum(truth_of(one, measured) == "no" for one in seen))
        if true:
            rows = [row for row in counts(found, repeats, measured) if row.truth is not None]
            off = sum(abs((row.a if letter == "a" else row.b) - (row.truth or 0)) for row in rows)
            told["events.count_error"] = 100 * off / len(true)
    return told


def of_both(found: Sequence[Occurrence], repeats: int) -> Figures:
    """Figures of the two together."""
    told = [by(one, repeats) for one in found]
    return {f"events.{what}": float(told.count(what)) for what in ("both", "only_a", "only_b")}


def counts(found: Sequence[Occurrence], repeats: int, measured: Measured) -> list[CountRow]:
    """How often what happened at which rule; what the truth does not ask for is left out."""
    kinds: dict[tuple[str, str, str], list[Occurrence]] = {}
    for one in found:
        if truth_of(one, measured) != "unasked":
            kinds.setdefault(one.sighting.kind, []).append(one)
    return [
        CountRow(
            camera_id=kind[0],
            rule=kind[1],
            what=kind[2],
            a=_counted(several, "a", repeats),
            b=_counted(several, "b", repeats),
            truth=sum(TRUTH in one.by for one in several) if kind[:2] in measured else None,
        )
        for kind, several in sorted(kinds.items())
    ]


def _counted(several: Sequence[Occurrence], letter: str, repeats: int) -> float:
    """In the median of a side's runs."""
    runs = [f"{letter}{number}" for number in range(1, repeats + 1)]
    return float(statistics.median(sum(run in one.by for one in several) for run in runs))


def rows(a: Sequence[Figures], b: Sequence[Figures]) -> list[FigureRow]:
    """Every figure that is known of a side; `a` and `b` have one entry for each run."""
    made = [
        FigureRow(
            key=figure.key,
            words=figure.words,
            unit=figure.unit,
            decimals=figure.decimals,
            better=figure.better,
            a=_spread(figure.key, a),
            b=_spread(figure.key, b),
        )
        for figure in FIGURES
    ]
    return [row for row in made if row.a is not None or row.b is not None]


def _spread(key: str, runs: Sequence[Mapping[str, float]]) -> Spread | None:
    known = [run[key] for run in runs if key in run]
    if not known:
        return None
    return Spread(median=float(statistics.median(known)), least=float(min(known)), most=float(max(known)))
