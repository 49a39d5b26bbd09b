"""An object in a zone: when it comes in, how long it stays, whether it stands still, when it leaves.

As with lines, who stands on the edge neither comes nor goes: an object is inside or outside when it is clear of the
edge by a margin, or has been there for a while.
"""

from __future__ import annotations

import math

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.rules import Anchor
from pipeline.rules.crossings import LEAST_MARGIN_PX, MARGIN, STAYS_S, error_ms
from pipeline.rules.geometry import Area, anchor
from pipeline.rules.objects import Look

STILL = 0.25
"""An object that keeps within so much of its height, and STILL_PX, stands."""
STILL_PX = 4.0


class Turn(msgspec.Struct, frozen=True):
    """An object came into a zone or left it.

    Attributes:
        at_ns: When.
        error_ms: One standard deviation of that.
    """

    at_ns: int
    error_ms: float


class Told(msgspec.Struct):
    """Something that lasts, and was told.

    Attributes:
        at_ns: When it began.
        number: Tells it from others of its kind and object.
        newest_ns: When it was told last.
    """

    at_ns: int
    number: int
    newest_ns: int


class Visit(msgspec.Struct):
    """How an object is to a zone; what can be kept on disk as it is.

    Attributes:
        inside: For certain.
        since: When it came in or left last; when it was first seen, if it has been where it is since then.
        last_ns: Its last detection.
        last_xy: Where it was, px.
        still_ns: Since when it stands.
        still_xy: Where.
        turn: That it is on the other side of the edge now, perhaps only for a moment.
        turn_ns: Since which detection.
        number: How often it came in or left.
        told: What lasts for it, by condition.
    """

    inside: bool
    since: Turn
    last_ns: int
    last_xy: tuple[float, float]
    still_ns: int
    still_xy: tuple[float, float]
    turn: Turn | None = None
    turn_ns: int = 0
    number: int = 0
    told: dict[str, Told] = {}

    @classmethod
    def begin(cls, look: Look, inside: bool, on: Anchor) -> Visit:
        """Of an object that is seen for the first time."""
        point = anchor(look.xyxy, on)
        return cls(inside, Turn(look.at_ns, 0.0), look.at_ns, point, look.at_ns, point)

    def update(self, look: Look, inside: bool, area: Area, on: Anchor) -> bool:
        """Whether a detection makes it certain that the object has come in or left; `since` says when."""
        point = anchor(look.xyxy, on)
        self._stand(look, point)
        if inside == self.inside:
            self.turn = None
        elif self.turn is None:
            self.turn, self.turn_ns = self._turn(look, point, area), look.at_ns
        self.last_ns, self.last_xy = look.at_ns, point
        if self.turn is None:
            return False
        margin_px = max(LEAST_MARGIN_PX, MARGIN * look.height_px)
        if look.at_ns - self.turn_ns < STAYS_S * NS_PER_S and area.distance_px(point) < margin_px:
            return False
        self.inside, self.since, self.turn = inside, self.turn, None
        self.number += 1
        return True

    def _turn(self, look: Look, point: tuple[float, float], area: Area) -> Turn:
        took_ns = look.at_ns - self.last_ns
        way_px = math.dist(self.last_xy, point)
        at_ns = self.last_ns + round(took_ns * area.crossed_at((self.last_xy, point)))
        return Turn(at_ns, error_ms(took_ns, way_px, look.error_px))

    def _stand(self, look: Look, point: tuple[float, float]) -> None:
        if math.dist(self.still_xy, point) > max(STILL_PX, STILL * look.height_px):
            self.still_ns, self.still_xy = look.at_ns, point
