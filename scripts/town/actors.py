"""People, cyclists, cars and vans: what they look like, and how each is drawn at a place, heading and way walked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from town.camera import Floats
from town.pen import Pen

KINDS = ("person", "bicycle", "car", "van")
"""Class names in the order of their ids (0-based; one is added in MOTChallenge files)."""
UP = np.array([0.0, 0.0, 1.0])

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
    colour: tuple[int, int, int]
    second: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    variant: int

    @property
    def length(self) -> float:
        """Length along the heading in metres."""
        return {"person": 0.5, "bicycle": 1.8, "car": 4.3 * self.size, "van": 5.3 * self.size}[self.kind]


def dress(kind: str, seed: int) -> Look:
    """The look of an actor, from a seed."""
    rng = np.random.default_rng([5, seed])

    def pick(palette: list[tuple[int, int, int]]) -> tuple[int, int, int]:
        blue, green, red = np.clip(
            np.array(palette[int(rng.integers(len(palette)))]) + rng.integers(-14, 15, 3), 14, 240
        )
        return int(blue), int(green), int(red)

    colour = pick({"car": PAINTS, "van": VANS}.get(kind, CLOTHES))
    second = pick(STRIPES if kind == "van" else TROUSERS)
    size = float(rng.uniform(1.56, 1.9)) if kind in ("person", "bicycle") else float(rng.uniform(0.93, 1.07))
    return Look(kind, seed, size, colour, second, pick(SKIN), pick(HAIR), int(rng.integers(6)))


def draw(pen: Pen, look: Look, spot: Floats, heading: float, walked: float, moving: bool) -> None:
    """Draw an actor standing on spot (2,) metres, facing heading (radians), having come walked metres."""
    ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
    left = np.array([-ahead[1], ahead[0], 0.0])
    place = np.array([spot[0], spot[1], 0.0])
    if look.kind == "person":
        _person(pen, look, place, ahead, left, walked, moving)
    elif look.kind == "bicycle":
        _cyclist(pen, look, place, ahead, left, walked)
    else:
        _vehicle(pen, look, place, ahead, left, moving)


def shadow(look: Look, spot: Floats, heading: float, sun: Floats) -> Floats:
    """Ground points (N, 3) whose hull is the actor's shadow."""
    ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
    left = np.array([-ahead[1], ahead[0], 0.0])
    half = look.length / 2
    wide, tall = {"person": (0.2, look.size), "bicycle": (0.22, 1.55), "car": (0.88, 1.35), "van": (0.98, 2.2)}[
        look.kind
    ]
    along = {"person": 0.16, "bicycle": 0.75}.get(look.kind, half)
    lean = -sun / max(0.25, float(sun[2])) * (1, 1, 0)
    place = np.array([spot[0], spot[1], 0.0])
    base = [place + ahead * a * along + left * b * wide for a in (-1, 1) for b in (-1, 1)]
    top = 0.62 if look.kind == "car" else 0.9
    return np.array(base + [p + (-place + p) * (top - 1) + lean * tall for p in base])


