"""Events that are told at once, by predicted boxes, and what the next detection makes of them.

A rule that rests on `any` box does not wait: from each detection on, predicted boxes carry on a copy of what is known
for certain, and what happens to the copy is told. The next detection confirms it, and nothing more is said; or corrects
its time; or shows the object where it was, and it is taken back.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.clock import NS_PER_MS

SAME_MS = 20.0
"""A time that is off by no more is not corrected."""
Answer = Literal["tell", "confirm", "revise", "withdraw", "wait"]


class Unsure(msgspec.Struct, frozen=True):
    """Something was told that no detection has shown yet.

    Attributes:
        at_ns: When it is said to have happened.
        number: Which of its kind it is for its object.
        forward: `in` over a line, or into a zone.
    """

    at_ns: int
    number: int
    forward: bool


def settle(unsure: Unsure | None, certain: Unsure | None, *, back: bool) -> Answer:
    """What a detection makes of what was told before.

    Args:
        unsure: What was told; None if nothing.
        certain: What this detection shows to have happened; None if nothing.
        back: Whether it shows the object clearly where it was before.
    """
    if certain is None:
        return "withdraw" if unsure is not None and back else "wait"
    if unsure is None or (unsure.number, unsure.forward) != (certain.number, certain.forward):
        return "tell"
    return "confirm" if abs(unsure.at_ns - certain.at_ns) <= SAME_MS * NS_PER_MS else "revise"
