"""What a subscriber can say about a fleet: rates, ages, objects and losses by camera."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pipeline.observe.ages import Ages, merged
from pipeline.wire import CameraState, Counts, FrameResult

WINDOW_S = 5.0
"""Over which the live figures are taken."""
BUCKET_S = 0.5
"""Live figures forget frames in steps of this."""


class CameraTally(msgspec.Struct, frozen=True, kw_only=True):
    """One camera's figures.

    Attributes:
        camera_id: The camera.
        state: Its last known state.
        detail: The last error in words; empty while all is well.
        decoded_hz: Frames decoded a second.
        detected_hz: Frames the detector ran on, a second.
        published_hz: Messages a second.
        age_p50_ms: Median age at publication; 0 without a frame.
        age_p95_ms: 95th percentile.
        age_p99_ms: 99th percentile.
        detected_age_p95_ms: 95th percentile over detected frames alone.
        objects: Tracked objects in the newest frame.
        decoded: Frames decoded, over all sessions.
        detected: Frames the detector ran on.
        filled: Frames it did not run on, by reason.
        lost: Frames never published, by cause.
        longest_undetected_s: The longest time between two detections.
        sessions: How many sessions there were.
        stride: The newest.
    """

    camera_id: str
    state: str
    detail: str
    decoded_hz: float
    detected_hz: float
    published_hz: float
    age_p50_ms: float
    age_p95_ms: float
    age_p99_ms: float
    detected_age_p95_ms: float
    objects: int
    decoded: int
    detected: int
    filled: dict[str, int]
    lost: dict[str, int]
    longest_undetected_s: float
    sessions: int
    stride: int


class FleetTally(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet's figures: those of all cameras together, and of each.

    Attributes:
        span_s: The time the rates are taken over.
        published_hz: Messages a second.
        detected_hz: Frames the detector ran on, a second.
        age_p50_ms: Median age of all published frames.
        age_p95_ms: 95th percentile.
        age_p99_ms: 99th percentile.
        detected_age_p95_ms: 95th percentile over detected frames alone.
        stages_ms: p50, p95 and p99 of each stage that a detected frame goes through.
        jain_index: Fairness of detections a second among cameras that deliver, 1/n..1 (Jain, Chiu, Hawe 1984).
        cameras: By camera, in the order of the fleet file.
    """

    span_s: float
    published_hz: float
    detected_hz: float
    age_p50_ms: float
    age_p95_ms: float
    age_p99_ms: float
    detected_age_p95_ms: float
    stages_ms: dict[str, dict[str, float]]
    jain_index: float
    cameras: list[CameraTally]


@dataclass(slots=True)
class Books:
    """The counts of a camera's sessions, added up."""

    decoded: int = 0
    detected: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    sessions: int = 0

    def add(self, counts: Counts) -> None:
        """Take in a session's last counts."""
        self.decoded += counts.decoded
        self.detected += counts.detected
        self.filled.update(counts.filled)
        self.lost.update(counts.lost)
        self.sessions += counts.decoded > 0

    def copy(self) -> Books:
        """The same, to be added to."""
        return Books(self.decoded, self.detected, Counter(self.filled), Counter(self.lost), self.sessions)


