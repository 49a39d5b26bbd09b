"""How often each camera is offered to the detector: a little more often than it can be served.

The problem: a detector serves so many frames a second, and no more. Offered more, queues grow until every box is too
old (dlstreamer#64, yolov5#8160); offered less, it idles. Nobody can know the right stride beforehand: it depends on the
load, the device and its neighbours.

Age is not this module's business: a frame waits in the slot about as long as one detection takes (`channel.Patience`),
whatever is offered, and leaves undetected if no lane took it. So a lane that becomes idle is to find a frame waiting,
and frames that nobody would take are not even to be converted. The policy, four times a second:

1. Capacity is what was measured: frames detected ÷ the share of time the lanes were busy. It is learned only while the
   lanes are busy at least half the time, because a device with one lane at work is faster than with all.
2. Strides are the smallest that offer a certain surplus over it. Each step up goes to the camera that has most to give:
   lowest priority first, then the most detections a second for its weight; `min_detect_hz` is a floor no stride
   crosses, and `max_detect_hz` a bound that no stride comes down below, however much room there is.
3. Strides that offer more than the upper end of the surplus go up at once; those that offer less than its lower end
   come down, a second after the last step up. In between, nothing changes.
4. What each camera would get if nothing were offered in vain is its due: by it the scheduler chooses, so that the
   surplus changes nobody's share.
5. On a device whose detections take most of the deadline, more is offered: what had to wait there comes back too late,
   so that a lane has to find a fresh one.
6. Where cameras wait long for a processor, less is offered whatever the detector could do, until they do not: scaling
   pictures and following detections take from decoding, and detections give way before pictures do.
7. Cameras with `policy: content` share what they have together by what a detection is worth there (`worth`). Steps up
   that only make room for another of them are not counted as steps up: nothing was short.
8. Where accuracy is promised, strides that keep the promise are given before those that break it, and none rises for
   nothing but saving unless that is asked for (`accuracy`).

Pure arithmetic: what was measured and the time are arguments.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.plan import StrideBounds
from pipeline.track.loss import LossCurve
from pipeline.worker.accuracy import Accuracy
from pipeline.worker.worth import Worth

INTERVAL_S = 0.25
"""How often strides are reconsidered."""
LEAST_OFFERED, MOST_OFFERED = 1.15, 1.4
"""Frames offered for each that can be detected: an idle lane is to find one, and few are to be offered in vain."""
DUE = 0.95
"""Share of the capacity that is promised to the cameras; the rest goes to whoever has a frame."""
LEARN_ABOVE = 0.5
"""Utilisation from which a capacity is believed."""
FALL_SHARE, RISE_SHARE = 0.5, 0.2
"""Weight of a new capacity that is lower, or higher, than the one believed so far."""
IDLE_GROWTH = 1.06
"""Growth of the capacity in an interval below `LEARN_ABOVE`: so that a device that became faster is found out."""
OFFERS_IN_WINDOW = 2.0
"""Frames offered, on average, in the time that one can wait in the slot and still come back in time."""
MOST_FRESH = 2.5
"""Frames offered for freshness, for each that can be detected, at most."""
STARVED, RELIEVED = 0.3, 0.15
"""Share of the deadline that cameras wait for a processor: above the first less is offered, below the second more."""
STARVED_FALL, RELIEVED_GROWTH = 0.8, 1.05
"""What is offered then, as a share of what was, an interval later."""
HABIT = 1.05
"""Who has given way does so again, unless another has that much more to give: frame rates of equals differ by little,
never by nothing, and a ramp of six cameras changed who gives way five times on it."""
COME_BACK_AFTER_S = 1.0
"""Strides come down so long after the last step up, at the earliest."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What happened in one interval.

    Attributes:
        interval_s: Its length, s.
        detected: Frames whose detection came back, in time or not.
        busy_s: Time that lanes computed, summed over lanes, s.
        lanes: How many lanes might compute.
        window_s: How long a frame may wait in the slot and still come back in time, s.
        starved: How long cameras waited for a processor before a frame, 95th percentile, as a share of the deadline.
    """

    interval_s: float
    detected: float
    busy_s: float
    lanes: int
    window_s: float = math.inf
    starved: float = 0.0

    @property
    def utilisation(self) -> float:
        """Share of the lanes' time that was used, 0..1."""
        return min(1.0, self.busy_s / (self.lanes * self.interval_s))

    @property
    def capacity_hz(self) -> float:
        """Frames a second if the lanes were always busy; 0 if they were and nothing came back."""
        return self.detected / self.interval_s / max(self.utilisation, 1e-6)


@dataclass(frozen=True, slots=True)
class _Budget:
    """What all cameras together are to offer: no more than `most_hz`, but not less than `least_hz`."""

    most_hz: float
    least_hz: float = 0.0

    def kept(self, asked_hz: float, given_hz: float) -> bool:
        """Whether `asked_hz` will do, as it is little enough, or `given_hz` less would be too little."""
        return asked_hz <= self.most_hz or asked_hz - given_hz < self.least_hz


