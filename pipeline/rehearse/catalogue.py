"""Everybody's events side by side: which of them are one and the same.

Two sightings are the same if they are of one camera, rule and direction, no further apart than a second or so, and of
the same object. Who is the same object is asked of the boxes: on a frame near that time on which both have a box of
theirs, the boxes overlap. Where there is no such frame, time decides alone. What is best for all together is found at
once (Jonker and Volgenant), so that of two people who cross shortly one after the other none is taken for the other.

Truth comes first, where there is one, then the runs in their order: whoever sees what nobody saw before adds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import iou_matrix
from pipeline.rehearse.sightings import Sighting
from pipeline.rehearse.take import Take
from pipeline.track.association import assign

WITHIN_S = 1.0
"""Sightings further apart are two; the crossings of the samples are found within a fifth of that."""
LEAST_IOU = 0.1
"""Boxes of one object by two detectors overlap by much more, those of neighbours at a moment mostly by less."""
LOOK_S = 1.5
"""How far from when it happened a common frame may be."""

Takes = Mapping[str, Take]
"""What somebody saw of each camera."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Who saw: the truth, or one run of one side.

    Attributes:
        name: `truth`, or the side's letter and the number of its run: `a1`.
        sightings: What happened, as it says.
        takes: What it saw besides.
    """

    name: str
    sightings: Sequence[Sighting]
    takes: Takes


@dataclass(slots=True)
class Occurrence:
    """Something that happened, by at least one witness; `first` is whoever told it first.

    Attributes:
        by: The sighting of each witness that saw it.
    """

    first: Witness
    by: dict[str, Sighting] = field(default_factory=dict)

    @property
    def sighting(self) -> Sighting:
        """As it was told first: by the truth, where that has it."""
        return self.by[self.first.name]

    def runs_of(self, letter: str) -> int:
        """In how many runs of a side it was seen."""
        return sum(name[0] == letter and name[1:].isdigit() for name in self.by)


def catalogue(witnesses: Iterable[Witness], within_s: float = WITHIN_S) -> list[Occurrence]:
    """All that happened, in order of time.

    Args:
        witnesses: In the order in which they are believed.
        within_s: Sightings further apart are of two things.
    """
    known: dict[tuple[str, str, str], list[Occurrence]] = {}
    for witness in witnesses:
        kinds: dict[tuple[str, str, str], list[Sighting]] = {}
        for one in witness.sightings:
            kinds.setdefault(one.kind, []).append(one)
        for kind, seen in kinds.items():
            _enter(known.setdefault(kind, []), witness, seen, within_s)
    return sorted((one for several in known.values() for one in several), key=lambda one: one.sighting.at_s)


def _enter(known: list[Occurrence], witness: Witness, seen: list[Sighting], within_s: float) -> None:
    likeness = np.array([[_likeness(one, old, witness, within_s) for old in known] for one in seen], np.float64)
    rows, columns = assign(likeness.reshape(len(seen), len(known)), 0.0)
    old = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    for number, sighting in enumerate(seen):
        if number in old:
            known[old[number]].by[witness.name] = sighting
        else:
            known.append(Occurrence(witness, {witness.name: sighting}))


def _likeness(one: Sighting, old: Occurrence, witness: Witness, within_s: float) -> float:
    """1 for the same moment, 0 for the furthest that counts; less than nothing for another thing."""
    apart_s = abs(one.at_s - old.sighting.at_s)
    if apart_s > within_s or same_object(one, witness, old.sighting, old.first) is False:
        return -1.0
    return 1 - apart_s / within_s


def same_object(one: Sighting, first: Witness, two: Sighting, second: Witness) -> bool | None:
    """Whether two sightings of one camera are of the same object; None where nothing tells."""
    middle_s = (one.at_s + two.at_s) / 2
    here = first.takes[one.camera_id].path(one.object_key, middle_s, LOOK_S)
    there = second.takes[two.camera_id].path(two.object_key, middle_s, LOOK_S)
    common = np.array(sorted(here.keys() & there.keys()), np.int64)
    if not len(common):
        return None
    times_s = first.takes[one.camera_id].clip.times_s[common]
    frame = int(common[np.abs(times_s - middle_s).argmin()])
    return bool(iou_matrix(_row(here[frame]), _row(there[frame]))[0, 0] >= LEAST_IOU)


def _row(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(xyxy, np.float32).reshape(1, 4)
