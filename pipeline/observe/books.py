"""What a subscriber keeps of one camera: its frames, its states, and how old what it knows is."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from pipeline.observe.ages import Ages, merged
from pipeline.wire import SEEING, CameraState, Counts, FrameResult, State

WINDOW_S = 5.0
"""Over which the live figures are taken."""
BUCKET_S = 0.5
"""Live figures forget frames in steps of this."""
RESTING: frozenset[State] = frozenset({"ended", "paused", "removed"})
"""States in which nobody waits for a detection."""

_NS_PER_S = 1_000_000_000


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


class Detections:
    """When a camera was last detected, and the longest time it was not; times are those of the listener."""

    def __init__(self) -> None:
        self._captured_s: float | None = None
        self._gap_from_s: float | None = None
        self._has_frames = False
        self._longest_s = 0.0

    def begin(self, now_s: float, *, with_frame: bool) -> None:
        """Wait for a detection: from the first frame on, or from the first word of a camera that has sent none."""
        if self._gap_from_s is None or (with_frame and not self._has_frames):
            self._gap_from_s = now_s
        self._has_frames = self._has_frames or with_frame

    def known(self, age_ms: float, now_s: float) -> None:
        """The newest detected frame was captured so long ago; older news changes nothing."""
        captured_s = now_s - age_ms / 1000
        self._captured_s = captured_s if self._captured_s is None else max(self._captured_s, captured_s)

    def detected(self, now_s: float) -> None:
        """A detected frame came."""
        self._longest_s = self.longest_s(now_s)
        self._gap_from_s = now_s

    def rest(self, now_s: float) -> None:
        """Nobody waits for a detection from now on, until the next frame."""
        self._longest_s = self.longest_s(now_s)
        self._gap_from_s = None
        self._has_frames = False

    def age_ms(self, now_s: float) -> float | None:
        """From the capture of the newest detected frame to now; None before the first."""
        return None if self._captured_s is None else max(0.0, (now_s - self._captured_s) * 1000)

    def longest_s(self, now_s: float) -> float:
        """The longest time without a detection, up to now."""
        return self._longest_s if self._gap_from_s is None else max(self._longest_s, now_s - self._gap_from_s)


class Losses:
    """What a camera is said to lose, once a second: the newest word, and the mean of all."""

    def __init__(self) -> None:
        self.newest: float | None = None
        self._sum, self._count = 0.0, 0

    def add(self, loss: float | None) -> None:
        """It says so; None where it does not know."""
        self.newest = loss
        if loss is not None:
            self._sum += loss
            self._count += 1

    @property
    def mean(self) -> float | None:
        """Over all words that knew it; None if none did."""
        return self._sum / self._count if self._count else None


class CameraBooks:
    """Everything about one camera; the time is told."""

    def __init__(self, camera_id: str, slo_ms: float) -> None:
        """Open them.

        Args:
            camera_id: Whose.
            slo_ms: The age that was promised.
        """
        self.camera_id = camera_id
        self.whole = Ages()
        self.state: CameraState | None = None
        self.detections = Detections()
        self.losses = Losses()
        self.objects = 0
        self.stride = 0
        self._slo_ms = slo_ms
        self._recent: deque[tuple[float, Ages]] = deque()
        self._ended = Books()
        self._session_id = ""
        self._counts = Counts(decoded=0, detected=0, filled={}, lost={})
        self._told_s = 0.0
        self._heard_s: float | None = None

    def add(self, result: FrameResult, now_s: float) -> None:
        """Book a frame."""
        self._heard_s = now_s
        if result.session_id != self._session_id:
            self._ended.add(self._counts)
            self._session_id = result.session_id
        self._counts = result.counts
        self.objects, self.stride = len(result.tracks), result.stride
        self._add_age(result, self._detection_age_ms(result, now_s), now_s)

    def hear(self, state: CameraState, now_s: float) -> None:
        """Book a state."""
        self.state, self._told_s, self._heard_s = state, now_s, now_s
        if state.detection_age_ms is not None:
            self.detections.known(state.detection_age_ms, now_s)
        if state.state not in RESTING:
            self.losses.add(state.loss if state.state in SEEING else None)
        if state.state in RESTING:
            self.detections.rest(now_s)
        else:
            self.detections.begin(now_s, with_frame=False)

    def recent(self, since_s: float) -> Ages:
        """The ages of frames since then."""
        return merged([ages for began_s, ages in self._recent if began_s >= since_s])

    def books(self) -> Books:
        """The counts of all sessions so far."""
        books = self._ended.copy()
        books.add(self._counts)
        return books

    def state_for_s(self, now_s: float) -> float | None:
        """For how long it has been in its state; None where it is not known."""
        state = self.state
        if state is None or not state.since_ns or not state.at_ns:
            return None
        return max(0.0, (state.at_ns - state.since_ns) / _NS_PER_S) + now_s - self._told_s

    def retry_in_s(self, now_s: float) -> float | None:
        """Until the next try; 0 where it is due; None where it is not known."""
        state = self.state
        if state is None or not state.retry_at_ns or not state.at_ns:
            return None
        return max(0.0, (state.retry_at_ns - state.at_ns) / _NS_PER_S - (now_s - self._told_s))

    def silent_s(self, now_s: float) -> float | None:
        """For how long nothing was heard of it; None if nothing ever was."""
        return None if self._heard_s is None else now_s - self._heard_s

    def _detection_age_ms(self, result: FrameResult, now_s: float) -> float:
        """How old its newest detection is at this frame; while there is none, how long it has been waited for."""
        self.detections.begin(now_s, with_frame=True)
        detected = result.origin == "detected"
        age_ms = result.age_ms if detected and result.detection_age_ms is None else result.detection_age_ms
        if age_ms is not None:
            self.detections.known(age_ms, now_s)
        if detected:
            self.detections.detected(now_s)
        known_ms = self.detections.age_ms(now_s) if age_ms is None else age_ms
        return self.detections.longest_s(now_s) * 1000 if known_ms is None else known_ms

    def _add_age(self, result: FrameResult, detection_age_ms: float, now_s: float) -> None:
        stands = result.origin != "skipped" and result.counts.detected > 0
        attained = stands and result.age_ms <= self._slo_ms
        for ages in (self.whole, self._bucket(now_s)):
            ages.add(result, detection_age_ms, attained=attained)

    def _bucket(self, now_s: float) -> Ages:
        """The running bucket; those that are older than any window are forgotten."""
        if not self._recent or now_s - self._recent[-1][0] >= BUCKET_S:
            self._recent.append((now_s, Ages()))
        while now_s - self._recent[0][0] > WINDOW_S + BUCKET_S:
            self._recent.popleft()
        return self._recent[-1][1]