class StrideController:
    """Strides for a fleet.

    Attributes:
        strides: Every how many frames of each camera one is offered.
        due: Share of the frames offered by each living camera that it has a claim to see detected, 0..1.
    """

    def __init__(self, bounds: Mapping[str, StrideBounds] | None = None) -> None:
        """Begin with the cameras of `bounds`, if there are any yet."""
        self.strides: dict[str, int] = {}
        self.due: dict[str, float] = {}
        self._bounds: dict[str, StrideBounds] = {}
        self._capacity_hz: float | None = None
        self._spared_hz = math.inf
        self._raised_s = -math.inf
        self._worth = Worth()
        self._worths: dict[str, float] = {}
        self._accuracy = Accuracy()
        for camera_id, bound in (bounds or {}).items():
            self.add(camera_id, bound)

    def add(self, camera_id: str, bound: StrideBounds) -> int:
        """From now on this camera takes part, at the stride that is returned; again, if its bounds change.

        A newcomer begins in the middle of its equals: at its least stride it would take from all others until the next
        reckoning, and at its most it would be nearly blind that long.
        """
        self._bounds[camera_id] = bound
        usual = self.strides.get(camera_id) or _median([self.strides[name] for name in self._equals(bound)])
        self.strides[camera_id] = max(bound.least, min(bound.most, usual or bound.least))
        return self.strides[camera_id]

    def remove(self, camera_id: str) -> None:
        """Let a camera take no part any more; what it had goes to the others with the next reckoning."""
        for known in (self._bounds, self.strides, self.due, self._worths):
            known.pop(camera_id, None)

    def promise(self, max_loss: float | None, *, saves: bool = False) -> None:
        """From now on no camera is to lose more points of HOTA, if that can be; and who saves detects no more."""
        self._accuracy.promise(max_loss, saves=saves)

    @property
    def bounds(self) -> Mapping[str, StrideBounds]:
        """What may be done to each camera that takes part."""
        return self._bounds

    @property
    def adapts(self) -> bool:
        """Whether there is anything to decide."""
        return any(bound.most > bound.least for bound in self._bounds.values())

    def update(
        self,
        measured: Measured,
        fps: Mapping[str, float],
        now_s: float,
        wrong_hz: Mapping[str, float] | None = None,
        losses: Mapping[str, LossCurve] | None = None,
    ) -> dict[str, int]:
        """Strides from now on, for the cameras whose stride changes.

        Args:
            measured: Since the last call.
            fps: Frames decoded a second by camera; cameras without frames are left out.
            now_s: Monotonic time, s.
            wrong_hz: Boxes that go wrong a second where nobody looks, by camera, as far as it was measured.
            losses: What each stride would cost, by camera, as far as that is known.
        """
        self._capacity_hz = self._believe(measured)
        self._spared_hz = self._spare(measured.starved, fps)
        capacity_hz = math.inf if self._capacity_hz is None else self._capacity_hz
        self._worths = self._weigh(wrong_hz or {}, fps)
        self._accuracy.update({name: curve for name, curve in (losses or {}).items() if name in fps})
        fresh_hz = min(OFFERS_IN_WINDOW / measured.window_s, MOST_FRESH * capacity_hz)
        most_hz = min(max(MOST_OFFERED * capacity_hz, fresh_hz), self._spared_hz)
        least_hz = min(max(LEAST_OFFERED * capacity_hz, fresh_hz), self._spared_hz)
        budgets = _Budget(capacity_hz * DUE), _Budget(most_hz), _Budget(least_hz, least_hz)
        due, tight, loose = self._fit(fps, *budgets)
        if self._asked_hz(loose, fps) > most_hz:
            loose = tight
        changed = {}
        for camera_id in fps:
            stride = self._next(camera_id, tight[camera_id], loose[camera_id], now_s)
            if stride != self.strides[camera_id]:
                changed[camera_id] = stride
        shares = self._by_content or self._accuracy.max_loss is not None
        short = not shares or self._asked_hz(self.strides, fps) > most_hz
        if short and any(stride > self.strides[camera_id] for camera_id, stride in changed.items()):
            self._raised_s = now_s
        self.strides.update(changed)
        self.due = {camera_id: min(1.0, self.strides[camera_id] / due[camera_id]) for camera_id in fps}
        return changed

    def _equals(self, bound: StrideBounds) -> list[str]:
        """Cameras of the same rank whose stride is being decided on."""
        return [name for name in self.due if self._bounds[name].rank == bound.rank]

    @property
    def _by_content(self) -> set[str]:
        return {camera_id for camera_id, bound in self._bounds.items() if bound.by_content}

    def _believe(self, measured: Measured) -> float | None:
        """The capacity in the light of one more interval, frames a second; None until the device was seen at work."""
        known, found = self._capacity_hz, measured.capacity_hz
        if measured.utilisation >= LEARN_ABOVE:
            if known is None:
                return found
            return known + (FALL_SHARE if found < known else RISE_SHARE) * (found - known)
        if known is None:
            return None
        # Whatever one lane does alone, all of them together do at least: the way back after a stall.
        return max(known * IDLE_GROWTH, known + FALL_SHARE * (found / measured.lanes - known))

    def _spare(self, starved: float, fps: Mapping[str, float]) -> float:
        """What may be offered so that the cameras get the processor they need, frames a second; infinite: anything."""
        least_hz = sum(hz / self._ceiling(camera_id, fps) for camera_id, hz in fps.items())
        if starved > STARVED:
            asked_hz = self._asked_hz(self.strides, fps)
            return max(least_hz, STARVED_FALL * min(self._spared_hz, asked_hz))
        if starved < RELIEVED:
            more_hz = RELIEVED_GROWTH * max(self._spared_hz, least_hz)
            return more_hz if more_hz < sum(fps.values()) else math.inf
        return self._spared_hz

    def _next(self, camera_id: str, tight: int, loose: int, now_s: float) -> int:
        """Up to `tight` at once; down to `loose` when nothing has been short for a while."""
        stride = self.strides[camera_id]
        if tight > stride:
            return tight
        if loose < stride and now_s - self._raised_s >= COME_BACK_AFTER_S:
            return loose
        return stride

    def _fit(self, fps: Mapping[str, float], *budgets: _Budget) -> list[Mapping[str, int]]:
        """For each budget the smallest strides that together keep it; they all lie on one way."""
        strides = {camera_id: self._least(camera_id, hz) for camera_id, hz in fps.items()}
        asked_hz = self._asked_hz(strides, fps)
        fitting: dict[_Budget, Mapping[str, int]] = {}
        left = set(budgets)
        for given_hz in self._give_way(strides, fps):
            for budget in [one for one in left if one.kept(asked_hz, given_hz)]:
                left.remove(budget)
                fitting[budget] = dict(strides)
            if not left:
                break
            asked_hz -= given_hz
        return [fitting.get(budget, strides) for budget in budgets]

    def _give_way(self, strides: dict[str, int], fps: Mapping[str, float]) -> Iterator[float]:
        """Raise strides one by one; each step is taken when the next is asked for.

        Yields:
            How much less the next step offers, detections a second.
        """
        ceilings = {camera_id: self._ceiling(camera_id, fps) for camera_id in fps}
        giving = [self._reluctance(camera_id, fps, strides) for camera_id in fps]
        heapq.heapify(giving)
        while giving:
            camera_id = heapq.heappop(giving)[-1]
            stride, hz = strides[camera_id], fps[camera_id]
            if stride < ceilings[camera_id]:
                yield hz / stride - hz / (stride + 1)
                strides[camera_id] += 1
                heapq.heappush(giving, self._reluctance(camera_id, fps, strides))

    def _weigh(self, wrong_hz: Mapping[str, float], fps: Mapping[str, float]) -> dict[str, float]:
        """What a detection is worth at the cameras that share by content, each among its equals of priority."""
        sharing = self._by_content & fps.keys()
        self._worth.update({camera_id: rate for camera_id, rate in wrong_hz.items() if camera_id in sharing})
        worths: dict[str, float] = {}
        for rank in {self._bounds[camera_id].rank for camera_id in sharing}:
            equals = {name: self._bounds[name] for name in sharing if self._bounds[name].rank == rank}
            worths |= self._worth.among({name: bound.weight for name, bound in equals.items()}, fps)
        return worths

    @staticmethod
    def _asked_hz(strides: Mapping[str, int], fps: Mapping[str, float]) -> float:
        """Detections a second that these strides ask for."""
        return sum(hz / strides[camera_id] for camera_id, hz in fps.items())

    def _least(self, camera_id: str, fps: float) -> int:
        return self._accuracy.least(camera_id, self._bounds[camera_id], fps, self.strides[camera_id])

    def _ceiling(self, camera_id: str, fps: Mapping[str, float]) -> int:
        return self._bounds[camera_id].ceiling(fps[camera_id])

    def _reluctance(
        self, camera_id: str, fps: Mapping[str, float], strides: Mapping[str, int]
    ) -> tuple[bool, int, float, float, str]:
        """Smallest for the camera that is to give way next; the name makes it the same one every time."""
        bound = self._bounds[camera_id]
        stride, weight = strides[camera_id], bound.weight * self._worths.get(camera_id, 1.0)
        habit = HABIT if stride < self.strides[camera_id] else 1.0
        excess = self._accuracy.excess(camera_id, stride + 1, fps[camera_id]) / habit
        share = habit * fps[camera_id] / stride / weight
        return excess > 0, bound.rank, excess, -share, camera_id


def _median(strides: list[int]) -> int | None:
    return sorted(strides)[len(strides) // 2] if strides else None
