"""How the fleet is, once a second: what the publisher sees of cameras, and what the supervisor knows of processes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from pipeline.publish import LanesInUse, Roster
from pipeline.wire import SEEING, CameraFigures, CameraState, Counts, FleetState, ProcessFigures, State

WINDOW_S = 5.0
"""How far back the figures look."""
EVERY_S = 1.0
USE_S = 3.0
"""A worker says once a second how much of its detector is used; older news is not of now."""
SHARE = 0.95
"""Of a camera's frames that have to be within the stated age."""
_RESTING: frozenset[State] = frozenset({"ended", "paused", "removed"})
_BROKEN: frozenset[State] = frozenset({"blind", "failed", "retrying"})


class _Frame(msgspec.Struct):
    """What is read of a frame's message; the rest is skipped."""

    camera_id: str
    age_ms: float
    origin: str
    filled_because: str | None
    stride: int
    lost: dict[str, int]
    counts: Counts
    tracks: list[msgspec.Raw]
    detection_age_ms: float | None = None


_frames = msgspec.msgpack.Decoder(_Frame)
_states = msgspec.msgpack.Decoder(CameraState)


@dataclass(slots=True)
class _Seen:
    """What is known of one camera."""

    state: CameraState | None = None
    ages: deque[tuple[float, float, bool, bool]] = field(default_factory=deque)
    objects: int = 0
    stride: int = 0
    detected_s: float | None = None

    def forget(self, before_s: float) -> None:
        """Leave out frames that were published before."""
        while self.ages and self.ages[0][0] < before_s:
            self.ages.popleft()