def _person(pen: Pen, look: Look, place: Floats, ahead: Floats, left: Floats, walked: float, moving: bool) -> None:
    h = look.size
    phase = walked / (0.86 * h) * np.pi * 1.15 if moving else 0.0
    swing = 0.46 if moving else 0.04
    bob = UP * 0.018 * h * (abs(np.cos(phase)) if moving else 0)
    hip, shoulder = place + UP * 0.50 * h + bob, place + UP * 0.80 * h + bob + ahead * 0.015
    shirt, trousers = np.array(look.colour, float), np.array(look.second, float)
    skin, shoes = np.array(look.skin, float), np.array([52.0, 50, 54])
    near_left = float(left @ (pen.camera.position - place)) > 0
    order = (-1, 1) if near_left else (1, -1)

    def leg(side: int) -> None:
        turn = side * swing * np.sin(phase)
        bend = 0.75 * max(0.0, np.cos(phase) * -side) if moving else 0.02
        top = hip + left * side * 0.055 * h
        knee = top + (ahead * np.sin(turn + bend * 0.3) - UP * np.cos(turn + bend * 0.3)) * 0.245 * h
        low = turn + bend * 0.3 - bend
        ankle = knee + (ahead * np.sin(low) - UP * np.cos(low)) * 0.225 * h
        bare = look.variant == 1
        pen.limb(np.array([top, knee]), np.array([0.056, 0.042]) * h, trousers)
        pen.limb(np.array([knee, ankle]), np.array([0.040, 0.028]) * h, skin if bare else trousers)
        pen.limb(
            np.array([ankle - UP * 0.015 * h, ankle + ahead * 0.075 * h - UP * 0.022 * h]),
            np.array([0.028, 0.022]) * h,
            shoes,
        )

    def arm(side: int) -> None:
        turn = -side * swing * 0.85 * np.sin(phase)
        top = shoulder + left * side * 0.105 * h
        elbow = top + (ahead * np.sin(turn) - UP * np.cos(turn)) * 0.165 * h + left * side * 0.02 * h
        hand = elbow + (ahead * np.sin(turn + 0.35) - UP * np.cos(turn + 0.35)) * 0.15 * h
        pen.limb(np.array([top, elbow]), np.array([0.036, 0.029]) * h, shirt * 0.94)
        pen.limb(
            np.array([elbow, hand]), np.array([0.028, 0.022]) * h, skin if look.variant in (0, 1) else shirt * 0.94
        )
        pen.limb(np.array([hand, hand - UP * 0.02]), np.array([0.024, 0.022]) * h, skin)

    def pack() -> None:
        back = shoulder - ahead * 0.1 * h - UP * 0.04 * h
        pen.limb(
            np.array([back + left * 0.04 * h, back - left * 0.04 * h, back - UP * 0.16 * h]),
            np.array([0.06, 0.06, 0.07]) * h,
            trousers[::-1],
        )

    facing = float(ahead @ (pen.camera.position - place)) > 0
    arm(order[0])
    leg(order[0])
    leg(order[1])
    if look.variant == 3 and facing:
        pack()
    if look.variant == 2:
        hem = hip - UP * 0.17 * h
        skirt = np.array([hip + left * 0.05 * h, hip - left * 0.05 * h, hem + left * 0.075 * h, hem - left * 0.075 * h])
        pen.limb(skirt, np.array([0.055, 0.055, 0.06, 0.06]) * h, shirt)
    trunk = np.array(
        [shoulder + left * 0.072 * h, shoulder - left * 0.072 * h, hip + left * 0.05 * h, hip - left * 0.05 * h]
    )
    pen.limb(trunk, np.array([0.052, 0.052, 0.062, 0.062]) * h, shirt)
    if look.variant == 3 and not facing:
        pack()
    _head(pen, look, shoulder + UP * 0.135 * h + ahead * 0.012 * h, ahead, h)
    arm(order[1])


def _head(pen: Pen, look: Look, centre: Floats, ahead: Floats, h: float, helmet: bool = False) -> None:
    skin = np.array(look.skin, float)
    hair = np.array(look.colour, float)[::-1] if helmet else np.array(look.hair, float)
    pen.limb(np.array([centre - UP * 0.075 * h, centre - UP * 0.03 * h]), np.array([0.03, 0.032]) * h, skin * 0.9)
    facing = float(ahead @ (pen.camera.position - centre)) > 0
    face = np.array([centre, centre - UP * 0.02 * h + ahead * 0.01 * h])
    crown = np.array(
        [
            centre + UP * 0.022 * h - ahead * 0.016 * h,
            centre - ahead * 0.022 * h - UP * (0.03 if look.variant % 2 else 0.0) * h,
        ]
    )
    if facing:
        pen.limb(crown, np.array([0.060, 0.056]) * h, hair)
        pen.limb(face + ahead * 0.012 * h - UP * 0.01 * h, np.array([0.048, 0.042]) * h, skin)
        pen.limb(np.array([centre + UP * 0.04 * h, centre + UP * 0.045 * h]), np.array([0.044, 0.044]) * h, hair)
    else:
        pen.limb(face, np.array([0.054, 0.046]) * h, skin)
        pen.limb(crown, np.array([0.062, 0.060]) * h, hair)