class _Camera:
    """The books of one camera."""

    def __init__(self, camera_id: str) -> None:
        self.camera_id = camera_id
        self.whole = Ages()
        self._recent: deque[tuple[float, Ages]] = deque()
        self._ended = Books()
        self._session_id = ""
        self._counts = Counts(decoded=0, detected=0, filled={}, lost={})
        self._objects = 0
        self._stride = 0
        self._detected_s: float | None = None
        self._longest_undetected_s = 0.0

    def add(self, result: FrameResult, now_s: float) -> None:
        self.whole.add(result)
        self._bucket(now_s).add(result)
        if result.session_id != self._session_id:
            self._ended.add(self._counts)
            self._session_id = result.session_id
        self._counts = result.counts
        self._objects, self._stride = len(result.tracks), result.stride
        if result.origin == "detected":
            if self._detected_s is not None:
                self._longest_undetected_s = max(self._longest_undetected_s, now_s - self._detected_s)
            self._detected_s = now_s

    def recent(self, since_s: float) -> Ages:
        return merged([ages for began_s, ages in self._recent if began_s >= since_s])

    def tally(self, state: CameraState | None, ages: Ages, span_s: float) -> CameraTally:
        books = self._ended.copy()
        books.add(self._counts)
        return CameraTally(
            camera_id=self.camera_id,
            state=state.state if state else ("live" if ages.frames else "unknown"),
            detail=state.detail if state else "",
            decoded_hz=round((ages.frames + ages.lost) / span_s, 1),
            detected_hz=round(ages.detected / span_s, 1),
            published_hz=round(ages.frames / span_s, 1),
            age_p50_ms=ages.quantile_ms(0.5),
            age_p95_ms=ages.quantile_ms(0.95),
            age_p99_ms=ages.quantile_ms(0.99),
            detected_age_p95_ms=ages.detected_quantile_ms(0.95),
            objects=self._objects,
            decoded=books.decoded,
            detected=books.detected,
            filled=dict(books.filled),
            lost=dict(books.lost),
            longest_undetected_s=round(self._longest_undetected_s, 3),
            sessions=books.sessions,
            stride=self._stride,
        )

    def _bucket(self, now_s: float) -> Ages:
        """The running bucket; those that left the window are forgotten."""
        if not self._recent or now_s - self._recent[-1][0] >= BUCKET_S:
            self._recent.append((now_s, Ages()))
        while now_s - self._recent[0][0] > WINDOW_S + BUCKET_S:
            self._recent.popleft()
        return self._recent[-1][1]


class Tally:
    """The books of a fleet, fed with its messages; the time is told. Memory does not grow with the frames."""

    def __init__(self, cameras: Sequence[str]) -> None:
        """Open the books of these cameras, in this order; others are added when they are heard of."""
        self._cameras = {camera_id: _Camera(camera_id) for camera_id in cameras}
        self._first_s: float | None = None
        self._last_s = 0.0

    def add(self, result: FrameResult, now_s: float) -> None:
        """Book a frame."""
        self._first_s = now_s if self._first_s is None else self._first_s
        self._last_s = now_s
        self._cameras.setdefault(result.camera_id, _Camera(result.camera_id)).add(result, now_s)

    def live(self, states: Mapping[str, CameraState], now_s: float) -> FleetTally:
        """The figures of the last `WINDOW_S`, or since the first frame if that is less."""
        since_first_s = now_s - self._first_s if self._first_s is not None else 0.0
        span_s = max(min(WINDOW_S, since_first_s), 1e-3)
        return self._fleet(
            {name: camera.recent(now_s - span_s) for name, camera in self._cameras.items()}, span_s, states
        )

    def whole(self, states: Mapping[str, CameraState]) -> FleetTally:
        """The figures from the first frame to the last."""
        span_s = max(self._last_s - self._first_s, 1e-3) if self._first_s is not None else math.inf
        return self._fleet({name: camera.whole for name, camera in self._cameras.items()}, span_s, states)

    def _fleet(self, ages: Mapping[str, Ages], span_s: float, states: Mapping[str, CameraState]) -> FleetTally:
        every = merged(list(ages.values()))
        cameras = [camera.tally(states.get(name), ages[name], span_s) for name, camera in self._cameras.items()]
        return FleetTally(
            span_s=round(span_s, 2) if math.isfinite(span_s) else 0.0,
            published_hz=round(every.frames / span_s, 1),
            detected_hz=round(every.detected / span_s, 1),
            age_p50_ms=every.quantile_ms(0.5),
            age_p95_ms=every.quantile_ms(0.95),
            age_p99_ms=every.quantile_ms(0.99),
            detected_age_p95_ms=every.detected_quantile_ms(0.95),
            stages_ms=every.stages_ms(),
            jain_index=jain_index([camera.detected_hz for camera in cameras if camera.decoded_hz > 0]),
            cameras=cameras,
        )


def jain_index(shares: Sequence[float]) -> float:
    """(Σx)² / (n·Σx²): 1 where all have the same, 1/n where one has everything; 1 where nobody has anything."""
    squares = sum(share * share for share in shares)
    return 1.0 if squares == 0 else round(sum(shares) ** 2 / (len(shares) * squares), 3)