class Overview:
    """Pure; the time is told. Not thread-safe."""

    def __init__(self, fleet: str, p95_ms: float, now_s: float, wall_ns: int) -> None:
        """Begin to count."""
        self._fleet, self._roster = fleet, Roster(p95_ms=p95_ms)
        self._began_s, self._since_ns = now_s, wall_ns
        self._cameras: dict[str, _Seen] = {}
        self._used: dict[str, tuple[LanesInUse, float]] = {}
        self._decoded = self._detected = 0
        self._filled: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()

    def know(self, roster: Roster) -> None:
        """The supervisor says who belongs to the fleet."""
        self._roster = roster

    def use(self, lanes: LanesInUse, now_s: float) -> None:
        """A worker says how much of its detector is used."""
        self._used[lanes.process] = (lanes, now_s)

    def hear_frame(self, body: bytes, now_s: float) -> None:
        """A frame is published; the body is that of a `FrameResult`."""
        frame = _frames.decode(body)
        seen = self._cameras.setdefault(frame.camera_id, _Seen())
        stands = frame.origin != "skipped" and frame.counts.detected > 0
        detected = frame.origin == "detected"
        seen.ages.append((now_s, frame.age_ms, detected, stands and frame.age_ms <= self._roster.p95_ms))
        seen.forget(now_s - WINDOW_S)
        seen.objects, seen.stride = len(frame.tracks), frame.stride
        if frame.detection_age_ms is not None:
            seen.detected_s = now_s - frame.detection_age_ms / 1000
        self._decoded += 1 + sum(frame.lost.values())
        self._detected += detected
        self._lost.update(frame.lost)
        if frame.filled_because is not None:
            self._filled[frame.filled_because] += 1

    def hear_state(self, body: bytes) -> str | None:
        """A camera's state is published; the camera's name if it has left."""
        state = _states.decode(body)
        if state.state == "removed":
            self._cameras.pop(state.camera_id, None)
            return state.camera_id
        self._cameras.setdefault(state.camera_id, _Seen()).state = state
        return None

    def tell(self, now_s: float, wall_ns: int) -> FleetState:
        """How the fleet is now."""
        names = sorted({*self._roster.cameras, *self._cameras})
        cameras = {name: self._figures(name, now_s) for name in names}
        verdicts = {name: self._verdict(name, cameras[name]) for name in names}
        losses = {name: self._loss_verdict(name, figures) for name, figures in cameras.items()}
        return FleetState(
            fleet=self._fleet,
            at_ns=wall_ns,
            since_ns=self._since_ns,
            window_s=WINDOW_S,
            p95_ms=self._roster.p95_ms,
            kept=self._kept(verdicts),
            broken_by=_broken(verdicts),
            max_loss=self._roster.max_loss,
            loss_kept=self._kept(losses),
            loss_broken_by=_broken(losses),
            counts=Counts(
                decoded=self._decoded, detected=self._detected, filled=dict(self._filled), lost=dict(self._lost)
            ),
            cameras=cameras,
            processes=tuple(self._with_lanes(process, now_s) for process in self._roster.processes),
        )

    def _with_lanes(self, process: ProcessFigures, now_s: float) -> ProcessFigures:
        use, at_s = self._used.get(process.name, (None, 0.0))
        if use is None or now_s - at_s > USE_S:
            return process
        return msgspec.structs.replace(process, lanes=use.lanes, lanes_busy=round(use.busy, 3), looks=use.looks)

    def _figures(self, name: str, now_s: float) -> CameraFigures:
        seen = self._cameras.get(name) or _Seen()
        seen.forget(now_s - WINDOW_S)
        frames = len(seen.ages)
        span_s = max(min(WINDOW_S, now_s - self._began_s), EVERY_S)
        ages = sorted(age_ms for _, age_ms, _, _ in seen.ages)
        return CameraFigures(
            state=None if seen.state is None else seen.state.state,
            frame_hz=round(frames / span_s, 1),
            detect_hz=round(sum(detected for _, _, detected, _ in seen.ages) / span_s, 1),
            age_p50_ms=ages[frames // 2] if frames else None,
            age_p95_ms=ages[min(frames - 1, int(SHARE * frames))] if frames else None,
            detection_age_ms=None if seen.detected_s is None else round(1000 * (now_s - seen.detected_s), 1),
            kept_percent=round(100 * sum(kept for *_, kept in seen.ages) / frames, 1) if frames else None,
            objects=seen.objects,
            stride=seen.stride,
            loss=seen.state.loss if seen.state is not None and seen.state.state in SEEING else None,
        )

    def _kept(self, verdicts: Mapping[str, str | None]) -> bool | None:
        """Whether all cameras that should deliver keep a promise; None where it is not known of each of them."""
        if _broken(verdicts):
            return False
        known = sum(why is not None for why in verdicts.values())
        return True if known and known == self._waited_for(verdicts) else None

    def _waited_for(self, names: Iterable[str]) -> int:
        """How many cameras should deliver."""
        return sum(self._state(name) not in _RESTING for name in names)

    def _state(self, name: str) -> State | None:
        seen = self._cameras.get(name)
        return None if seen is None or seen.state is None else seen.state.state

    def _verdict(self, name: str, figures: CameraFigures) -> str | None:
        """Why a camera does not keep the promise; empty where it does, None where that is not known or not asked."""
        state = self._state(name)
        if state in _RESTING:
            return None
        if state in _BROKEN:
            told = self._cameras[name].state
            detail = told.detail if told is not None else ""
            return f"{state}: {detail}" if detail else str(state)
        if figures.kept_percent is None:
            return None if state in (None, "connecting") else f"no frame for {WINDOW_S:.0f} s"
        if figures.kept_percent < 100 * SHARE:
            return f"{figures.kept_percent:g} % of its frames are within {self._roster.p95_ms:g} ms and detected"
        return ""

    def _loss_verdict(self, name: str, figures: CameraFigures) -> str | None:
        """Why a camera loses more than was promised, as `_verdict`."""
        max_loss, state = self._roster.max_loss, self._state(name)
        if max_loss is None or state in _RESTING:
            return None
        if state in _BROKEN:
            return f"{state}: what it loses is not known"
        if figures.loss is None:
            return None
        if figures.loss > max_loss:
            seldom = f"{figures.detect_hz:g} detections a second (stride {figures.stride})"
            return f"loses {figures.loss:.1f} points at {seldom}"
        return ""


def _broken(verdicts: Mapping[str, str | None]) -> dict[str, str]:
    return {name: why for name, why in verdicts.items() if why}