def _cyclist(pen: Pen, look: Look, place: Floats, ahead: Floats, left: Floats, walked: float) -> None:
    h = look.size
    wheel, tyre = 0.34, np.array([46.0, 44, 44])
    paint, shirt, trousers = (
        np.array(look.colour, float)[::-1] * 0.9,
        np.array(look.colour, float),
        np.array(look.second, float),
    )
    rear, front = place - ahead * 0.52 + UP * wheel, place + ahead * 0.52 + UP * wheel
    crank, seat = place - ahead * 0.06 + UP * 0.3, place - ahead * 0.2 + UP * 0.86
    bars = place + ahead * 0.40 + UP * 1.0
    neck = place + ahead * 0.36 + UP * 0.82
    turn = walked / 2.4 * 2 * np.pi / 1.4
    near_left = float(left @ (pen.camera.position - place)) > 0
    order = (-1, 1) if near_left else (1, -1)
    hip, shoulder = seat + UP * 0.08 + ahead * 0.02, seat + UP * 0.30 * h + ahead * 0.33

    def leg(side: int) -> None:
        angle = turn + (np.pi if side > 0 else 0)
        pedal = crank + (ahead * np.cos(angle) - UP * np.sin(angle)) * 0.16 + left * side * 0.11 + UP * 0.06
        top = hip + left * side * 0.08
        gap = pedal - top
        reach = float(np.linalg.norm(gap))
        thigh = 0.245 * h
        rise = np.sqrt(max(0.01, thigh**2 - (reach / 2) ** 2))
        out = np.cross(left, gap / reach)
        knee = top + gap / 2 + (out if out @ ahead > 0 else -out) * rise
        pen.limb(np.array([top, knee]), np.array([0.075, 0.055]), trousers)
        pen.limb(
            np.array([knee, pedal]),
            np.array([0.052, 0.036]),
            np.array(look.skin, float) if look.variant < 2 else trousers,
        )
        pen.limb(np.array([pedal, pedal + ahead * 0.1]), np.array([0.04, 0.034]), np.array([60.0, 58, 62]))

    def arm(side: int) -> None:
        hand = bars + left * side * 0.24
        top = shoulder + left * side * 0.17
        elbow = (top + hand) / 2 + left * side * 0.05 - UP * 0.05
        pen.limb(np.array([top, elbow]), np.array([0.058, 0.046]), shirt * 0.94)
        pen.limb(np.array([elbow, hand]), np.array([0.044, 0.036]), np.array(look.skin, float))

    for centre in (rear, front):
        pen.ring(centre, ahead, UP, wheel, 0.055, tyre)
        pen.ring(centre, ahead, UP, wheel * 0.86, 0.015, np.array([190.0, 190, 190]))
    leg(order[0])
    for a, b in (
        (rear, crank),
        (crank, seat),
        (seat - UP * 0.1, neck),
        (crank, neck),
        (rear, seat - UP * 0.08),
        (neck, front),
        (neck, bars),
    ):
        pen.limb(np.array([a, b]), np.array([0.026, 0.026]), paint)
    pen.limb(np.array([seat - ahead * 0.1, seat + ahead * 0.12]), np.array([0.05, 0.03]), tyre)
    pen.limb(np.array([bars + left * 0.26, bars - left * 0.26]), np.array([0.022, 0.022]), tyre)
    arm(order[0])
    leg(order[1])
    trunk = np.array([shoulder + left * 0.12, shoulder - left * 0.12, hip + left * 0.07, hip - left * 0.07])
    pen.limb(trunk, np.array([0.085, 0.085, 0.105, 0.105]), shirt)
    _head(pen, look, shoulder + UP * 0.25 + ahead * 0.06, ahead, h, helmet=look.variant != 5)
    arm(order[1])
    if pen.light.dusk:
        lamp = bars + ahead * 0.1 - UP * 0.1
        if float(ahead @ (pen.camera.position - place)) > 0:
            pen.own(lamp + _patch(left, UP, 0.05, 0.05), np.array([220.0, 245, 255]))
            pen.glow(lamp, 0.35, 0.5)
        else:
            pen.own(seat - UP * 0.15 - ahead * 0.2 + _patch(left, UP, 0.05, 0.05), np.array([50.0, 50, 240]))


def _patch(across: Floats, along: Floats, half_across: float, half_along: float) -> Floats:
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.array([across * a * half_across + along * b * half_along for a, b in signs])


CAR = np.array([
    (-2.08, 0.26), (-2.15, 0.52), (-2.12, 0.84), (-1.98, 0.95), (-1.42, 1.36), (-1.10, 1.45), (-0.4, 1.475), (0.28, 1.44),
    (1.08, 0.98), (1.75, 0.87), (2.04, 0.74), (2.14, 0.52), (2.10, 0.26),
])  # fmt: skip
CAR_GLASS = {3: "rear", 7: "front"}
SALOON = {3: (-1.62, 0.98), 4: (-1.0, 1.38), 5: (-0.78, 1.44), 2: (-2.13, 0.90)}
VAN = np.array([
    (-2.58, 0.3), (-2.62, 0.6), (-2.60, 1.5), (-2.56, 2.12), (-2.40, 2.24), (0.0, 2.27), (1.25, 2.22), (1.48, 2.12),
    (2.06, 1.24), (2.46, 1.06), (2.60, 0.78), (2.58, 0.3),
])  # fmt: skip
VAN_GLASS = {2: "rear", 7: "front"}


