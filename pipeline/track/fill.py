"""Boxes for the frames that no detector saw, under the name of their origin.

`predict` answers at once. `interpolate` holds frames until the next detection, so that boxes follow both ends: at most
a stride of frames and one detection, and never longer than `max_delay_s`, after which a frame goes
out with predictions. `none` leaves skipped frames without boxes, and says so: skipped is not empty.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from pipeline.detections import Detections, Origin, Tracks
from pipeline.track.outlook import Ahead, foreseen
from pipeline.track.tracker import Tracker

F = TypeVar("F")


class FillMode(StrEnum):
    """What a skipped frame gets."""

    NONE = "none"
    PREDICT = "predict"
    INTERPOLATE = "interpolate"


@dataclass(frozen=True, slots=True)
class Filled(Generic[F]):
    """A finished frame.

    Attributes:
        frame: Which.
        shown: Its boxes, or where to find them: those of many frames are best worked out together.
        origin: The frame's: a detected frame may carry predicted boxes and stays DETECTED.
        unseen_s: Stream time since the newest detected frame before it that its boxes know of; infinite without one.
    """

    frame: F
    shown: Tracks | Ahead
    origin: Origin
    unseen_s: float = 0.0

    @property
    def tracks(self) -> Tracks:
        """Its boxes."""
        return foreseen([self.shown])[0] if isinstance(self.shown, Ahead) else self.shown


class Filling(Protocol[F]):
    """Frames of one camera in, finished frames out, in the same order.

    `at_s` is stream time, `now_s` the monotonic clock, both in s.
    """

    def detected(self, frame: F, detections: Detections, at_s: float, now_s: float) -> list[Filled[F]]:
        """Frames that are finished now that the detector has seen this one."""

    def skipped(self, frame: F, at_s: float, now_s: float) -> list[Filled[F]]:
        """Frames that are finished now that this one will not be detected."""

    def learn(self, detections: Detections, at_s: float) -> None:
        """Take note of a detection whose frame has already left; `at_s` is after that of the detection before."""

    @property
    def due_s(self) -> float | None:
        """When `expire` should be called, on the clock of `now_s`; None while nothing is held."""

    def expire(self, now_s: float) -> list[Filled[F]]:
        """Frames that have waited long enough, with predictions."""

    def flush(self) -> list[Filled[F]]:
        """All frames still held, with predictions: the session ends."""


def filling(mode: FillMode, tracker: Tracker, max_delay_s: float) -> Filling[F]:
    """The filling of that name; `max_delay_s` matters to `interpolate` only."""
    if mode is FillMode.INTERPOLATE:
        return Interpolating(tracker, max_delay_s)
    return Prompt(tracker, predicts=mode is FillMode.PREDICT)


class Seen:
    """When the detector looked last, and so whether anything is known of the present.

    A prediction is worth something as long as boxes live. After that nothing is known, and a frame that says so is
    `skipped`: without a detection behind it, an empty list of boxes would be a claim that there is nothing.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._at_s = float("-inf")

    def note(self, at_s: float) -> None:
        """The detector saw the frame of this stream time, s."""
        self._at_s = max(self._at_s, at_s)

    def unseen_s(self, at_s: float) -> float:
        """How long before the frame of this stream time it looked, s."""
        return max(0.0, at_s - self._at_s)

    def stands_behind(self, at_s: float) -> bool:
        """Whether a detection is young enough to say something of the frame of this stream time, s."""
        return at_s - self._at_s <= self._tracker.config.max_fill_s


