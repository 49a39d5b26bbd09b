"""How a camera is, seen from where its boxes are made: one truth for messages, table, summary and logs.

A camera's process knows whether pictures come. Only here is known whether boxes come of them: a camera may deliver
perfect pictures of which the detector never sees one. So what the process says is completed with what became of its
frames: `live` becomes `blind` where no detection stands behind the boxes any more, and `degraded` where frames come
late, are left out, or are detected less often than was asked for. Other states pass as they are.

Pure arithmetic: what was seen and the time are arguments.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from msgspec.structs import replace

from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.wire import CameraState, FrameResult, State

WINDOW_S = 2.0
"""What frames say of a camera counts so long."""
GAP_SHARE = 0.2
"""Weight of the newest time between two frames in what is usual."""
BUCKET_S = 0.25
"""Frames are counted together for so long, and forgotten together."""
SILENT_S = 3.0
"""A camera's process says how it is once a second; silent for so long, it is stopped or hangs."""
FIRST_DETECTION_S = 2.0
"""How long a camera's first detection may take after its first picture."""
STRIDES = 3.0
"""A camera is not blind before so many of its turns have passed: one frame in ten seconds is detected that seldom."""
LEFT_OUT_SHARE = 0.2
"""Of its pictures: left out, or lost, from which a camera is degraded."""
LATE_SHARE = 0.2
"""Of its frames: older than promised, from which a camera is degraded."""
FLOOR_SHARE = 0.7
"""Of its floor of detections a second: below it a camera is degraded."""
CALM_S = 1.0
"""How long a camera must do well before it is called live again."""

WHY = {
    "behind": "decoding falls behind; lower its resolution or frame rate, or take its second stream",
    "corrupt": "its pictures arrive damaged; check network and transport",
    "stale": "the detector serves others first; raise its priority or weight, or give the fleet a faster model",
    "overdue": "detections come back too late; take a smaller model, or raise slo.p95_ms",
    "replaced": "the detector serves others first; raise its priority or weight, or give the fleet a faster model",
    "unwanted": "the worker has not asked for its frames yet",
    "stride": "its turn to be detected has not come",
    "late": "its frames reach the worker seconds late; the machine is overloaded",
    "link": "its frames do not reach the worker; the machine is overloaded",
}
"""By what became of most of its frames: why, and what to do."""
SLOW = {
    "capture": "by the camera's own clock they arrive late; check that clock, and the network",
    "decode": "decoding holds them back; switch B-frames off, or lower resolution or frame rate",
    "slot": WHY["stale"],
    "detect": WHY["overdue"],
    "publish": "they wait in the worker; fill: interpolate holds them back, or the machine is overloaded",
}
"""By the longest part of a late frame's way: why, and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a camera is measured by, s where nothing else is said.

    Attributes:
        deadline_s: The age that is promised; infinite where nothing is.
        boxes_live_s: How long boxes live without a detection.
        min_detect_hz: The floor of its detections a second.
    """

    deadline_s: float
    boxes_live_s: float
    min_detect_hz: float = 0.0


@dataclass(slots=True)
class _Seen:
    """What became of the frames of some time."""

    began_ns: int = 0
    frames: int = 0
    detected: int = 0
    late_in: Counter[str] = field(default_factory=Counter)
    because: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def take_off(self, other: _Seen) -> None:
        """Forget those of another time."""
        self.frames -= other.frames
        self.detected -= other.detected
        self.late_in -= other.late_in
        self.because -= other.because
        self.lost -= other.lost

    def add(self, result: FrameResult, *, late: bool) -> None:
        """Take in one more frame."""
        self.frames += 1
        if late:
            self.late_in[max(result.latency_ms, key=lambda stage: result.latency_ms[stage])] += 1
        if result.filled_because is None:
            self.detected += 1
        else:
            self.because[result.filled_because] += 1
        if result.lost:
            self.lost.update(result.lost)


