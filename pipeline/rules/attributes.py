"""Whether an object has the attributes that a rule asks for, which is known some frames after it is first seen.

A second look comes later than the first boxes, so an object may have crossed a line before anybody knows its colour.
What it did is then held until that is known: told with its own time if it counts, and never told if it does not.
Nothing is told first and taken back later, since an alarm that has rung cannot be taken back.
"""

from __future__ import annotations

from typing import Literal

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