class Prompt(Generic[F]):
    """Every frame is finished at once; skipped ones are predicted, or left without boxes."""

    def __init__(self, tracker: Tracker, *, predicts: bool) -> None:
        self._tracker = tracker
        self._predicts = predicts
        self._seen = Seen(tracker)

    @property
    def due_s(self) -> float | None:
        """None: nothing is ever held."""
        return None

    def detected(self, frame: F, detections: Detections, at_s: float, now_s: float) -> list[Filled[F]]:
        """The frame itself."""
        self._seen.note(at_s)
        return [Filled(frame, self._tracker.update(detections, at_s), Origin.DETECTED)]

    def skipped(self, frame: F, at_s: float, now_s: float) -> list[Filled[F]]:
        """The frame itself."""
        if self._predicts and self._seen.stands_behind(at_s):
            return [Filled(frame, self._tracker.ahead(at_s), Origin.PREDICTED, self._seen.unseen_s(at_s))]
        return [Filled(frame, Tracks.empty(), Origin.SKIPPED, self._seen.unseen_s(at_s))]

    def learn(self, detections: Detections, at_s: float) -> None:
        """The next predictions go out from here."""
        self._seen.note(at_s)
        self._tracker.update(detections, at_s)

    def expire(self, now_s: float) -> list[Filled[F]]:
        """Nothing."""
        return []

    def flush(self) -> list[Filled[F]]:
        """Nothing."""
        return []


@dataclass(frozen=True, slots=True)
class _Held(Generic[F]):
    frame: F
    at_s: float
    until_s: float
    seen: Tracks | None
    """What the tracker said when it saw this frame; None for a skipped one."""
    unseen_s: float = 0.0
    """How long before it the detector looked last."""


class Interpolating(Generic[F]):
    """Frames wait for the next detection, the detected one too: a track that the next one confirms begins there."""

    def __init__(self, tracker: Tracker, max_delay_s: float) -> None:
        self._tracker = tracker
        self._max_delay_s = max_delay_s
        self._seen = Seen(tracker)
        self._held: deque[_Held[F]] = deque()
        self._done: list[Filled[F]] = []

    @property
    def due_s(self) -> float | None:
        """When the oldest held frame has waited `max_delay_s`; at once if one is finished."""
        if self._done:
            return 0.0
        return self._held[0].until_s if self._held else None

    def detected(self, frame: F, detections: Detections, at_s: float, now_s: float) -> list[Filled[F]]:
        """The frames held so far; this one waits for the next detection."""
        self._seen.note(at_s)
        seen = self._tracker.update(detections, at_s)
        finished = self._done + [self._between(held) for held in self._held]
        self._done = []
        self._held.clear()
        self._held.append(_Held(frame, at_s, now_s + self._max_delay_s, seen))
        return finished

    def skipped(self, frame: F, at_s: float, now_s: float) -> list[Filled[F]]:
        """Frames that have waited too long; this one waits for the next detection."""
        late = self.expire(now_s)
        self._held.append(_Held(frame, at_s, now_s + self._max_delay_s, None, self._seen.unseen_s(at_s)))
        return late

    def learn(self, detections: Detections, at_s: float) -> None:
        """Held frames before it are finished and leave with the next answer; those after it wait on."""
        self._seen.note(at_s)
        self._tracker.update(detections, at_s)
        while self._held and self._held[0].at_s < at_s:
            self._done.append(self._between(self._held.popleft()))

    def expire(self, now_s: float) -> list[Filled[F]]:
        """Frames that are finished, and those that have waited `max_delay_s`, with predictions."""
        late, self._done = self._done, []
        while self._held and self._held[0].until_s <= now_s:
            late.append(self._alone(self._held.popleft()))
        return late

    def flush(self) -> list[Filled[F]]:
        """All held frames, with predictions."""
        rest = self._done + [self._alone(held) for held in self._held]
        self._done = []
        self._held.clear()
        return rest

    def _between(self, held: _Held[F]) -> Filled[F]:
        origin = Origin.INTERPOLATED if held.seen is None else Origin.DETECTED
        return Filled(held.frame, self._tracker.interpolate(held.at_s), origin, held.unseen_s)

    def _alone(self, held: _Held[F]) -> Filled[F]:
        if held.seen is not None:
            return Filled(held.frame, held.seen, Origin.DETECTED)
        if not self._seen.stands_behind(held.at_s):
            return Filled(held.frame, Tracks.empty(), Origin.SKIPPED, self._seen.unseen_s(held.at_s))
        unseen_s = self._seen.unseen_s(held.at_s)
        return Filled(held.frame, self._tracker.ahead(held.at_s), Origin.PREDICTED, unseen_s)
