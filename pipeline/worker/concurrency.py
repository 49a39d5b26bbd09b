"""How many lanes compute at once, and how large a batch may be: as much as comes back in time.

The problem: lanes share the processor with each other and with decoding. All of them together do the most work, and
each takes longest. Beside six decoders on two cores without INT8 instructions, two lanes needed 130 ms a detection,
too late for a promise of 150 ms; one alone needs 75.

The policy: one lane fewer when detections come back late, one more when the service time, stretched as if every lane
slowed the others, would leave room again. Each lowering makes the next attempt wait longer, so a device that cannot do
it is not asked every few seconds. With one lane left, its batches are halved: a batch of eight that takes 180 ms made
every frame of twelve cameras late, and so the next batch as full as that one.

Pure arithmetic: what was measured and the time are arguments.
"""

from __future__ import annotations

import math

GAIN, DEVIATION_GAIN = 1 / 8, 1 / 4
"""Weights of the newest service time, those of RFC 6298 for round-trip times."""
JUDGED = 8
"""Detections after which the share of late ones is believed."""
TOO_LATE, IN_TIME = 0.25, 0.1
"""Share of late detections from which there is a lane fewer, and below which there may be one more."""
ROOM_SHARE = 0.7
"""Of the time a detection has: what it may need after another lane has joined. The rest is decoding and the slot."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 80.0
"""Between a lowering and the next attempt; doubles each time."""


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
        self._in_time = 0
        self._late = 0
        self._pause_s = FIRST_PAUSE_S
        self._retry_s = -math.inf

    def note(self, *, late: bool) -> None:
        """A detection came back, after its frame had to leave or in time."""
        if late:
            self._late += 1
        else:
            self._in_time += 1

    def update(self, service_s: float, now_s: float) -> bool:
        """Reconsider the limit, a few times a second; True if it changed.

        Args:
            service_s: How long a detection takes at present, s.
            now_s: Monotonic time, s.
        """
        judged = self._late + self._in_time
        if judged < JUDGED:
            return False
        late_share = self._late / judged
        self._late = self._in_time = 0
        if late_share > TOO_LATE:
            return self._lower(now_s)
        return late_share < IN_TIME and now_s >= self._retry_s and self._raise(service_s)

    def _lower(self, now_s: float) -> bool:
        if self.lanes > 1:
            self.lanes -= 1
        elif self.batch > 1:
            self.batch //= 2
        else:
            return False
        self._retry_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return True

    def _raise(self, service_s: float) -> bool:
        """Larger batches first, which were lowered last; then another lane."""
        if self.batch < self._largest and self._has_room(2 * service_s):
            self.batch = min(2 * self.batch, self._largest)
            return True
        if self.batch == self._largest and self.lanes < self._all:
            stretched_s = service_s * (self.lanes + 1) / self.lanes
            if self._has_room(stretched_s):
                self.lanes += 1
                return True
        return False

    def _has_room(self, stretched_s: float) -> bool:
        return stretched_s <= ROOM_SHARE * self._overdue_s
