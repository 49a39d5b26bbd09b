"""What is known of a fleet from its messages, and since when: what metrics and health are made of."""

from __future__ import annotations

from collections import Counter

from pipeline.client.silence import HEARTBEAT_S
from pipeline.clock import NS_PER_S, Clock
from pipeline.web.minute import LastMinute
from pipeline.web.totals import (
    AGE_BOUNDS_S,
    STAGE_BOUNDS_S,
    Histogram,
    Names,
    Promised,
    Reconnects,
    Sessions,
)
from pipeline.wire import SEEING, CameraFigures, CameraState, FleetState, FrameResult, Message

IN_VIEW_S = 5.0
"""Objects of a frame that came before that are not said to be in view."""
GONE_S = 10.0
"""A camera that the fleet does not name and that says nothing for so long is forgotten."""


class KnownCamera:
    """One camera. The times are those of the listener, monotonic s; not thread-safe.

    Attributes:
        sessions: Its counts.
        reconnects: How often it was connected again.
        promised: Its frames by the promise.
        ages: Of its frames, s.
        minute: Their ages in the last minute, ms.
        state: What it last said of itself; None before.
        stride: Of its newest frame; 0 before.
    """

    def __init__(self, now_s: float) -> None:
        """It is heard of for the first time."""
        self.sessions, self.reconnects, self.promised = Sessions(), Reconnects(), Promised()
        self.ages, self.minute = Histogram(AGE_BOUNDS_S), LastMinute()
        self.state: CameraState | None = None
        self.stride = 0
        self.heard_s = now_s
        self._frame_s: float | None = None
        self._detected_s: float | None = None
        self._newest: FrameResult | None = None
        self._shown: set[str] = set()

    def add(self, frame: FrameResult, now_s: float) -> None:
        """A frame was published."""
        self.heard_s = self._frame_s = now_s
        self.sessions.hear(frame.session_id, frame.counts)
        self.ages.add(frame.age_ms / 1000)
        self.minute.add(frame.age_ms, now_s)
        self.stride = frame.stride
        if frame.detection_age_ms is not None:
            self._detected_s = now_s - frame.detection_age_ms / 1000
        self._newest = frame

    def hear(self, state: CameraState, now_s: float) -> None:
        """It says how it is."""
        self.heard_s, self.state = now_s, state
        self.reconnects.hear(state)

    def objects(self, now_s: float, classes: Names) -> dict[str, int] | None:
        """How many are in view, by class; None where nobody knows: no frame of late, or none that is detected.

        Classes that were told before stay with 0, so that their lines in a chart do not break.
        """
        frame, since_s = self._newest, self.since_frame_s(now_s)
        if frame is None or since_s is None or since_s > IN_VIEW_S or frame.origin == "skipped":
            return None
        found = Counter(classes.of(box.class_name) for box in frame.tracks)
        self._shown |= found.keys()
        return {name: found[name] for name in sorted(self._shown)}

    def since_frame_s(self, now_s: float) -> float | None:
        """How long ago its newest frame came; None before the first."""
        return None if self._frame_s is None else max(0.0, now_s - self._frame_s)

    def since_detection_s(self, now_s: float) -> float | None:
        """How long ago its newest detected frame was captured; None before the first."""
        return None if self._detected_s is None else max(0.0, now_s - self._detected_s)


class KnownFleet:
    """A fleet as its messages tell it. Not thread-safe.

    Attributes:
        name: The fleet's.
        cameras: Those of now, by name.
        stages: How long detected frames took by stage, s.
        minute: The ages of all frames in the last minute, ms.
        classes: Those that get a series of their own.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        """Nothing is known yet."""
        self.name = name
        self.cameras: dict[str, KnownCamera] = {}
        self.stages: dict[str, Histogram] = {}
        self.minute = LastMinute()
        self._clock = clock
        self._state: FleetState | None = None
        self._told_s = 0.0
        self.classes = Names()
        self._stage_names = Names(most=16)

    @property
    def now_s(self) -> float:
        """Monotonic time."""
        return self._clock.monotonic_ns() / NS_PER_S

    @property
    def wall_ns(self) -> int:
        """Wall time."""
        return self._clock.wall_ns()

    @property
    def told_s_ago(self) -> float | None:
        """How old the fleet's last word on itself is; None before the first."""
        return None if self._state is None else self.now_s - self._told_s

    @property
    def state(self) -> FleetState | None:
        """How the fleet is now; None where that is not known: it said nothing yet, or has fallen silent."""
        told_s_ago = self.told_s_ago
        return self._state if told_s_ago is not None and told_s_ago <= HEARTBEAT_S else None

    @property
    def last_state(self) -> FleetState | None:
        """The fleet's last word on itself, however old; None before the first."""
        return self._state

    def hear(self, message: Message) -> None:
        """Note what a message says."""
        if message.fleet != self.name:
            return
        now_s = self.now_s
        if isinstance(message, FrameResult):
            self._add(message, now_s)
        elif isinstance(message, CameraState):
            if message.state == "removed":
                self.cameras.pop(message.camera_id, None)
            else:
                self._of(message.camera_id, now_s).hear(message, now_s)
        elif isinstance(message, FleetState):
            self._state, self._told_s = message, now_s
            self._follow(message, now_s)

    def _add(self, frame: FrameResult, now_s: float) -> None:
        camera = self._of(frame.camera_id, now_s)
        camera.add(frame, now_s)
        self.minute.add(frame.age_ms, now_s)
        if self._state is not None:
            camera.promised.judge(frame, self._state.p95_ms)
        if frame.origin == "detected":
            for stage, spent_ms in frame.latency_ms.items():
                self._stage(stage).add(spent_ms / 1000)

    def _follow(self, state: FleetState, now_s: float) -> None:
        """Forget who has left; a publisher that has just begun does not know all cameras yet."""
        for name, camera in list(self.cameras.items()):
            if name not in state.cameras and now_s - camera.heard_s > GONE_S:
                del self.cameras[name]

    def _of(self, camera_id: str, now_s: float) -> KnownCamera:
        if (camera := self.cameras.get(camera_id)) is None:
            camera = self.cameras[camera_id] = KnownCamera(now_s)
        return camera

    def _stage(self, stage: str) -> Histogram:
        if (known := self.stages.get(stage)) is not None:
            return known
        return self.stages.setdefault(self._stage_names.of(stage), Histogram(STAGE_BOUNDS_S))


def sees(figures: CameraFigures) -> bool:
    """Whether a camera's frames come, with boxes that a detection stands behind."""
    return figures.state in SEEING and figures.kept_percent is not None and figures.detection_age_ms is not None
