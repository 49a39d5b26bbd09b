"""How many lanes compute at once, and how large a batch may be: as much as comes back in time.

The problem: lanes share the processor with each other and with decoding. All of them together do the most work, and
each takes longest. Beside six decoders on two cores without INT8 instructions, two lanes needed 130 ms a detection,
too late for a promise of 150 ms; one alone needs 75.

The policy: one lane fewer when detections come back late, one more when the service time, stretched as if every lane
slowed the others, would leave room again. Each lowering makes the next attempt wait longer, so a device that cannot do
it is not asked every few seconds. With one lane left, its batches are halved: a batch of eight that takes 180 ms made
every frame of twelve cameras late, and so the next batch as full as that one.

Fewer lanes are on trial: they stay only where more comes back in time a second than with all of them. Where a core
computes each lane, and the model needs most of the time that there is, one lane is hardly quicker than two and does
half as much: with a model three times the demo's, six cameras had 5 to 9 detections a second in time with one lane and
21 with two. Where few come in time, all lanes are tried again, likewise.

Pure arithmetic: what was measured and the time are arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

GAIN, DEVIATION_GAIN = 1 / 8, 1 / 4
"""Weights of the newest service time, those of RFC 6298 for round-trip times."""
JUDGED = 8
"""Detections after which the share of late ones is believed."""
TOO_LATE, IN_TIME = 0.25, 0.1
"""Share of late detections from which there is a lane fewer, and below which there may be one more."""
MANY, FEW = 32, 0.75
"""After so many detections, and if a smaller share of them came back in time, all lanes are tried again."""
ROOM_SHARE = 0.7
"""Of the time a detection has: what it may need after another lane has joined. The rest is decoding and the slot."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 80.0
"""Between a lowering and the next attempt, or a failed trial and the next one; doubles each time."""
SETTLE_S, TRIAL_S = 1.0, 4.0
"""After a change, how long it takes strides and what is in flight to follow, and when it is compared what has come back
in time since then."""


class ServiceTime:
    """A running estimate of how long a detection takes, from the slot to its boxes."""

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    def learn(self, seconds: float) -> None:
        """Take note of one more batch."""
        if self._mean_s is None:
            self._mean_s, self._deviation_s = seconds, seconds / 2
            return
        error_s = seconds - self._mean_s
        self._deviation_s += DEVIATION_GAIN * (abs(error_s) - self._deviation_s)
        self._mean_s += GAIN * error_s

    @property
    def mean_s(self) -> float:
        """The mean, s; 0 before the first."""
        return self._mean_s or 0.0

    @property
    def expected_s(self) -> float:
        """What most do not exceed: a mean deviation above the mean, s; 0 before the first."""
        return self.mean_s + self._deviation_s


