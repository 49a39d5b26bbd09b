"""Whether an object has the attributes that a rule asks for, which is known some frames after it is first seen.

A second look comes later than the first boxes, so an object may have crossed a line before anybody knows its colour.
What it did is then held until that is known: told with its own time if it counts, and never told if it does not.
Nothing is told first and taken back later, since an alarm that has rung cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol, TypeVar

from pipeline.config.rules import Rule
from pipeline.rules.objects import Seen

WAIT_S = 5.0
"""How long an event is held. Looks take a frame or two where there is time for them, and who waits longer is too small
to be looked at. Evidence has pictures of so long before an event, so an event that is told late has its clip, too."""

Answer = Literal["yes", "no", "unknown"]


def judged(rule: Rule, seen: Seen) -> Answer:
    """Whether an object has all attributes that a rule asks for, by the newest look at each."""
    answer: Answer = "yes"
    for name, labels in rule.attributes.items():
        found = seen.attributes.get(name)
        if found is None:
            answer = "unknown"
        elif found.label not in labels:
            return "no"
    return answer


class Awaited(Protocol):
    """What waits for an object's attributes."""

    until_ns: int
    """When it is given up."""


_Waits = TypeVar("_Waits", bound=Awaited)


def released(
    rule: Rule, waiting: dict[str, list[_Waits]], here: Mapping[str, Seen], now_ns: int
) -> Iterator[tuple[Seen, list[_Waits]]]:
    """What has waited and counts, by object; what does not, or has waited for too long, is given up.

    Args:
        rule: What it asks for.
        waiting: By the object's id; what is released or given up is taken out.
        here: The objects of which something may be known now, by their ids.
        now_ns: Of the frame that is judged.
    """
    for object_id, several in list(waiting.items()):
        seen = here.get(object_id)
        answer = "unknown" if seen is None else judged(rule, seen)
        if seen is not None and answer == "yes":
            yield seen, several
        left = [one for one in several if now_ns < one.until_ns]
        if answer == "unknown" and left:
            waiting[object_id] = left
        else:
            del waiting[object_id]
