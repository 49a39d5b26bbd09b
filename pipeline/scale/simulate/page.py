"""simulate.html: one file that opens anywhere, without a network. How it looks is in `templates/`.

Curves are stretched to the width there is, and their words stand beside them as text, so that a phone shows both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment

from pipeline.document import environment, without_control_characters, write_document
from pipeline.errors import BurstError
from pipeline.scale.simulate.figures import Day, Simulation
from pipeline.scale.simulate.terminal import damage_words

WIDE, HIGH, EDGE = 1000, 100, 4
"""Of a curve's own coordinates, and what is left free above and below."""
DAY_H, AFTER_S = 24.0, 30.0
INK, PALE, WARM, RED = "#1d63b8", "#93a1b5", "#d97706", "#c8322b"


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: For people; empty for one without.
        colour: Of the line.
        points: As SVG has them, in `WIDE` × `HIGH`.
    """

    name: str
    colour: str
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over the same time.

    Attributes:
        title: What is shown, with its unit.
        curves: The lines.
        low: What the lower edge stands for.
        high: And the upper.
        ticks: Below: where, as a share of the width, and what it says.
        mark: Where something was lost, as a share of the width; None where nothing was.
    """

    title: str
    curves: tuple[Curve, ...]
    low: str
    high: str
    ticks: tuple[tuple[float, str], ...]
    mark: float | None = None


def write_page(found: Simulation, path: Path) -> None:
    """Write a simulation as a page.

    Raises:
        BurstError: It cannot be written.
    """
    write_document(page(found), path, BurstError)


def require_writable(page: Path) -> None:
    """Say now, not after a minute, that the report cannot be written.

    Raises:
        BurstError: It cannot.
    """
    folder = page.absolute().parent
    if not folder.is_dir():
        raise BurstError(f"--out {page}: there is no folder {folder}; make it first")
    if page.is_dir() or not os.access(page if page.exists() else folder, os.W_OK):
        raise BurstError(f"--out {page} cannot be written; name a file in a folder of yours")


def page(found: Simulation) -> str:
    """The simulation as one HTML document that fetches nothing."""
    return without_control_characters(
        _environment()
        .get_template("simulate.html")
        .render(
            found=found,
            days={size.cameras: charts(size.day, found.currency) for size in found.sizes},
            damages={size.cameras: damage_words(size.day) for size in found.sizes},
        )
    )


def charts(day: Day, currency: str) -> list[Chart]:
    """A day's curves."""
    series = day.series
    mark = None if day.damage is None else day.damage.hour / DAY_H
    hours = tuple((hour / DAY_H, f"{hour} h") for hour in (0, 6, 12, 18, 24))
    at = [hour / DAY_H for hour in series.at_h]
    all_nodes = [ready + coming for ready, coming in zip(series.nodes, series.coming, strict=True)]
    asked = [share * max(all_nodes) for share in series.asked]

    def chart(title: str, unit: str, low: float, high: float, *lines: tuple[str, str, Sequence[float]]) -> Chart:
        curves = tuple(Curve(name, colour, _points(at, values, low, high)) for name, colour, values in lines)
        return Chart(title, curves, _edge(low, unit), _edge(high, unit), hours, mark)

    got = [100 * share for share in series.detected]
    found = [
        chart(
            "Nodes", "", 0, max(all_nodes), ("what cameras ask for", PALE, asked),
            ("with those that come", WARM, all_nodes), ("ready", INK, series.nodes),
        ),
        chart("Detections that cameras want and get", " %", min(50.0, *got), 100, ("", INK, got)),
        chart(f"Cost, {currency} an hour", "", 0, max(series.cost_hour), ("", INK, series.cost_hour)),
    ]  # fmt: skip
    return found if day.damage is None else [*found, _after(day, day.damage.hour)]


def _after(day: Day, hour: float) -> Chart:
    """The half minute after a loss."""
    series = day.series
    near = [
        ((at_h - hour) * 3600, dark)
        for at_h, dark in zip(series.at_h, series.dark, strict=True)
        if -0.5 <= (at_h - hour) * 3600 <= AFTER_S
    ]
    most = max(1, *(dark for _, dark in near))
    points = _points([seconds / AFTER_S for seconds, _ in near], [dark for _, dark in near], 0, most)
    ticks = tuple((seconds / AFTER_S, f"{seconds} s") for seconds in (0, 10, 20, 30))
    return Chart("Cameras dark after the loss", (Curve("", RED, points),), "0", f"{most:,}", ticks)


def _points(at: Sequence[float], values: Sequence[float], low: float, high: float) -> str:
    """The line as SVG has it: level until the next value."""
    span = max(high - low, 1e-9)
    scaled = [
        (WIDE * x, EDGE + (HIGH - 2 * EDGE) * (1 - (value - low) / span)) for x, value in zip(at, values, strict=True)
    ]
    steps = [f"{x:.1f},{y:.1f}" for x, y in scaled[:1]]
    for (_, before), (x, y) in pairwise(scaled):
        if y != before:
            steps += [f"{x:.1f},{before:.1f}", f"{x:.1f},{y:.1f}"]
    return " ".join([*steps, f"{WIDE if at[-1] > 0.99 else WIDE * at[-1]:.1f},{scaled[-1][1]:.1f}"])


def _edge(value: float, unit: str) -> str:
    return f"{value:,.0f}{unit}" if value >= 10 or not value else f"{value:.2g}{unit}"


@cache
def _environment() -> Environment:
    made = environment("pipeline.scale.simulate", "pipeline.profile")
    made.filters |= {"percent": _percent, "used": _used}
    return made


def _percent(share: float) -> str:
    """A length for CSS, never beyond the whole."""
    return f"{100 * min(1.0, share):.2f}%"


def _used(share: float) -> str:
    """A share for people: percent, and how many times from tenfold on."""
    if share >= 10:
        return f"{share:,.0f} ×"
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"
