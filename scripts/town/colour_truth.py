"""The cars and vans of a sample recording and their colours, as its ground truth has them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle on one frame: its id in the recording, left, top, right and bottom in px, what of it is seen."""

    number: int
    xyxy: tuple[float, float, float, float]
    visibility: float
    colour: str

    @property
    def side_px(self) -> float:
        """The longer side of its box."""
        left, top, right, bottom = self.xyxy
        return max(right - left, bottom - top)


def vehicles(folder: Path) -> Mapping[int, list[Vehicle]]:
    """By frame, from 1; none where there is none. `folder` is the recording's, under samples/ground_truth."""
    with (folder / "colours.csv").open(newline="", encoding="utf-8") as rows:
        colours = {int(row["id"]): row["colour"] for row in csv.DictReader(rows)}
    found: defaultdict[int, list[Vehicle]] = defaultdict(list)
    for line in (folder / "gt" / "gt.txt").read_text().splitlines():
        frame, number, x, y, width, height, _, _, visibility = (float(value) for value in line.split(","))
        if (colour := colours.get(int(number))) is not None:
            left, top = x - 1, y - 1
            xyxy = (left, top, left + width, top + height)
            found[int(frame)].append(Vehicle(int(number), xyxy, visibility, colour))
    return found
