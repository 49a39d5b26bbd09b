"""Draws any actor, and the outline of its shadow."""

from __future__ import annotations

import numpy as np

from town.camera import Floats
from town.look import Look, Stance
from town.pen import Pen
from town.people import draw_cyclist, draw_person
from town.vehicles import draw_vehicle

SHADOW_SIZE_M = {"person": (0.2, 0.16), "bicycle": (0.22, 0.75), "car": (0.88, None), "van": (0.98, None)}
"""Half width and half length of what stands on the ground; None is the actor's own length."""
SHADOW_HEIGHT_M = {"bicycle": 1.55, "car": 1.35, "van": 2.2}


def draw_actor(pen: Pen, look: Look, stance: Stance, walked: float, *, moving: bool) -> None:
    """Draw an actor that has come walked metres."""
    if look.kind == "person":
        draw_person(pen, look, stance, walked, moving)
    elif look.kind == "bicycle":
        draw_cyclist(pen, look, stance, walked)
    else:
        draw_vehicle(pen, look, stance, moving)


def shadow(look: Look, stance: Stance, sun: Floats) -> Floats:
    """Ground points (N, 3) whose hull is the actor's shadow."""
    wide, along = SHADOW_SIZE_M[look.kind]
    half = along if along is not None else look.length / 2
    tall = SHADOW_HEIGHT_M.get(look.kind, look.size)
    lean = -sun / max(0.25, float(sun[2])) * (1, 1, 0)
    base = [stance.place + stance.ahead * a * half + stance.left * b * wide for a in (-1, 1) for b in (-1, 1)]
    top = 0.62 if look.kind == "car" else 0.9
    return np.array(base + [p + (p - stance.place) * (top - 1) + lean * tall for p in base])
