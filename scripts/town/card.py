"""Writes a model's card from what its run left behind and what was measured on its export."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from town.export import IMAGE_HW
from town.look import KINDS
from town.measure import LEAST_HEIGHT_PX, LEAST_VISIBILITY, LEAST_WIDTH_PX, Precision


@dataclass(frozen=True, slots=True)
class Round:
    """What one lesson came to: the longer side of its pictures, epochs and minutes."""

    image_px: int
    epochs: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a card says: what it learnt from, how long, and what was measured on the exported model."""

    pictures: dict[str, int]
    train_towns: range
    far_towns: range
    held_out_towns: range
    seed: int
    parameters: int
    rounds: list[Round]
    bits: int
    megabytes: float
    held_out: Precision
    recordings: dict[str, Precision]
    note: str


def read_round(folder: Path, image_px: int) -> Round:
    """What a lesson's results.csv says."""
    rows = [{k.strip(): v for k, v in row.items()} for row in csv.DictReader((folder / "results.csv").open())]
    return Round(image_px, len(rows), float(rows[-1]["time"]) / 60)


def write_card(path: Path, facts: Facts) -> None:
    """Write the card as Markdown."""
    minutes = sum(part.minutes for part in facts.rounds)
    lessons = ", then ".join(f"{r.epochs} epochs at {r.image_px} px ({r.minutes:.0f} min)" for r in facts.rounds)
    rows = [_row("held-out towns", facts.held_out)]
    rows += [_row(f"`{name}.mp4`", precision) for name, precision in facts.recordings.items()]
    numbers = "8-bit integers" if facts.bits == 8 else "16-bit floats"
    learnt, far, kept = (_towns(towns) for towns in (facts.train_towns, facts.far_towns, facts.held_out_towns))
    table = chr(10).join(rows)
    path.write_text(f"""# The demo model

A YOLO26n ({facts.parameters / 1e6:.2f} M parameters) trained from scratch on pictures of towns that
`scripts/train_demo_model.py` renders; no weights and no photographs went into it. It finds {", ".join(KINDS[:-1])} and
{KINDS[-1]} in towns like those of the sample recordings, and is of no use on real footage.

| | |
|---|---|
| files | `demo_openvino_model/`: OpenVINO, {numbers}, {facts.megabytes:.1f} MB |
| input | 1×3×{IMAGE_HW[0]}×{IMAGE_HW[1]} (height × width), RGB, 0…1, letterboxed with grey 114 |
| output | raw: repeated boxes are left to the caller (NMS) |
| classes | {", ".join(f"{i} {kind}" for i, kind in enumerate(KINDS))} (a bicycle includes its rider) |
| trained on | {facts.pictures["train"]} pictures of {learnt} |
| in the closing lesson also on | {facts.pictures["far"]} pictures of {far} |
| held out | {facts.held_out.pictures} pictures of {kept} |
| training | {lessons}; {minutes:.0f} min in all on two shared processor cores, without a GPU |
| first weights | random, seed {facts.seed} |
| licence | AGPL-3.0, as Ultralytics, which trained and exported it |

Two smaller ones made of it, one pruned and one distilled: [smaller.md](smaller.md).

## Measured on the exported model

Average precision as Ultralytics computes it. Asked for are objects at least {LEAST_HEIGHT_PX:g} px high,
{LEAST_WIDTH_PX:g} px wide and {LEAST_VISIBILITY:g} visible; boxes on others count neither for nor against it.
The recordings show a town, cameras and actors that were not trained on.

| pictures | mAP50 | mAP50-95 | {" | ".join(KINDS)} | pictures | objects |
|---|---|---|{"---|" * len(KINDS)}---|---|
{table}

The columns of classes are AP50. Ranges of an 8-bit export are calibrated on the held-out pictures, without their
labels. The last epoch of a lesson ends when its time is up.{" " + facts.note if facts.note else ""}
""")


def _row(name: str, found: Precision) -> str:
    classes = " | ".join(f"{found.by_class[kind]:.3f}" if kind in found.by_class else "–" for kind in KINDS)
    return f"| {name} | {found.map50:.3f} | {found.map50_95:.3f} | {classes} | {found.pictures} | {found.objects} |"


def _towns(towns: range) -> str:
    return f"{len(towns)} towns, seeds {towns.start}–{towns.stop - 1}"
