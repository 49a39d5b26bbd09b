"""Cars and vans: a side outline drawn out to a width, with panes, wheels and lights."""

from __future__ import annotations

import numpy as np

from town.camera import Floats
from town.look import UP, Look, Stance
from town.pen import Pen
from town.people import patch

CAR = np.array([
    (-2.08, 0.26), (-2.15, 0.52), (-2.12, 0.84), (-1.98, 0.95), (-1.42, 1.36), (-1.10, 1.45), (-0.4, 1.475),
    (0.28, 1.44), (1.08, 0.98), (1.75, 0.87), (2.04, 0.74), (2.14, 0.52), (2.10, 0.26),
])  # fmt: skip
SALOON = {3: (-1.62, 0.98), 4: (-1.0, 1.38), 5: (-0.78, 1.44), 2: (-2.13, 0.90)}
VAN = np.array([
    (-2.58, 0.3), (-2.62, 0.6), (-2.60, 1.5), (-2.56, 2.12), (-2.40, 2.24), (0.0, 2.27), (1.25, 2.22), (1.48, 2.12),
    (2.06, 1.24), (2.46, 1.06), (2.60, 0.78), (2.58, 0.3),
])  # fmt: skip
CAR_PANES, VAN_PANES = (3, 7), (2, 7)
"""Which stretches of the outline, counted from the rear, are the rear window and the windscreen."""
PROUD = 1.003
"""Paint on a side stands this much off it, so that it is drawn in front."""


def draw_vehicle(pen: Pen, look: Look, stance: Stance, moving: bool) -> None:
    """Draw a car or van; its lights shine at dusk if it moves."""
    _Vehicle(pen, look, stance, moving).draw()