def _vehicle(pen: Pen, look: Look, place: Floats, ahead: Floats, left: Floats, moving: bool) -> None:
    van = look.kind == "van"
    outline = (VAN if van else CAR).copy()
    if not van and look.variant >= 3:
        for index, point in SALOON.items():
            outline[index] = point
    if not van and look.variant == 2:
        outline[:, 1] *= 1.12
    outline[:, 0] *= look.size
    belt, roof = (1.25, outline[:, 1].max()) if van else (0.95, outline[:, 1].max())
    half, taper = (0.98, 0.08) if van else (0.89, 0.22)
    paint = np.array(look.colour, float)

    def at(x: float, z: float, side: float) -> Floats:
        wide = half - taper * min(1.0, max(0.0, (z - belt) / (roof - belt)))
        wide *= 1 - 0.10 * max(0.0, abs(x) / (look.length / 2) - 0.78) / 0.22
        return np.asarray(place + ahead * x + left * side * wide + UP * z)

    eye = pen.camera.position
    front_x, rear_x = (1.55, -1.6) if van else (1.32, -1.30)
    wheel = 0.35 if van else 0.33
    near = 1 if float(left @ (eye - place)) > 0 else -1
    for x in (rear_x, front_x):
        pen.disc(at(x * look.size, wheel, -near), ahead, UP, wheel, np.array([34.0, 32, 32]))
    bottom = np.array([at(outline[i, 0], 0.22, s) for i, s in ((0, -1), (-1, -1), (-1, 1), (0, 1))])
    pen.own(bottom, np.array([22.0, 20, 20]))
    strips = [(i, outline[i], outline[i + 1]) for i in range(len(outline) - 1)]
    middles = [
        float(np.linalg.norm(place + ahead * (a[0] + b[0]) / 2 + UP * (a[1] + b[1]) / 2 - eye)) for _, a, b in strips
    ]
    glasses = VAN_GLASS if van else CAR_GLASS
    for index in np.argsort(middles)[::-1]:
        part, a, b = strips[int(index)]
        corners = np.array([at(a[0], a[1], -1), at(a[0], a[1], 1), at(b[0], b[1], 1), at(b[0], b[1], -1)])
        normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
        normal = -normal / (np.linalg.norm(normal) + 1e-9)
        if normal @ (ahead * (a[0] + b[0]) + UP * (a[1] + b[1] - 1.4)) < 0:
            normal = -normal
        if normal @ (eye - corners[0]) <= 0:
            continue
        pen.face(corners, paint * (1.0 if part not in (0, len(strips) - 1) else 0.55), normal)
        if part in glasses and not (van and part == 2 and look.variant % 2):
            _pane(pen, corners, normal, (0.09, 0.12, 0.14, 0.5) if van and part == 2 else (0.09, 0.07, 0.08, 0.05))
    _side(pen, look, at, outline, belt, near, (front_x * look.size, rear_x * look.size, wheel), (ahead, left))
    _ends(pen, look, at, ahead, left, outline, moving)


def _pane(pen: Pen, corners: Floats, normal: Floats, inset: tuple[float, float, float, float]) -> None:
    left, right, low, high = inset

    def point(u: float, v: float) -> Floats:
        down = corners[0] + (corners[1] - corners[0]) * u
        up = corners[3] + (corners[2] - corners[3]) * u
        return np.asarray(down + (up - down) * v)

    glass = np.array([108.0, 92, 78])
    pen.face(
        np.array([point(left, low), point(1 - right, low), point(1 - right, 1 - high), point(left, 1 - high)]),
        glass,
        normal,
    )
    pen.face(
        np.array([point(0.15, 1 - high), point(0.45, 1 - high), point(0.3, low), point(0.12, low)]),
        glass * 1.45,
        normal,
    )


