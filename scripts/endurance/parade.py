"""A recording whose every event is known: bright figures that walk through the picture, and begin again without a jump.

Each of them crosses the line `gate`, comes into the zone `yard` and leaves it. A detector finds them without fail
(`endurance.bright`), so whatever is missing among the events is the fleet's fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

WH, FPS, LOOP_S = (640, 360), 12, 12.0
FIGURE_WH = (60, 80)
BRIGHT, DARK = 235, 50
GATE_X, YARD_X = 240, (320, 448)
"""Where the line is, and the zone's left and right; both as high as the picture, and far enough within it that a figure
has been seen for two seconds before. px."""
RULES: dict[str, Any] = {
    "lines": {"gate": {"points": [[0.375, 0], [0.375, 1]]}},
    "zones": {"yard": {"polygon": [[0.5, 0], [0.7, 0], [0.7, 1], [0.5, 1]], "when": ["enter", "leave"]}},
}


@dataclass(frozen=True, slots=True)
class Passage:
    """Something passes: the rule, which way (`in`, `out`, `enter`, `leave`), and when, s."""

    rule: str
    way: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One that walks at the same speed; `feet_y` of the picture, `speed_px_s` negative to the left, px.

    Its feet pass the line at `gate_s` of every turn of the recording.
    """

    feet_y: int
    speed_px_s: float
    gate_s: float

    def x(self, at_s: float) -> float:
        """Where its feet are; it walks once a turn, and is beyond the picture for the rest."""
        since_s = (at_s - self.gate_s + LOOP_S / 2) % LOOP_S - LOOP_S / 2
        return GATE_X + self.speed_px_s * since_s

    def passages(self) -> list[Passage]:
        """What it does in a turn."""
        right = self.speed_px_s > 0
        first, last = YARD_X if right else YARD_X[::-1]
        times = {"enter": first, "leave": last}
        # What goes to the right has the line's left at its left hand: it goes out, see `camfleet events`.
        found = [Passage("gate", "out" if right else "in", self.gate_s)]
        return found + [
            Passage("yard", way, (self.gate_s + (x - GATE_X) / self.speed_px_s) % LOOP_S) for way, x in times.items()
        ]


FIGURES = (
    Figure(85, 85.0, 0.1),
    Figure(175, -95.0, 6.5),
    Figure(265, 75.0, 6.0),
    Figure(355, -90.0, 0.7),
)
"""No two do the same within two seconds, so that it is clear which of them an event is about; and slowly enough that a
detector which comes but three times a second, on a machine that has other work, still knows who is who."""


def passages() -> list[Passage]:
    """All that happens in a turn of the recording."""
    return sorted((one for figure in FIGURES for one in figure.passages()), key=lambda one: one.at_s)


def picture(number: int) -> NDArray[np.uint8]:
    """(H, W) uint8: one of the recording."""
    luma = np.full(WH[::-1], DARK, np.uint8)
    wide, high = FIGURE_WH
    for figure in FIGURES:
        left = round(figure.x(number / FPS) - wide / 2)
        luma[figure.feet_y - high : figure.feet_y, max(0, left) : max(0, left + wide)] = BRIGHT
    return luma


def record(path: Path) -> Path:
    """Write one turn of it, H.264 with a key frame every second, as cameras send it."""
    with av.open(str(path), "w") as container:
        options = {"g": str(FPS), "bf": "0", "preset": "veryfast", "sc_threshold": "0"}
        video = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(video, av.VideoStream)
        (video.width, video.height), video.pix_fmt = WH, "yuv420p"
        for number in range(round(LOOP_S * FPS)):
            frame = av.VideoFrame.from_ndarray(picture(number), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path