class Health:
    """What is known of one camera, and the state that follows. Not thread-safe; times are monotonic ns.

    Attributes:
        limits: What it is measured by.
        told: The state that subscribers were told last; None before the first.
        told_ns: When they were told it.
    """

    def __init__(self, limits: Limits, now_ns: int) -> None:
        self.limits = limits
        self.told: State | None = None
        self._heard: CameraState | None = None
        self._heard_ns = now_ns
        self.told_ns = now_ns
        self._buckets: deque[_Seen] = deque()
        self._seen = _Seen()
        self._frame_ns: int | None = None
        self._gap_s, self._stride = 0.0, 1
        self._live_ns: int | None = None
        self._detected_ns: int | None = None
        self._well_ns: int | None = None
        self._state: State = "connecting"
        self._since_ns = 0

    @property
    def last(self) -> CameraState | None:
        """What the camera's process said last."""
        return self._heard

    def hear(self, told: CameraState, now_ns: int) -> None:
        """The camera's process says how it is."""
        if told.state != "live":
            self._live_ns = None
        elif self._live_ns is None:
            self._live_ns = now_ns
        self._heard, self._heard_ns = told, now_ns

    def note(self, result: FrameResult, now_ns: int) -> None:
        """One of its frames has left."""
        if self._frame_ns is not None:
            gap_s = (now_ns - self._frame_ns) / NS_PER_S
            self._gap_s += (gap_s - self._gap_s) * (GAP_SHARE if self._gap_s else 1.0)
        self._frame_ns, self._stride = now_ns, result.stride
        if not self._buckets or now_ns - self._buckets[-1].began_ns > BUCKET_S * NS_PER_S:
            self._buckets.append(_Seen(now_ns))
        late = result.age_ms > 1000 * self.limits.deadline_s
        self._buckets[-1].add(result, late=late)
        self._seen.add(result, late=late)

    def state(self, detected_ns: int | None, now_ns: int, wall_ns: int, away: str = "") -> CameraState | None:
        """How it is now; None before its process has said a word.

        Args:
            detected_ns: When its newest detected frame was captured.
            now_ns: Monotonic time.
            wall_ns: The same moment by the wall clock.
            away: Why nothing is detected of any camera; empty while detections come back.
        """
        while self._buckets and now_ns - self._buckets[0].began_ns > WINDOW_S * NS_PER_S:
            self._seen.take_off(self._buckets.popleft())
        if self._heard is None:
            return None
        # A session that has just begun has none of its own yet.
        self._detected_ns = detected_ns = max(detected_ns or 0, self._detected_ns or 0) or None
        state, detail = self._judge(detected_ns, now_ns, away)
        state, detail = self._calm(state, detail, now_ns)
        if state != self._state or not self._since_ns:
            own = state == self._heard.state and self._heard.since_ns
            self._state, self._since_ns = state, self._heard.since_ns if own else wall_ns
        age_ms = None if detected_ns is None else round((now_ns - detected_ns) / NS_PER_MS, 1)
        return replace(
            self._heard, state=state, detail=detail, since_ns=self._since_ns, detection_age_ms=age_ms, at_ns=wall_ns
        )

    def _judge(self, detected_ns: int | None, now_ns: int, away: str) -> tuple[State, str]:
        told = self._heard
        assert told is not None, "asked only after a word"
        silent_s = (now_ns - max(self._heard_ns, self._frame_ns or 0)) / NS_PER_S
        if silent_s > SILENT_S and told.state == "connecting":
            # FFmpeg says nothing while it waits for an answer.
            return "connecting", told.detail or f"no picture {silent_s:.0f} s after it was asked; it is waited for"
        if silent_s > SILENT_S and told.state in ("live", "degraded", "blind"):
            return (
                "blind",
                f"silent for {silent_s:.0f} s: it sends nothing, its process is stopped, or the machine overloaded",
            )
        if told.state != "live":
            return told.state, told.detail
        seen = self._seen
        if (blind := self._blind(detected_ns, now_ns)) is not None:
            return "blind", f"{blind}: {away or self._why(seen)}"
        return ("degraded", trouble) if (trouble := self._trouble(seen)) else ("live", told.detail)

    def _blind(self, detected_ns: int | None, now_ns: int) -> str | None:
        """For how long no detection has stood behind its boxes; None where one does."""
        assert self._live_ns is not None, "asked only while its process says that pictures come"
        since_ns = max(self._live_ns, detected_ns or 0)
        without_s = (now_ns - since_ns) / NS_PER_S
        first_s = FIRST_DETECTION_S if since_ns == self._live_ns else 0.0
        if without_s <= max(self.limits.boxes_live_s, first_s, STRIDES * self._gap_s * self._stride):
            return None
        if detected_ns:
            return f"no detection for {without_s:.0f} s"
        return f"pictures for {without_s:.0f} s, none detected"

    @staticmethod
    def _why(seen: _Seen) -> str:
        """What became of most of the frames that were to be detected."""
        reasons = seen.because + seen.lost
        if not reasons:
            return "none of its frames reaches the worker; the machine is overloaded, or its stream stands still"
        if len(reasons) > 1:
            del reasons["stride"]
        most = reasons.most_common(1)[0][0]
        return WHY.get(most, most)

    def _trouble(self, seen: _Seen) -> str:
        """What is worse than asked for; empty where nothing is."""
        everything = seen.frames + seen.lost.total()
        if not everything:
            return ""
        left_out = seen.lost + Counter({cause: seen.because[cause] for cause in ("behind", "corrupt")})
        if left_out.total() > LEFT_OUT_SHARE * everything:
            cause = left_out.most_common(1)[0][0]
            return f"{100 * left_out.total() / everything:.0f} % of its pictures are left out: {WHY.get(cause, cause)}"
        if (late := seen.late_in.total()) > LATE_SHARE * everything:
            why, deadline_ms = SLOW[seen.late_in.most_common(1)[0][0]], 1000 * self.limits.deadline_s
            return f"{100 * late / everything:.0f} % of its frames are older than {deadline_ms:.0f} ms: {why}"
        floor_hz, found_hz = self.limits.min_detect_hz, seen.detected / self._span_s()
        if floor_hz and found_hz < FLOOR_SHARE * floor_hz:
            return f"{found_hz:.1f} detections a second, below its floor of {floor_hz:g}; the detector is short"
        return ""

    def _calm(self, state: State, detail: str, now_ns: int) -> tuple[State, str]:
        """A camera that was in trouble a moment ago is not called live at its first good frame."""
        if state != "live" or self._state not in ("degraded", "blind"):
            self._well_ns = None
            return state, detail
        self._well_ns = now_ns if self._well_ns is None else self._well_ns
        if now_ns - self._well_ns >= CALM_S * NS_PER_S:
            return state, detail
        return "degraded", "it has just come back"

    def _span_s(self) -> float:
        """The time that the window's frames stand for."""
        if not self._buckets or self._frame_ns is None:
            return WINDOW_S
        return max((self._frame_ns - self._buckets[0].began_ns) / NS_PER_S, WINDOW_S / 2)