class _Vehicle:
    def __init__(self, pen: Pen, look: Look, stance: Stance, moving: bool) -> None:
        self.pen, self.look, self.stance = pen, look, stance
        self.van = look.kind == "van"
        self.shining = pen.light.dusk and moving
        self.outline = self._outline()
        self.belt, self.roof = (1.25 if self.van else 0.95), float(self.outline[:, 1].max())
        self.half, self.taper = (0.98, 0.08) if self.van else (0.89, 0.22)
        self.wheel = 0.35 if self.van else 0.33
        front, rear = (1.55, -1.6) if self.van else (1.32, -1.30)
        self.axles = (rear * look.size, front * look.size)
        self.paint = np.array(look.colour, float)
        self.near = stance.far_to_near(pen.camera.position)[1]

    def _outline(self) -> Floats:
        outline = (VAN if self.van else CAR).copy()
        if not self.van and self.look.variant >= 3:
            for index, point in SALOON.items():
                outline[index] = point
        if not self.van and self.look.variant == 2:
            outline[:, 1] *= 1.12
        outline[:, 0] *= self.look.size
        return outline

    def at(self, x: float, z: float, side: float) -> Floats:
        """The point x metres ahead of the middle and z high on a side (1 is left); roof and ends are narrower."""
        wide = self.half - self.taper * min(1.0, max(0.0, (z - self.belt) / (self.roof - self.belt)))
        wide *= 1 - 0.10 * max(0.0, abs(x) / (self.look.length / 2) - 0.78) / 0.22
        stance = self.stance
        return np.asarray(stance.place + stance.ahead * x + stance.left * side * wide + UP * z)

    def draw(self) -> None:
        for x in self.axles:
            self.disc(self.at(x, self.wheel, -self.near), self.wheel, (34.0, 32, 32))
        ends = ((0, -1), (-1, -1), (-1, 1), (0, 1))
        self.pen.own(np.array([self.at(self.outline[i, 0], 0.22, s) for i, s in ends]), np.array([22.0, 20, 20]))
        self.shell()
        if self.van:
            self.van_side()
        else:
            self.car_side()
        self.wheels()
        self.nose()
        self.tail()

    def disc(self, centre: Floats, radius: float, colour: tuple[float, float, float]) -> None:
        self.pen.disc(centre, (self.stance.ahead, UP), radius, np.array(colour))

    def shell(self) -> None:
        """Bonnet, windscreen, roof and tail, the farthest first."""
        stance, eye = self.stance, self.pen.camera.position
        strips = [(i, self.outline[i], self.outline[i + 1]) for i in range(len(self.outline) - 1)]
        middles = [stance.place + stance.ahead * (a[0] + b[0]) / 2 + UP * (a[1] + b[1]) / 2 for _, a, b in strips]
        distances = [float(np.linalg.norm(middle - eye)) for middle in middles]
        for index in np.argsort(distances)[::-1]:
            part, a, b = strips[int(index)]
            self.strip(part, a, b, dark=part in (0, len(strips) - 1))

    def strip(self, part: int, a: Floats, b: Floats, *, dark: bool) -> None:
        corners = np.array(
            [self.at(a[0], a[1], -1), self.at(a[0], a[1], 1), self.at(b[0], b[1], 1), self.at(b[0], b[1], -1)]
        )
        normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
        normal = -normal / (np.linalg.norm(normal) + 1e-9)
        if normal @ (self.stance.ahead * (a[0] + b[0]) + UP * (a[1] + b[1] - 1.4)) < 0:
            normal = -normal
        if normal @ (self.pen.camera.position - corners[0]) <= 0:
            return
        self.pen.face(corners, self.paint * (0.55 if dark else 1.0), normal)
        blind = self.van and part == 2 and self.look.variant % 2
        if part in (VAN_PANES if self.van else CAR_PANES) and not blind:
            half_high = (0.09, 0.12, 0.14, 0.5) if self.van and part == 2 else (0.09, 0.07, 0.08, 0.05)
            _pane(self.pen, corners, normal, half_high)

    def side_face(self, points: list[tuple[float, float]], colour: Floats, normal: Floats, off: float = 1.0) -> None:
        """Paint a polygon of x, z on the side that is seen."""
        self.pen.face(np.array([self.at(x, z, self.near * off) for x, z in points]), colour, normal)

    def van_side(self) -> None:
        s, normal = self.look.size, self.stance.left * self.near
        self.side_face([(x, z) for x, z in self.outline], self.paint, normal)
        stripe = [(-2.55 * s, 1.15), (0.7 * s, 1.15), (0.45 * s, 0.85), (-2.58 * s, 0.85)]
        self.side_face(stripe, np.array(self.look.second, float), normal, PROUD)
        glass = np.array([100.0, 86, 74])
        self.side_face([(0.85 * s, 1.35), (1.93 * s, 1.35), (1.5 * s, 1.98), (0.85 * s, 2.0)], glass, normal, PROUD)
        if self.look.variant % 3 == 0:
            self.side_face([(-0.75 * s, 1.35), (0.6 * s, 1.35), (0.6 * s, 2.0), (-0.75 * s, 2.0)], glass, normal, PROUD)

    def car_side(self) -> None:
        s, normal = self.look.size, self.stance.left * self.near
        tilted = (normal * 0.93 + UP * 0.25) / np.linalg.norm(normal * 0.93 + UP * 0.25)
        self.side_face([(x, z) for x, z in self.outline if z >= self.belt - 0.13], self.paint, tilted)
        self.side_face([(x, z) for x, z in self.outline if z <= self.belt + 0.04], self.paint * 0.97, normal)
        top, back = self.roof - 0.09, float(self.outline[4, 0]) + 0.08
        glass = np.array([106.0, 90, 76])
        self.side_face([(0.10 * s, 0.98), (0.98 * s, 0.98), (0.34 * s, top), (0.10 * s, top)], glass, tilted)
        self.side_face([(back - 0.22, 0.98), (0.03 * s, 0.98), (0.03 * s, top), (back + 0.12, top)], glass, tilted)
        sill = [(-2.05 * s, 0.42), (2.05 * s, 0.42), (2.08 * s, 0.30), (-2.05 * s, 0.30)]
        self.side_face(sill, self.paint * 0.45, normal)
        mirror = self.at(0.95 * s, 1.02, self.near * 1.06)
        self.pen.limb(np.array([mirror, mirror - self.stance.ahead * 0.05]), np.array([0.08, 0.07]), self.paint * 0.85)

    def wheels(self) -> None:
        for x in self.axles:
            centre = self.at(x, self.wheel, self.near)
            self.disc(centre + UP * 0.05, self.wheel * 1.14, (36.0, 34, 34))
            self.disc(centre, self.wheel, (44.0, 42, 42))
            self.disc(centre, self.wheel * 0.6, (196.0, 196, 196))
            self.disc(centre, self.wheel * 0.2, (90.0, 90, 90))

    def nose(self) -> None:
        ahead, left = self.stance.ahead, self.stance.left
        nose = float(self.outline[:, 0].max())
        if float(ahead @ (self.pen.camera.position - self.at(nose, 0.6, 0))) <= 0:
            return
        for side in (-1.0, 1.0):
            spot = self.at(nose - 0.02, 0.76 if self.van else 0.64, side * 0.74)
            lamp = spot + patch(left, UP, 0.17, 0.085)
            if self.shining:
                self.pen.own(lamp, np.array([236.0, 250, 255]))
                self.pen.glow(spot, 0.55, 0.95)
            else:
                self.pen.face(lamp, np.array([232.0, 236, 236]), ahead)
        grille, plate = self.at(nose - 0.02, 0.5, 0), self.at(nose, 0.40, 0)
        self.pen.face(grille + patch(left, UP, 0.42, 0.07), np.array([40.0, 38, 38]), ahead)
        self.pen.face(plate + patch(left, UP, 0.26, 0.06), np.array([228.0, 230, 230]), ahead)

    def tail(self) -> None:
        behind, left = -self.stance.ahead, self.stance.left
        tail = float(self.outline[:, 0].min())
        if float(behind @ (self.pen.camera.position - self.at(tail, 0.6, 0))) <= 0:
            return
        for side in (-1.0, 1.0):
            spot = self.at(tail + 0.01, 1.0 if self.van else 0.74, side * 0.8)
            lamp = spot + patch(left, UP, 0.12, 0.17 if self.van else 0.085)
            if self.shining:
                self.pen.own(lamp, np.array([60.0, 60, 250]))
                self.pen.glow(spot, 0.3, -0.5)
            else:
                self.pen.face(lamp, np.array([44.0, 40, 190]), behind)
        self.pen.face(self.at(tail, 0.58, 0) + patch(left, UP, 0.26, 0.06), np.array([214.0, 222, 226]), behind)
        if self.van:
            seam = self.at(tail + 0.02, 1.2, 0) + patch(left, UP, 0.012 * self.look.size, 0.85)
            self.pen.face(seam, self.paint * 0.5, behind)


def _pane(pen: Pen, corners: Floats, normal: Floats, inset: tuple[float, float, float, float]) -> None:
    """Glass with a streak of sky on a quad, inset by shares of its left, right, lower and upper edge."""
    left, right, low, high = inset

    def point(u: float, v: float) -> Floats:
        down = corners[0] + (corners[1] - corners[0]) * u
        up = corners[3] + (corners[2] - corners[3]) * u
        return np.asarray(down + (up - down) * v)

    glass = np.array([108.0, 92, 78])
    pane = np.array([point(left, low), point(1 - right, low), point(1 - right, 1 - high), point(left, 1 - high)])
    pen.face(pane, glass, normal)
    streak = np.array([point(0.15, 1 - high), point(0.45, 1 - high), point(0.3, low), point(0.12, low)])
    pen.face(streak, glass * 1.45, normal)
