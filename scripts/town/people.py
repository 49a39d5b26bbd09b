"""People on foot and on bicycles."""

from __future__ import annotations

import numpy as np

from town.camera import Floats
from town.look import UP, Look, Stance
from town.pen import Pen

SHOES = np.array([52.0, 50, 54])
WHEEL_M = 0.34
TYRE = np.array([46.0, 44, 44])


def draw_person(pen: Pen, look: Look, stance: Stance, walked: float, moving: bool) -> None:
    """Draw somebody standing or, walked metres along, walking."""
    _Walker(pen, look, stance, walked, moving).draw()


class _Walker:
    def __init__(self, pen: Pen, look: Look, stance: Stance, walked: float, moving: bool) -> None:
        self.pen, self.look, self.stance, self.moving = pen, look, stance, moving
        h = look.size
        self.phase = walked / (0.86 * h) * np.pi * 1.15 if moving else 0.0
        self.swing = 0.46 if moving else 0.04
        bob = UP * 0.018 * h * (abs(np.cos(self.phase)) if moving else 0)
        self.hip = stance.place + UP * 0.50 * h + bob
        self.shoulder = stance.place + UP * 0.80 * h + bob + stance.ahead * 0.015
        self.shirt, self.trousers = np.array(look.colour, float), np.array(look.second, float)
        self.skin = np.array(look.skin, float)

    def draw(self) -> None:
        far, near = self.stance.far_to_near(self.pen.camera.position)
        facing = self.stance.faces(self.pen.camera.position)
        self.arm(far)
        self.leg(far)
        self.leg(near)
        if self.look.variant == 3 and facing:
            self.pack()
        self.trunk()
        if self.look.variant == 3 and not facing:
            self.pack()
        h = self.look.size
        draw_head(
            self.pen, self.look, self.shoulder + UP * 0.135 * h + self.stance.ahead * 0.012 * h, self.stance.ahead
        )
        self.arm(near)

    def leg(self, side: int) -> None:
        h, ahead, left = self.look.size, self.stance.ahead, self.stance.left
        turn = side * self.swing * np.sin(self.phase)
        bend = 0.75 * max(0.0, np.cos(self.phase) * -side) if self.moving else 0.02
        top = self.hip + left * side * 0.055 * h
        high, low = turn + bend * 0.3, turn + bend * 0.3 - bend
        knee = top + (ahead * np.sin(high) - UP * np.cos(high)) * 0.245 * h
        ankle = knee + (ahead * np.sin(low) - UP * np.cos(low)) * 0.225 * h
        shin = self.skin if self.look.variant == 1 else self.trousers
        toe = ankle + ahead * 0.075 * h - UP * 0.022 * h
        self.pen.limb(np.array([top, knee]), np.array([0.056, 0.042]) * h, self.trousers)
        self.pen.limb(np.array([knee, ankle]), np.array([0.040, 0.028]) * h, shin)
        self.pen.limb(np.array([ankle - UP * 0.015 * h, toe]), np.array([0.028, 0.022]) * h, SHOES)

    def arm(self, side: int) -> None:
        h, ahead, left = self.look.size, self.stance.ahead, self.stance.left
        turn = -side * self.swing * 0.85 * np.sin(self.phase)
        top = self.shoulder + left * side * 0.105 * h
        elbow = top + (ahead * np.sin(turn) - UP * np.cos(turn)) * 0.165 * h + left * side * 0.02 * h
        hand = elbow + (ahead * np.sin(turn + 0.35) - UP * np.cos(turn + 0.35)) * 0.15 * h
        sleeve = self.skin if self.look.variant in (0, 1) else self.shirt * 0.94
        self.pen.limb(np.array([top, elbow]), np.array([0.036, 0.029]) * h, self.shirt * 0.94)
        self.pen.limb(np.array([elbow, hand]), np.array([0.028, 0.022]) * h, sleeve)
        self.pen.limb(np.array([hand, hand - UP * 0.02]), np.array([0.024, 0.022]) * h, self.skin)

    def pack(self) -> None:
        h, left = self.look.size, self.stance.left
        back = self.shoulder - self.stance.ahead * 0.1 * h - UP * 0.04 * h
        corners = np.array([back + left * 0.04 * h, back - left * 0.04 * h, back - UP * 0.16 * h])
        self.pen.limb(corners, np.array([0.06, 0.06, 0.07]) * h, self.trousers[::-1])

    def trunk(self) -> None:
        h, left, hip, shoulder = self.look.size, self.stance.left, self.hip, self.shoulder
        if self.look.variant == 2:
            hem = hip - UP * 0.17 * h
            skirt = [hip + left * 0.05 * h, hip - left * 0.05 * h, hem + left * 0.075 * h, hem - left * 0.075 * h]
            self.pen.limb(np.array(skirt), np.array([0.055, 0.055, 0.06, 0.06]) * h, self.shirt)
        trunk = [
            shoulder + left * 0.072 * h, shoulder - left * 0.072 * h, hip + left * 0.05 * h, hip - left * 0.05 * h,
        ]  # fmt: skip
        self.pen.limb(np.array(trunk), np.array([0.052, 0.052, 0.062, 0.062]) * h, self.shirt)