class _Lately:
    """What has come back since the last change has settled; what came long ago counts for less."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self.back = self._in_time = 0

    def note(self, *, in_time: bool) -> None:
        """A detection came back."""
        self.back += 1
        self._in_time += in_time

    def begin(self, at_s: float) -> None:
        """Count anew; nothing counts before then."""
        self._since_s = at_s
        self.back = self._in_time = 0

    def tidy(self, now_s: float) -> None:
        """Called before anything is asked: forget what does not count, or half of what was long."""
        if self._since_s is None:
            self._since_s = now_s
        elif now_s < self._since_s:
            self.begin(self._since_s)
        elif self.back > 2 * MANY:
            self.back, self._in_time = self.back // 2, self._in_time // 2
            self._since_s += (now_s - self._since_s) / 2

    @property
    def share(self) -> float:
        """Of what came back, what did in time; 0 of nothing."""
        return self._in_time / max(1, self.back)

    def in_time_hz(self, now_s: float) -> float:
        """What came back in time a second."""
        passed_s = 0.0 if self._since_s is None else now_s - self._since_s
        return self._in_time / passed_s if passed_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Trial:
    """Another setting, until it is compared with the one before.

    Attributes:
        lanes, batch: To go back to.
        in_time_hz: What came back in time a second with these.
        ends_s: When they are compared, monotonic s.
    """

    lanes: int
    batch: int
    in_time_hz: float
    ends_s: float


class LaneLimit:
    """How many of a detector's lanes may compute at once.

    Attributes:
        lanes: The limit, from 1 to all.
        batch: Frames in one inference at most, from 1 to the detector's own limit.
    """

    def __init__(self, lanes: int, overdue_s: float, batch: int = 1) -> None:
        """Begin with all lanes and the largest batch.

        Args:
            lanes: How many there are.
            overdue_s: The age at which a frame leaves without its detection, s.
            batch: The detector's own limit.
        """
        self.lanes, self.batch = lanes, batch
        self._all, self._largest = lanes, batch
        self._overdue_s = overdue_s
        self._in_time = self._late = self._owed = 0
        self._pause_s = FIRST_PAUSE_S
        self._retry_s = -math.inf
        self._trial: _Trial | None = None
        self._lately = _Lately()

    def note(self, *, late: bool, owed: bool = False) -> None:
        """A detection came back, after its frame had to leave or in time; one that was `owed` could not be in time."""
        self._lately.note(in_time=not (owed or late))
        if owed:
            self._owed += 1
        elif late:
            self._late += 1
        else:
            self._in_time += 1

    def update(self, service_s: float, now_s: float) -> bool:
        """Reconsider the limit, a few times a second; True if it changed.

        Args:
            service_s: How long a detection takes at present, s.
            now_s: Monotonic time, s.
        """
        before = self.lanes, self.batch
        self._lately.tidy(now_s)
        if self._trial is not None and now_s >= self._trial.ends_s:
            self._compare(self._trial, now_s)
        self._judge(service_s, now_s)
        return (self.lanes, self.batch) != before

    def _judge(self, service_s: float, now_s: float) -> None:
        judged = self._late + self._in_time
        if judged + self._owed < JUDGED:
            return
        late_share, owed_share = self._late / max(1, judged), self._owed / (judged + self._owed)
        self._late = self._in_time = self._owed = 0
        if judged >= JUDGED and late_share > TOO_LATE and self._lately.share <= 1 - TOO_LATE and self._lower(now_s):
            return
        if now_s < self._retry_s or self._trial is not None:
            return
        if late_share < IN_TIME and owed_share < IN_TIME:
            self._raise(service_s, now_s)
        elif self._is_lowered and self._lately.back >= MANY and self._lately.share < FEW:
            self._try(self._all, self._largest, now_s)

    def _compare(self, trial: _Trial, now_s: float) -> None:
        """Keep what was tried only if more came back in time."""
        self._trial = None
        if self._lately.in_time_hz(now_s) <= trial.in_time_hz:
            self._set(trial.lanes, trial.batch, now_s)
            self._pause(now_s)

    def _lower(self, now_s: float) -> bool:
        """A lane fewer, or where one is left, half the batch; once that was of no use, not before the pause is over."""
        if self._trial is None and not self._is_lowered and now_s < self._retry_s:
            return False
        if self.lanes > 1:
            self._try(self.lanes - 1, self.batch, now_s)
        elif self.batch > 1:
            self._try(1, self.batch // 2, now_s)
        else:
            return False
        return True

    def _try(self, lanes: int, batch: int, now_s: float) -> None:
        """Another setting; what several steps lead to is compared with what was before the first."""
        back = self._trial or _Trial(self.lanes, self.batch, self._lately.in_time_hz(now_s), 0.0)
        self._trial = replace(back, ends_s=now_s + TRIAL_S)
        self._set(lanes, batch, now_s)
        self._pause(now_s)

    @property
    def _is_lowered(self) -> bool:
        return (self.lanes, self.batch) != (self._all, self._largest)

    def _set(self, lanes: int, batch: int, now_s: float) -> None:
        self.lanes, self.batch = lanes, batch
        self._lately.begin(now_s + SETTLE_S)

    def _pause(self, now_s: float) -> None:
        self._retry_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _raise(self, service_s: float, now_s: float) -> None:
        """Larger batches first, which were lowered last; then another lane."""
        if self.batch < self._largest and self._has_room(2 * service_s):
            self._set(self.lanes, min(2 * self.batch, self._largest), now_s)
            return
        stretched_s = service_s * (self.lanes + 1) / self.lanes
        if self.batch == self._largest and self.lanes < self._all and self._has_room(stretched_s):
            self._set(self.lanes + 1, self.batch, now_s)

    def _has_room(self, stretched_s: float) -> bool:
        return stretched_s <= ROOM_SHARE * self._overdue_s
