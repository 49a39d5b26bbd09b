"""Measures models beside each other and writes the card of the smaller ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from town.export import IMAGE_HW
from town.ground import Picture
from town.measure import ExportedModel, Precision, letterboxed

TURNS = 60
"""How often each model detects on a picture, in turns, so that a machine that grows slower does so for all."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted and measured of one model."""

    name: str
    parameters: int
    gflops: float
    megabytes: float
    held_out: Precision
    recordings: dict[str, Precision]


@dataclass(frozen=True, slots=True)
class Making:
    """How the models came to be: towns and pictures by part, minutes by step, the machine, and the settings."""

    towns: dict[str, range]
    pictures: dict[str, int]
    minutes: Mapping[str, float]
    machine: str
    share: float
    student_share: float
    lessons: dict[str, str]
    note: str


def milliseconds_in_turns(models: Mapping[str, Path], picture: Picture) -> dict[str, float]:
    """The median time of one detection by each model (XML), on up to two cores, without finding repeated boxes."""
    loaded = {name: ExportedModel(xml) for name, xml in models.items()}
    tensor = letterboxed(picture, *IMAGE_HW)
    took: dict[str, list[float]] = {name: [] for name in loaded}
    for _ in range(TURNS):
        for name, model in loaded.items():
            started_s = time.perf_counter()
            model.infer(tensor)
            took[name].append(time.perf_counter() - started_s)
    return {name: statistics.median(times) * 1000 for name, times in took.items()}


def write_smaller_card(path: Path, figures: Sequence[Figures], ms: Mapping[str, float], made: Making) -> None:
    """Write the card as Markdown."""
    counted = [_counted(one, ms[one.name]) for one in figures]
    head = " | ".join(one.name for one in figures)
    rows = [_row("held-out towns", [one.held_out for one in figures])]
    rows += [_row(f"`{clip}.mp4`", [one.recordings[clip] for one in figures]) for clip in figures[0].recordings]
    minutes = ", ".join(f"{step} {spent:.0f}" for step, spent in made.minutes.items())
    path.write_text(f"""# Two smaller models

Worked examples of two levers, made by `scripts/smaller_models.py` of the [demo model](README.md) and, as that, of no
use on real footage. Files, input, output, classes and licence are as the demo model's.

**Pruned** (`pruned_openvino_model/`): the demo model without about {made.share * 100:.0f} % of the channels of each
layer that can lose some, those without which the training loss changes least (Taylor; torch-pruning), then trained on.
What is split between branches, attends, or is the output keeps its channels.

**Distilled** (`distilled_openvino_model/`): a student without about {made.student_share * 100:.0f} % of them, taught by
the labels and the demo model's features (Ultralytics' distillation). One from random weights, three quarters as wide,
had an mAP50-95 of 0.33 on the held-out towns after 39 minutes.

Both start from the shipped 8-bit export, whose checkpoint was not kept: its weights are scaled back and its
normalisations unfolded.

| | |
|---|---|
| trained on | {_shown(made, "train")}, and {_shown(made, "far")} |
| held out | {_shown(made, "val")}; ranges of 8 bits are calibrated on them, without their labels |
| the pruned one, after pruning | {made.lessons["pruned"]} |
| the distilled one | {made.lessons["distilled"]} |
| minutes | {minutes}; {sum(made.minutes.values()):.0f} in all, without exporting and measuring |
| machine | {made.machine} |

| 8 bits, {IMAGE_HW[1]}×{IMAGE_HW[0]} | parameters | GFLOPs | files | ms a picture |
|---|---|---|---|---|
{chr(10).join(counted)}

Milliseconds are medians of {TURNS} turns, each model after the other in one process, two threads; the next table is
mAP50 / mAP50-95, asked for as in the demo model's card.

| pictures | {head} |
|---|{"---|" * len(figures)}
{chr(10).join(rows)}
{chr(10) + fill(made.note, 120) + chr(10) if made.note else ""}""")


def _shown(made: Making, part: str) -> str:
    seeds = made.towns[part]
    return f"{made.pictures[part]} pictures of {len(seeds)} towns, seeds {seeds.start}–{seeds.stop - 1}"


def _counted(one: Figures, ms: float) -> str:
    sizes = f"{one.parameters / 1e6:.2f} M | {one.gflops:.2f} | {one.megabytes:.1f} MB"
    return f"| {one.name} | {sizes} | {ms:.1f} |"


def _row(name: str, found: Iterable[Precision]) -> str:
    return f"| {name} | " + " | ".join(f"{one.map50:.3f} / {one.map50_95:.3f}" for one in found) + " |"