def draw_head(pen: Pen, look: Look, centre: Floats, ahead: Floats, *, helmet: bool = False) -> None:
    """Draw a head with hair or a helmet, its face only if it is turned to the camera."""
    h = look.size
    skin = np.array(look.skin, float)
    hair = np.array(look.colour, float)[::-1] if helmet else np.array(look.hair, float)
    pen.limb(np.array([centre - UP * 0.075 * h, centre - UP * 0.03 * h]), np.array([0.03, 0.032]) * h, skin * 0.9)
    facing = float(ahead @ (pen.camera.position - centre)) > 0
    face = np.array([centre, centre - UP * 0.02 * h + ahead * 0.01 * h])
    nape = centre - ahead * 0.022 * h - UP * (0.03 if look.variant % 2 else 0.0) * h
    crown = np.array([centre + UP * 0.022 * h - ahead * 0.016 * h, nape])
    if facing:
        pen.limb(crown, np.array([0.060, 0.056]) * h, hair)
        pen.limb(face + ahead * 0.012 * h - UP * 0.01 * h, np.array([0.048, 0.042]) * h, skin)
        pen.limb(np.array([centre + UP * 0.04 * h, centre + UP * 0.045 * h]), np.array([0.044, 0.044]) * h, hair)
    else:
        pen.limb(face, np.array([0.054, 0.046]) * h, skin)
        pen.limb(crown, np.array([0.062, 0.060]) * h, hair)


def draw_cyclist(pen: Pen, look: Look, stance: Stance, walked: float) -> None:
    """Draw somebody riding a bicycle, walked metres along."""
    _Cyclist(pen, look, stance, walked).draw()


