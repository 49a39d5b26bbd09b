"""Events in words of the wire: one way to make one, so that the same thing always has the same name."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pipeline.clock import NS_PER_S
from pipeline.config.condition import Condition
from pipeline.config.rules import Rule
from pipeline.rules.objects import Seen
from pipeline.wire import FrameResult
from pipeline.wire.event import Direction, Event, Happening, Phase


@dataclass(slots=True)
class Moment:
    """The frame of a camera that is judged now, and wall time of its capture."""

    frame: FrameResult
    now_ns: int


class Teller:
    """Makes the events of one rule of a camera, of whichever frame it is the moment of."""

    def __init__(self, moment: Moment, name: str, rule: Rule) -> None:
        """Of the rule that is called `name`."""
        self._moment, self._name, self._rule = moment, name, rule

    @property
    def frame(self) -> FrameResult:
        """The frame that tells."""
        return self._moment.frame

    @property
    def now_ns(self) -> int:
        """Wall time of its capture."""
        return self._moment.now_ns

    def tell(
        self,
        condition: Condition,
        phase: Phase,
        at_ns: int,
        number: int,
        *,
        seen: Seen | None = None,
        error_ms: float = 0.0,
        lasted_ns: int = 0,
        count: int = 0,
        direction: Direction | None = None,
        revised: bool = False,
        withdrawn: bool = False,
    ) -> Event:
        """One event.

        Args:
            condition: What is told.
            phase: Which part of it.
            at_ns: When it began.
            number: Tells it from others of the same condition, and object if it is about one.
            seen: The object it is about.
            error_ms: Of `at_ns`.
            lasted_ns: For how long.
            count: How many.
            direction: Over a line.
            revised: It corrects what was told before.
            withdrawn: It did not happen.
        """
        happening: Happening = "cross" if condition.happening in ("in", "out") else condition.happening  # type: ignore[assignment]
        return Event(
            fleet=self.frame.fleet,
            camera_id=self.frame.camera_id,
            event_id=self._id(condition, seen, number),
            phase=phase,
            rule=self._name,
            happening=happening,
            condition=condition.text,
            at_ns=at_ns,
            error_ms=round(error_ms, 1),
            lasted_s=round(lasted_ns / NS_PER_S, 3),
            direction=direction,
            object_id=seen.object_id if seen else "",
            session_id=self.frame.session_id,
            track_id=seen.track_id if seen else 0,
            class_name=seen.class_name if seen else "",
            score=seen.score if seen else 0.0,
            attributes=seen.attributes if seen else {},
            xyxy=seen.last.xyxy if seen else (0.0, 0.0, 0.0, 0.0),
            count=count,
            frame_id=self.frame.frame_id,
            revised=revised or withdrawn,
            withdrawn=withdrawn,
        )

    def is_on(self, at_ns: int) -> bool:
        """Whether events of this time of the day are told."""
        if self._rule.between is None:
            return True
        zone = ZoneInfo(self._rule.timezone) if self._rule.timezone else None
        return self._rule.between.has(dt.datetime.fromtimestamp(at_ns / NS_PER_S, zone).time())

    def _id(self, condition: Condition, seen: Seen | None, number: int) -> str:
        of = (self.frame.camera_id, self._name, condition.text, seen.object_id if seen else "", str(number))
        return hashlib.blake2b("\n".join(of).encode(), digest_size=8).hexdigest()


def concerns(rule: Rule, seen: Seen) -> bool:
    """Whether an object may count for a rule, whatever second looks find of it."""
    return (not rule.classes or seen.class_name in rule.classes) and seen.score >= rule.min_score


def concerns_all(rule: Rule) -> bool:
    """Whether every object counts for a rule, whatever it is."""
    return not rule.classes and not rule.min_score and not rule.attributes
