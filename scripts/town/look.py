"""What an actor looks like: its kind, colours and proportions, all drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from town.camera import Floats

KINDS = ("person", "bicycle", "car", "van")
"""Class names in the order of their ids (0-based; one is added in MOTChallenge files)."""
UP = np.array([0.0, 0.0, 1.0])
Colour = tuple[int, int, int]

CLOTHES = [
    (60, 60, 190), (180, 110, 50), (70, 140, 70), (40, 170, 225), (120, 60, 120), (225, 228, 230), (70, 66, 64),
    (150, 150, 60), (90, 120, 220), (60, 90, 130), (190, 170, 120), (110, 190, 230), (40, 40, 140), (130, 130, 136),
]  # fmt: skip
TROUSERS = [(92, 64, 48), (60, 58, 56), (110, 100, 92), (84, 110, 140), (128, 96, 68), (44, 44, 50)]
SKIN = [(176, 204, 236), (150, 184, 222), (112, 148, 196), (76, 104, 148), (56, 74, 108)]
HAIR = [(30, 38, 52), (40, 66, 104), (84, 140, 186), (60, 60, 64), (150, 152, 158), (36, 50, 120)]
PAINTS = [
    (48, 48, 196), (190, 120, 50), (222, 226, 228), (70, 68, 66), (160, 160, 162), (60, 160, 220), (96, 140, 70),
    (140, 80, 60), (200, 196, 170), (40, 60, 130), (120, 180, 210), (105, 105, 110),
]  # fmt: skip
VANS = [
    (232, 234, 236),
    (226, 228, 230),
    (60, 170, 235),
    (190, 150, 70),
    (200, 204, 206),
    (80, 80, 180),
    (120, 150, 100),
]
STRIPES = [(60, 60, 190), (190, 110, 50), (80, 150, 80), (40, 150, 230), (90, 84, 80)]


@dataclass(frozen=True, slots=True)
class Look:
    """How one actor looks: kind, colours BGR and proportions, all drawn from its seed."""

    kind: str
    seed: int
    size: float
    colour: Colour
    second: Colour
    skin: Colour
    hair: Colour
    variant: int

    @property
    def length(self) -> float:
        """Length along the heading in metres."""
        return {"person": 0.5, "bicycle": 1.8, "car": 4.3 * self.size, "van": 5.3 * self.size}[self.kind]


def dress(kind: str, seed: int) -> Look:
    """The look of an actor, from a seed."""
    rng = np.random.default_rng([5, seed])

    def pick(palette: list[Colour]) -> Colour:
        blue, green, red = np.clip(
            np.array(palette[int(rng.integers(len(palette)))]) + rng.integers(-14, 15, 3), 14, 240
        )
        return int(blue), int(green), int(red)

    colour = pick({"car": PAINTS, "van": VANS}.get(kind, CLOTHES))
    second = pick(STRIPES if kind == "van" else TROUSERS)
    size = float(rng.uniform(1.56, 1.9)) if kind in ("person", "bicycle") else float(rng.uniform(0.93, 1.07))
    return Look(kind, seed, size, colour, second, pick(SKIN), pick(HAIR), int(rng.integers(6)))


@dataclass(frozen=True, slots=True)
class Stance:
    """Where an actor stands: the ground point below it (3,) metres and the unit vectors ahead and to its left."""

    place: Floats
    ahead: Floats
    left: Floats

    @classmethod
    def at(cls, spot: Floats, heading: float) -> Stance:
        """A stance on spot (2,) metres, facing heading (radians)."""
        ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
        return cls(np.array([spot[0], spot[1], 0.0]), ahead, np.array([-ahead[1], ahead[0], 0.0]))

    def faces(self, eye: Floats) -> bool:
        """Whether its front is turned towards a viewer."""
        return float(self.ahead @ (eye - self.place)) > 0

    def far_to_near(self, eye: Floats) -> tuple[int, int]:
        """Its two sides (1 is left), the one farther from a viewer first."""
        return (-1, 1) if float(self.left @ (eye - self.place)) > 0 else (1, -1)