class _Cyclist:
    def __init__(self, pen: Pen, look: Look, stance: Stance, walked: float) -> None:
        self.pen, self.look, self.stance = pen, look, stance
        place, ahead = stance.place, stance.ahead
        self.rear, self.front = place - ahead * 0.52 + UP * WHEEL_M, place + ahead * 0.52 + UP * WHEEL_M
        self.crank, self.seat = place - ahead * 0.06 + UP * 0.3, place - ahead * 0.2 + UP * 0.86
        self.bars, self.neck = place + ahead * 0.40 + UP * 1.0, place + ahead * 0.36 + UP * 0.82
        self.turn = walked / 2.4 * 2 * np.pi / 1.4
        self.hip = self.seat + UP * 0.08 + ahead * 0.02
        self.shoulder = self.seat + UP * 0.30 * look.size + ahead * 0.33
        self.shirt, self.trousers = np.array(look.colour, float), np.array(look.second, float)
        self.skin = np.array(look.skin, float)

    def draw(self) -> None:
        far, near = self.stance.far_to_near(self.pen.camera.position)
        for centre in (self.rear, self.front):
            self.pen.ring(centre, (self.stance.ahead, UP), WHEEL_M, 0.055, TYRE)
            self.pen.ring(centre, (self.stance.ahead, UP), WHEEL_M * 0.86, 0.015, np.array([190.0, 190, 190]))
        self.leg(far)
        self.frame()
        self.arm(far)
        self.leg(near)
        left, hip, shoulder = self.stance.left, self.hip, self.shoulder
        trunk = np.array([shoulder + left * 0.12, shoulder - left * 0.12, hip + left * 0.07, hip - left * 0.07])
        self.pen.limb(trunk, np.array([0.085, 0.085, 0.105, 0.105]), self.shirt)
        head = shoulder + UP * 0.25 + self.stance.ahead * 0.06
        draw_head(self.pen, self.look, head, self.stance.ahead, helmet=self.look.variant != 5)
        self.arm(near)
        if self.pen.light.dusk:
            self.lamp()

    def frame(self) -> None:
        ahead, left, seat, neck, crank = self.stance.ahead, self.stance.left, self.seat, self.neck, self.crank
        paint = self.shirt[::-1] * 0.9
        tubes = [(self.rear, crank), (crank, seat), (seat - UP * 0.1, neck), (crank, neck)]
        tubes += [(self.rear, seat - UP * 0.08), (neck, self.front), (neck, self.bars)]
        for a, b in tubes:
            self.pen.limb(np.array([a, b]), np.array([0.026, 0.026]), paint)
        self.pen.limb(np.array([seat - ahead * 0.1, seat + ahead * 0.12]), np.array([0.05, 0.03]), TYRE)
        self.pen.limb(np.array([self.bars + left * 0.26, self.bars - left * 0.26]), np.array([0.022, 0.022]), TYRE)

    def leg(self, side: int) -> None:
        ahead, left = self.stance.ahead, self.stance.left
        angle = self.turn + (np.pi if side > 0 else 0)
        pedal = self.crank + (ahead * np.cos(angle) - UP * np.sin(angle)) * 0.16 + left * side * 0.11 + UP * 0.06
        top = self.hip + left * side * 0.08
        gap = pedal - top
        reach = float(np.linalg.norm(gap))
        rise = np.sqrt(max(0.01, (0.245 * self.look.size) ** 2 - (reach / 2) ** 2))
        out = np.cross(left, gap / reach)
        knee = top + gap / 2 + (out if out @ ahead > 0 else -out) * rise
        shin = self.skin if self.look.variant < 2 else self.trousers
        self.pen.limb(np.array([top, knee]), np.array([0.075, 0.055]), self.trousers)
        self.pen.limb(np.array([knee, pedal]), np.array([0.052, 0.036]), shin)
        self.pen.limb(np.array([pedal, pedal + ahead * 0.1]), np.array([0.04, 0.034]), np.array([60.0, 58, 62]))

    def arm(self, side: int) -> None:
        left = self.stance.left
        hand, top = self.bars + left * side * 0.24, self.shoulder + left * side * 0.17
        elbow = (top + hand) / 2 + left * side * 0.05 - UP * 0.05
        self.pen.limb(np.array([top, elbow]), np.array([0.058, 0.046]), self.shirt * 0.94)
        self.pen.limb(np.array([elbow, hand]), np.array([0.044, 0.036]), self.skin)

    def lamp(self) -> None:
        ahead, left = self.stance.ahead, self.stance.left
        if self.stance.faces(self.pen.camera.position):
            lamp = self.bars + ahead * 0.1 - UP * 0.1
            self.pen.own(lamp + patch(left, UP, 0.05, 0.05), np.array([220.0, 245, 255]))
            self.pen.glow(lamp, 0.35, 0.5)
        else:
            reflector = self.seat - UP * 0.15 - ahead * 0.2
            self.pen.own(reflector + patch(left, UP, 0.05, 0.05), np.array([50.0, 50, 240]))


def patch(across: Floats, along: Floats, half_across: float, half_along: float) -> Floats:
    """Corners (4, 3) of a rectangle around the origin in the plane of two unit vectors."""
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.array([across * a * half_across + along * b * half_along for a, b in signs])