def _side(pen, look, at, outline, belt, near, wheels, axes) -> None:  # type: ignore[no-untyped-def]
    ahead, left = axes
    normal = left * near
    front_x, rear_x, wheel = wheels
    paint = np.array(look.colour, float)
    s = look.size
    low = [p for p in outline if p[1] <= belt + 0.04]
    body = np.array([at(x, z, near) for x, z in low])
    tilted = (normal * 0.93 + UP * 0.25) / np.linalg.norm(normal * 0.93 + UP * 0.25)
    if look.kind == "van":
        pen.face(np.array([at(x, z, near) for x, z in outline]), paint, normal)
        stripe = np.array(
            [at(x * s, z, near * 1.003) for x, z in ((-2.55, 1.15), (0.7, 1.15), (0.45, 0.85), (-2.58, 0.85))]
        )
        pen.face(stripe, np.array(look.second, float), normal)
        door = np.array([at(x * s, z, near * 1.003) for x, z in ((0.85, 1.35), (1.93, 1.35), (1.5, 1.98), (0.85, 2.0))])
        pen.face(door, np.array([100.0, 86, 74]), normal)
        if look.variant % 3 == 0:
            mid = np.array(
                [at(x * s, z, near * 1.003) for x, z in ((-0.75, 1.35), (0.6, 1.35), (0.6, 2.0), (-0.75, 2.0))]
            )
            pen.face(mid, np.array([100.0, 86, 74]), normal)
    else:
        house = np.array([at(x, z, near) for x, z in outline if z >= belt - 0.13])
        pen.face(house, paint, tilted)
        pen.face(body, paint * 0.97, normal)
        top = float(outline[:, 1].max()) - 0.09
        back = float(outline[4, 0]) + 0.08
        front = np.array(
            [at(x, z, near) for x, z in ((0.10 * s, 0.98), (0.98 * s, 0.98), (0.34 * s, top), (0.10 * s, top))]
        )
        rear = np.array(
            [at(x, z, near) for x, z in ((back - 0.22, 0.98), (0.03 * s, 0.98), (0.03 * s, top), (back + 0.12, top))]
        )
        for pane in (front, rear):
            pen.face(pane, np.array([106.0, 90, 76]), tilted)
        line = np.array([at(x * s, z, near) for x, z in ((-2.05, 0.42), (2.05, 0.42), (2.08, 0.30), (-2.05, 0.30))])
        pen.face(line, paint * 0.45, normal)
        mirror = at(0.95 * s, 1.02, near * 1.06)
        pen.limb(np.array([mirror, mirror - ahead * 0.05]), np.array([0.08, 0.07]), paint * 0.85)
    for x in (rear_x, front_x):
        centre = at(x, wheel, near)
        pen.disc(centre + UP * 0.05, ahead, UP, wheel * 1.14, np.array([36.0, 34, 34]))
        pen.disc(centre, ahead, UP, wheel, np.array([44.0, 42, 42]))
        pen.disc(centre, ahead, UP, wheel * 0.6, np.array([196.0, 196, 196]))
        pen.disc(centre, ahead, UP, wheel * 0.2, np.array([90.0, 90, 90]))


def _ends(pen, look, at, ahead, left, outline, moving) -> None:  # type: ignore[no-untyped-def]
    eye, s = pen.camera.position, look.size
    van = look.kind == "van"
    nose, tail = float(outline[:, 0].max()), float(outline[:, 0].min())
    facing = float(ahead @ (eye - at(nose, 0.6, 0))) > 0
    from_behind = float(-ahead @ (eye - at(tail, 0.6, 0))) > 0
    dusk = pen.light.dusk and moving
    for side in (-1.0, 1.0):
        if facing:
            spot = at(nose - 0.02, 0.76 if van else 0.64, side * 0.74)
            lamp = spot + _patch(left, UP, 0.17, 0.085)
            if dusk:
                pen.own(lamp, np.array([236.0, 250, 255]))
                pen.glow(spot, 0.55, 0.95)
            else:
                pen.face(lamp, np.array([232.0, 236, 236]), ahead)
        if from_behind:
            spot = at(tail + 0.01, 1.0 if van else 0.74, side * 0.8)
            lamp = spot + _patch(left, UP, 0.12, 0.17 if van else 0.085)
            if dusk:
                pen.own(lamp, np.array([60.0, 60, 250]))
                pen.glow(spot, 0.3, -0.5)
            else:
                pen.face(lamp, np.array([44.0, 40, 190]), -ahead)
    if facing:
        pen.face(at(nose - 0.02, 0.5, 0) + _patch(left, UP, 0.42, 0.07), np.array([40.0, 38, 38]), ahead)
        pen.face(at(nose, 0.40, 0) + _patch(left, UP, 0.26, 0.06), np.array([228.0, 230, 230]), ahead)
    if from_behind:
        pen.face(at(tail, 0.58, 0) + _patch(left, UP, 0.26, 0.06), np.array([214.0, 222, 226]), -ahead)
        if van:
            pen.face(
                at(tail + 0.02, 1.2, 0) + _patch(left, UP, 0.012 * s, 0.85), np.array(look.colour, float) * 0.5, -ahead
            )
