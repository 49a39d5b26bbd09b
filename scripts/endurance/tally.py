"""Events that are known against events that were told: what is lost, doubled, or false, and what is excused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from endurance.parade import LOOP_S, Passage
from pipeline.clock import NS_PER_S
from pipeline.wire.event import Event

MATCH_S = 1.0
"""A known passage and one that is told may be so far apart: after a gap, the time is drawn over all of it."""
ALIGN_S = 0.15
"""The same while nothing is wrong."""
GAP_S = 0.3
"""So long between two frames of which something is known, and the camera has had no pictures."""
SELDOM_S = 0.5
"""So long between two detections, and the detector has had no time for the camera: figures move on by their width."""
AROUND_S = 1.0
"""A figure has to be seen before and behind what it passes: a gap so near is one in which it happened."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the known passages of a camera, or of all.

    Attributes:
        known: How many there were.
        told: Of these, those that are among the events.
        told_in_gaps: Of these, those that happened while the camera had no pictures.
        lost_in_gaps: Not told, and the camera had no pictures.
        lost_seldom: Not told, the camera had pictures, and the detector had no time for them.
        lost: Not told, without an excuse.
        doubled: Events that tell again what was told: a known passage by another id.
        false: Events of which nothing is known.
    """

    known: int = 0
    told: int = 0
    told_in_gaps: int = 0
    lost_in_gaps: int = 0
    lost_seldom: int = 0
    lost: tuple[Passage, ...] = ()
    doubled: tuple[Passage, ...] = ()
    false: tuple[Passage, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.known + other.known,
            self.told + other.told,
            self.told_in_gaps + other.told_in_gaps,
            self.lost_in_gaps + other.lost_in_gaps,
            self.lost_seldom + other.lost_seldom,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.false + other.false,
        )


def passage_of(event: Event) -> Passage | None:
    """What an event tells to have passed; None of one that tells how something goes on or ends."""
    at_s = event.at_ns / NS_PER_S
    if event.happening == "cross" and event.direction:
        return Passage(event.rule, event.direction, at_s)
    if event.happening in ("enter", "leave") and event.phase in ("begin", "once"):
        return Passage(event.rule, event.happening, at_s)
    return None


def repeated(events: Sequence[Event]) -> list[str]:
    """What is told twice in the same words: the ids of events whose one phase came more than once, and by how many."""
    counts = Counter((one.event_id, one.phase) for one in events if one.phase != "update" and not one.revised)
    return [f"{event_id} {phase} × {count}" for (event_id, phase), count in counts.items() if count > 1]


def aligned(turn: Sequence[Passage], told: Sequence[Passage]) -> float:
    """When a turn of the recording begins, wall s within one turn, from what was told while nothing was wrong.

    Raises:
        ValueError: It does not fit: not every second event is one that is known.
    """
    starts = [(one.at_s - known.at_s) % LOOP_S for one in told for known in turn if _alike(one, known)]
    fits = {start: [other for other in starts if abs(_apart(other, start)) < ALIGN_S] for start in starts}
    best = max(fits, key=lambda start: len(fits[start]), default=0.0)
    if len(fits.get(best, ())) < max(1, len(told) // 2):
        raise ValueError(f"{len(told)} events were told in quiet, which fit nothing that is known")
    near = fits[best]
    return best + sum(_apart(other, best) for other in near) / len(near)


def expected(turn: Sequence[Passage], start_s: float, from_s: float, until_s: float) -> list[Passage]:
    """All known passages from one moment to another, wall s; a turn begins at `start_s`."""
    number = (from_s - start_s) // LOOP_S
    found: list[Passage] = []
    while start_s + number * LOOP_S <= until_s:
        found += [replace(one, at_s=one.at_s + start_s + number * LOOP_S) for one in turn]
        number += 1
    return [one for one in found if from_s <= one.at_s <= until_s]


def pause_s(turn: Sequence[Passage]) -> float:
    """The moment of a turn that is furthest from all that happens: where judging may begin and end."""
    times = [one.at_s for one in turn]
    return max(((a + b) / 2 for a, b in pairwise(times)), key=lambda at_s: min(abs(at_s - one) for one in times))


def gaps(frames_s: Sequence[float], longest_s: float = GAP_S) -> list[tuple[float, float]]:
    """Where there was nothing for longer, from when to when; by the times of frames."""
    return [(a, b) for a, b in pairwise(sorted(frames_s)) if b - a > longest_s]


def tally(
    known: Sequence[Passage],
    told: Sequence[Passage],
    silent: Sequence[tuple[float, float]],
    seldom: Sequence[tuple[float, float]] = (),
) -> Tally:
    """What became of them.

    Args:
        known: What happened.
        told: What the events say.
        silent: Where the camera had no pictures.
        seldom: Where it had no detections.
    """
    left, lost, lost_in_gaps, lost_seldom, told_in_gaps = list(told), [], 0, 0, 0
    matched: list[Passage] = []
    for one in known:
        in_gap = _within(silent, one)
        if near := [other for other in left if _alike(one, other) and abs(other.at_s - one.at_s) <= MATCH_S]:
            left.remove(min(near, key=lambda other: abs(other.at_s - one.at_s)))
            matched.append(one)
            told_in_gaps += in_gap
        elif in_gap:
            lost_in_gaps += 1
        elif _within(seldom, one):
            lost_seldom += 1
        else:
            lost.append(one)
    doubled = [
        other for other in left if any(_alike(one, other) and abs(one.at_s - other.at_s) <= MATCH_S for one in matched)
    ]
    false = [other for other in left if other not in doubled]
    return Tally(
        len(known), len(matched), told_in_gaps, lost_in_gaps, lost_seldom, tuple(lost), tuple(doubled), tuple(false)
    )


def _within(spans_s: Sequence[tuple[float, float]], one: Passage) -> bool:
    return any(a - AROUND_S < one.at_s < b + AROUND_S for a, b in spans_s)


def _alike(one: Passage, other: Passage) -> bool:
    return (one.rule, one.way) == (other.rule, other.way)


def _apart(one: float, other: float) -> float:
    return (one - other + LOOP_S / 2) % LOOP_S - LOOP_S / 2
