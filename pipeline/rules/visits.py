"""An object in a zone: when it comes in, how long it stays, whether it stands still, when it leaves.

As with lines, who stands on the edge neither comes nor goes: an object is inside or outside when it is clear of the
edge by a margin, or has been there for a while.
"""

from __future__ import annotations

import math

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.config.rules import Anchor
from pipeline.rules.course import course
from pipeline.rules.crossings import LATER_S, LEAST_MARGIN_PX, MARGIN, STAYS_S, error_ms, slow_error_ms
from pipeline.rules.geometry import Area, anchor
from pipeline.rules.objects import Look, Seen


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
        turn: That it is on the other side of the edge now, perhaps only for a moment.
        turn_ns: Since which detection.
        number: How often it came in or left.
        told: What lasts for it, by condition.
        due_ns: Before this moment nothing of that changes, but by its coming or leaving.
    """

    inside: bool
    since: Turn
    turn: Turn | None = None
    turn_ns: int = 0
    number: int = 0
    told: dict[str, Told] = {}
    due_ns: int = 0

    def update(self, seen: Seen, before: Look, look: Look, area: Area, on: Anchor, *, inside: bool) -> bool:
        """Whether it is certain now that the object has come in or left; `since` says when.

        Args:
            seen: The object.
            before: Where it was seen before.
            look: Where it is now.
            area: The zone.
            on: Which point of its box is looked at.
            inside: Whether that is in the zone.
        """
        if inside == self.inside:
            self.turn = None
            return False
        if self.turn is None:
            self.turn, self.turn_ns = _turn(before, look, area, on), look.at_ns
        margin_px = max(LEAST_MARGIN_PX, MARGIN * look.height_px)
        if look.at_ns - self.turn_ns < STAYS_S * NS_PER_S and area.distance_px(anchor(look.xyxy, on)) < margin_px:
            return False
        since = _on_course(self.turn, seen, area, on) if look is seen.last else self.turn
        self.inside, self.since, self.turn, self.due_ns = inside, since, None, 0
        self.number += 1
        return True


def _turn(before: Look, look: Look, area: Area, on: Anchor) -> Turn:
    took_ns = look.at_ns - before.at_ns
    path = anchor(before.xyxy, on), anchor(look.xyxy, on)
    at_ns = before.at_ns + round(took_ns * area.crossed_at(path))
    return Turn(at_ns, error_ms(took_ns, math.dist(*path), look.error_px))


def _on_course(turn: Turn, seen: Seen, area: Area, on: Anchor) -> Turn:
    """The same, when the object's course around it passes the edge; as it was where there is none."""
    found = course(seen.path, turn.at_ns, on)
    if found is None:
        return turn
    passed = area.passes((found.at(-LATER_S), found.at(LATER_S)))
    if passed is None:
        return turn
    share, across = passed
    error = slow_error_ms(turn.error_ms, across * math.hypot(*found.speed_xy), seen.last.error_px)
    return Turn(turn.at_ns + round(LATER_S * (2 * share - 1) * NS_PER_S), error)
