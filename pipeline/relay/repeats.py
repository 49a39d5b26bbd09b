"""When newcomers get the newest messages: at once, but together, so that nobody can make the others hear twice all day.

ZeroMQ sends to all subscribers of a topic or to none, so what is repeated for one comes to the others, too; they leave
it out by its number. One that subscribes again and again must not multiply the others' traffic.
"""

from __future__ import annotations

from collections.abc import Iterable

APART_S = 0.05
"""At most so often; half of what a newcomer is promised."""


class Repeats:
    """What newcomers have asked for. Pure; the time is told."""

    def __init__(self) -> None:
        self._asked: set[bytes] = set()
        self._next_s = 0.0

    def ask(self, prefixes: Iterable[bytes]) -> None:
        """Somebody has subscribed to these."""
        self._asked.update(prefixes)

    def due_s(self) -> float | None:
        """When `take` has something; None while nobody has asked."""
        return self._next_s if self._asked else None

    def take(self, now_s: float) -> set[bytes]:
        """What is to be repeated now."""
        if not self._asked or now_s < self._next_s:
            return set()
        asked, self._asked = self._asked, set()
        self._next_s = now_s + APART_S
        return asked
