"""The looks that are wanted, by all cameras of a worker, and which of them come next.

Of each object one crop waits for each second model, the best so far: while the lanes are busy with frames, a better one
takes its place. What waits is bounded, and what nobody wants any more is dropped when its turn comes. A batch is of one
model and of whichever cameras have something; it is cut so that no frame waits for it for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.clock import Clock
from pipeline.detections import Detections
from pipeline.geometry import Letterbox
from pipeline.look.crop import Crop, Cutter, cutter
from pipeline.look.second import Second
from pipeline.look.share import Share
from pipeline.wire import LookFigures

MOST_WAITING = 64
"""Crops of one second model that wait; of who does not get a place, the next detection brings another crop."""
STALE_S = 2.0
"""A crop that has waited longer is of an object that looks otherwise by now, or is gone."""
LONGEST_BATCH_S = 0.02
"""What a batch is to take at most: a seventh of the usual goal, so that a frame which comes meanwhile is in time."""
PAUSE_S = 10.0
"""How long a second model that has failed is left alone."""
GAIN = 1 / 8
"""Weight of the newest time that a crop took."""


class Owner(Protocol):
    """Whose object is looked at; `pipeline.look.sights.Sights` is one."""

    def knows(self, track_id: int) -> bool:
        """Whether the object is there still."""

    def learn(self, look: Look, found: Detections) -> bool:
        """What was found, boxes in pixels of the crop; whether that is told."""


@dataclass(frozen=True, slots=True)
class Look:
    """One crop on its way through a second model.

    Attributes:
        owner: Whose object it is.
        second: Which model, by number.
        track_id: The object.
        crop: What is shown.
        letterbox: How the camera's picture lay in the detector's input that it was cut out of.
        quality: Of the crop.
        pts_s: Stream time of its frame, s.
        asked_s: When it was asked for, monotonic s.
    """

    owner: Owner
    second: int
    track_id: int
    crop: Crop
    letterbox: Letterbox
    quality: float
    pts_s: float
    asked_s: float

    @property
    def key(self) -> tuple[int, int]:
        """The same for every look at this object, among those of one model."""
        return id(self.owner), self.track_id


@dataclass(frozen=True, slots=True)
class Batch:
    """Looks by one model that a lane does together.

    Attributes:
        looks: One or more.
        pressing: Whether frames waited when it began.
        began_s: When it began, monotonic s.
    """

    looks: Sequence[Look]
    pressing: bool
    began_s: float

    @property
    def second(self) -> int:
        """Which model, by number."""
        return self.looks[0].second


@dataclass(slots=True)
class Account:
    """What came of the looks of one model, as `pipeline.wire.LookFigures` says it."""

    given: int = 0
    told: int = 0
    failed: int = 0
    took_s: float = 0.0


@dataclass(slots=True)
class _Model:
    """What is to be done by one of the second models."""

    second: Second
    waiting: dict[tuple[int, int], Look] = field(default_factory=dict)
    under_way: set[tuple[int, int]] = field(default_factory=set)
    crop_s: float = 0.0
    resumes_s: float = 0.0

    def batch(self) -> int:
        """How many crops at once are done soon enough."""
        fitting = int(LONGEST_BATCH_S / self.crop_s) if self.crop_s > 0 else 1
        return max(1, min(self.second.max_batch, fitting))


class Looks:
    """All looks of one worker. Not thread-safe.

    Attributes:
        seconds: The second models, by number.
        wanted: For each class id of the detector, the numbers of the models that look at it.
        in_gaps: Lanes that look at present although no frame had to wait for it.
        accounts: What came of all looks, by the name of the model.
    """

    def __init__(self, seconds: Sequence[Second], class_names: Sequence[str], clock: Clock) -> None:
        """Begin with nothing to see.

        Args:
            seconds: What looks.
            class_names: The detector's.
            clock: Tells the time of each decision.
        """
        self.seconds = tuple(seconds)
        self.accounts = {second.name: Account() for second in seconds}
        self.in_gaps = 0
        self._models = [_Model(second) for second in seconds]
        self._clock = clock
        self._share = Share(self.now_s)
        self.serve(class_names)

    @property
    def now_s(self) -> float:
        """Monotonic time, s."""
        return self._clock.monotonic_ns() / 1e9

    def serve(self, class_names: Sequence[str]) -> None:
        """The detector tells these classes apart from now on."""
        self.wanted = [
            tuple(number for number, second in enumerate(self.seconds) if second.of is None or name in second.of)
            for name in class_names
        ]

    def cutter(self, class_names: Sequence[str]) -> Cutter:
        """What cuts crops out of pictures of a detector of these classes."""
        return cutter(class_names, [(second.of, second.least_px) for second in self.seconds])

    def is_under_way(self, number: int, owner: Owner, track_id: int) -> bool:
        """Whether a second model is looking at this object."""
        return (id(owner), track_id) in self._models[number].under_way

    def offer(self, look: Look) -> None:
        """Ask for a look; of two at one object the better one waits."""
        waiting = self._models[look.second].waiting
        other = waiting.get(look.key)
        if other is None and len(waiting) >= MOST_WAITING:
            self._drop_stale(waiting)
        if (other is None and len(waiting) < MOST_WAITING) or (other is not None and other.quality < look.quality):
            waiting[look.key] = look

    def due(self, lanes: int) -> bool:
        """Whether looks come next although frames wait; `lanes` may compute at once."""
        return any(model.waiting for model in self._models) and self._share.may(lanes, self.now_s)

    def take(self, lane: int, *, pressing: bool) -> Batch | None:
        """The looks that this lane is to do now; None where nothing is to be seen.

        Args:
            lane: Which lane of the detector is free.
            pressing: Whether frames wait meanwhile.
        """
        now_s = self.now_s
        for model in sorted(self._models, key=lambda one: _oldest_s(one.waiting)):
            self._drop_stale(model.waiting)
            if not model.waiting or lane >= model.second.lanes or now_s < model.resumes_s:
                continue
            keys = list(model.waiting)[: model.batch()]
            looks = [model.waiting.pop(key) for key in keys]
            model.under_way.update(keys)
            self.in_gaps += not pressing
            return Batch(looks, pressing, now_s)
        return None

    def finish(self, batch: Batch, found: Sequence[Detections]) -> None:
        """A lane has come back with what it found on these crops, boxes in their pixels."""
        model, looks = self._over(batch), batch.looks
        crop_s = (self.now_s - batch.began_s) / len(looks)
        model.crop_s = crop_s if model.crop_s == 0 else model.crop_s + GAIN * (crop_s - model.crop_s)
        account = self.accounts[model.second.name]
        account.given += len(looks)
        account.told += sum([look.owner.learn(look, each) for look, each in zip(looks, found, strict=True)])

    def fail(self, batch: Batch) -> str:
        """These will not come back; whose they were is left alone for a while. Returns the model's name."""
        model = self._over(batch)
        model.resumes_s = self.now_s + PAUSE_S
        model.waiting.clear()
        self.accounts[model.second.name].failed += len(batch.looks)
        return model.second.name

    def figures(self) -> dict[str, LookFigures]:
        """What came of all looks so far, by the name of the model."""
        return {
            name: LookFigures(given=one.given, told=one.told, failed=one.failed, took_s=round(one.took_s, 6))
            for name, one in self.accounts.items()
        }

    def _over(self, batch: Batch) -> _Model:
        model = self._models[batch.second]
        model.under_way.difference_update([look.key for look in batch.looks])
        took_s = self.now_s - batch.began_s
        self.accounts[model.second.name].took_s += took_s
        self._share.spend(took_s, pressing=batch.pressing)
        self.in_gaps -= not batch.pressing
        return model

    def _drop_stale(self, waiting: dict[tuple[int, int], Look]) -> None:
        oldest_s = self.now_s - STALE_S
        for key, look in list(waiting.items()):
            if look.asked_s < oldest_s or not look.owner.knows(look.track_id):
                del waiting[key]


def _oldest_s(waiting: dict[tuple[int, int], Look]) -> float:
    return min((look.asked_s for look in waiting.values()), default=float("inf"))
