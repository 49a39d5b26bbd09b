"""How old a frame may grow in the slot and in detection: for cameras a deadline decides, for archives nothing does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.clock import NS_PER_S

OVERDUE_SHARE = 0.9
"""Of the deadline; the rest is for publishing, so that a frame given up at the last moment is still within it."""
LEAST_SLOT_SHARE = 0.2
"""Of the deadline: how long a frame may wait in the slot at least, however old it is and however slow the device."""
LATE_S = 2.0
"""A frame that reaches the worker older than this (the worker or the camera's process was stopped, or a queue ran full)
is counted as lost: publishing it as news would only hold up the next ones."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How old a frame may grow.

    Attributes:
        stale_s: In the slot: a detection that began later would come too late.
        slot_s: How long it may wait in the slot at least, however old it is.
        queue_s: How long it may wait in the slot at most, if that is more: by then a lane has been free, and another
            frame was more urgent.
        overdue_s: In detection: it leaves without, so that the promised latency is kept.
    """

    stale_s: float
    slot_s: float
    queue_s: float
    overdue_s: float

    @property
    def window_s(self) -> float:
        """How long a frame may wait in the slot that got there as soon as it was captured."""
        return max(min(self.stale_s, self.queue_s), self.slot_s)

    def stale_at_s(self, captured_ns: int, decoded_ns: int) -> float:
        """When a frame is not worth a detection any more that is in the slot since `decoded_ns`, monotonic s."""
        there_s = decoded_ns / NS_PER_S
        too_late_s = captured_ns / NS_PER_S + self.stale_s
        return max(min(too_late_s, there_s + self.queue_s), there_s + self.slot_s)

    def overdue_at_s(self, oldest_ns: int) -> float:
        """When a frame whose age counts from `oldest_ns` leaves without its detection, monotonic s."""
        return oldest_ns / NS_PER_S + self.overdue_s

    @classmethod
    def within(cls, deadline_s: float, service_s: float) -> Patience:
        """What a deadline leaves, given how long most detections take.

        A frame that would come back too late is not worth a lane: a newer one is. But where every frame would, because
        the device is too slow for the goal, they are detected all the same, and correct the tracker although their own
        frames have left.
        """
        overdue_s = OVERDUE_SHARE * deadline_s
        return cls(overdue_s - service_s, LEAST_SLOT_SHARE * deadline_s, service_s, overdue_s)


ENDLESS = Patience(math.inf, math.inf, math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Pace:
    """Whose time counts: the camera's, or the worker's.

    Attributes:
        promised: Whether the fleet's latency holds for its frames, so that they count in what the load is judged by.
        late_s: From which age on a frame is not worth publishing, s.
        confirms: Whether the camera is told of each picture that is taken, because it waits for that.
    """

    promised: bool
    late_s: float
    confirms: bool

    def patience(self, of_fleet: Patience) -> Patience:
        """How old its frames may grow."""
        return of_fleet if self.promised else ENDLESS


LIVE = Pace(promised=True, late_s=LATE_S, confirms=False)
"""A camera, or a recording played in real time: what comes too late is given up."""
ARCHIVE = Pace(promised=False, late_s=math.inf, confirms=True)
"""A recording played as fast as it goes: it waits, and loses nothing."""


def pace(name: Literal["live", "archive"]) -> Pace:
    """The pace that a camera's plan names."""
    return ARCHIVE if name == "archive" else LIVE
