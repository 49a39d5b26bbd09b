"""When a zone need not be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calm:
    """A zone in which nobody is about to come or go: while the same objects are in it, nothing has to be looked at.

    Attributes:
        ids: Of all objects of the camera.
        inside: Whether each is in the zone.
        count: How many of those that count are.
        due_ns: When something is to be told although nothing has changed; 0 where somebody is about to come or go.
    """

    ids: Sequence[str]
    inside: Sequence[bool]
    count: int
    due_ns: int

    def is_over(self, ids: Sequence[str], inside: Sequence[bool], now_ns: int) -> bool:
        """Whether it has to be looked at again."""
        return now_ns >= self.due_ns or inside != self.inside or ids != self.ids
