"""What a subscriber can say about a fleet: how its cameras are, rates, ages, objects and losses, by camera."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from pipeline.observe.ages import Ages, merged
from pipeline.observe.books import WINDOW_S, CameraBooks
from pipeline.wire import CameraState, FrameResult, State

NO_SLO_MS = math.inf


class CameraTally(msgspec.Struct, frozen=True, kw_only=True):
    """One camera's figures. None stands for what is not known, never for nothing.

    Attributes:
        camera_id: The camera.
        state: Its last known state; `connecting` as long as nothing was heard.
        detail: Why, and what to do; empty while all is well.
        since_ns: Wall time when it came into this state, ns since 1970-01-01 UTC; 0 where it is not known.
        state_for_s: For how long it has been in this state.
        retry_at_ns: Wall time of the next try; 0 where there is none.
        retry_in_s: Until the next try.
        silent_s: For how long nothing was heard of it.
        reconnects: How often the connection was made again.
        decoded_hz: Frames decoded a second.
        detected_hz: Frames the detector ran on, a second.
        published_hz: Messages a second.
        age_p50_ms: Median age at publication.
        age_p95_ms: 95th percentile.
        age_p99_ms: 99th percentile.
        detected_age_p95_ms: 95th percentile over detected frames alone.
        detection_age_ms: From the capture of the newest detected frame to now.
        detection_age_p95_ms: 95th percentile of the same over published frames; before the first detection, the time
            that it has been waited for counts.
        attainment_percent: Share of published frames within the stated age that a detection stands behind.
        longest_undetected_s: The longest time without a detection: from the first frame on, and up to now.
        objects: Tracked objects in the newest frame.
        decoded: Frames decoded, over all sessions.
        detected: Frames the detector ran on.
        filled: Frames it did not run on, by reason.
        lost: Frames never published, by cause.
        sessions: How many sessions there were.
        stride: The newest.
        loss: Points of HOTA that it loses by not being detected on every frame, as the fleet estimates it: the newest,
            or the mean over a whole run.
    """

    camera_id: str
    state: State
    detail: str
    since_ns: int
    state_for_s: float | None
    retry_at_ns: int
    retry_in_s: float | None
    silent_s: float | None
    reconnects: int
    decoded_hz: float
    detected_hz: float
    published_hz: float
    age_p50_ms: float | None
    age_p95_ms: float | None
    age_p99_ms: float | None
    detected_age_p95_ms: float | None
    detection_age_ms: float | None
    detection_age_p95_ms: float | None
    attainment_percent: float | None
    longest_undetected_s: float
    objects: int
    decoded: int
    detected: int
    filled: dict[str, int]
    lost: dict[str, int]
    sessions: int
    stride: int
    loss: float | None = None


class FleetTally(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet's figures: those of all cameras together, and of each. None stands for what is not known.

    Attributes:
        span_s: The time the rates are taken over.
        published_hz: Messages a second.
        detected_hz: Frames the detector ran on, a second.
        age_p50_ms: Median age of all published frames.
        age_p95_ms: 95th percentile.
        age_p99_ms: 99th percentile.
        detected_age_p95_ms: 95th percentile over detected frames alone.
        detection_age_p95_ms: 95th percentile of the last detection's age, over published frames.
        attainment_percent: Share of published frames within the stated age that a detection stands behind.
        stages_ms: p50, p95 and p99 of each stage that a detected frame goes through.
        jain_index: Fairness of detections a second among cameras that deliver, 1/n..1 (Jain, Chiu, Hawe 1984).
        cameras: By camera, in the order of the fleet file; then those that joined.
    """

    span_s: float
    published_hz: float
    detected_hz: float
    age_p50_ms: float | None
    age_p95_ms: float | None
    age_p99_ms: float | None
    detected_age_p95_ms: float | None
    detection_age_p95_ms: float | None
    attainment_percent: float | None
    stages_ms: dict[str, dict[str, float]]
    jain_index: float | None
    cameras: list[CameraTally]


class Tally:
    """The books of a fleet, fed with its messages; the time is told. Memory does not grow with the frames."""

    def __init__(self, cameras: Sequence[str], slo_ms: float = NO_SLO_MS) -> None:
        """Open the books of these cameras, in this order; others are added when they are heard of.

        Args:
            cameras: By name.
            slo_ms: The age that was promised; attainment is judged by it.
        """
        self._slo_ms = slo_ms
        self._cameras = {camera_id: CameraBooks(camera_id, slo_ms) for camera_id in cameras}
        self._first_s: float | None = None
        self._last_frame_s = 0.0
        self._last_s = 0.0

    def add(self, result: FrameResult, now_s: float) -> None:
        """Book a frame."""
        self._first_s = now_s if self._first_s is None else self._first_s
        self._last_frame_s = self._last_s = now_s
        self._of(result.camera_id).add(result, now_s)

    def hear(self, state: CameraState, now_s: float) -> None:
        """Book a camera's state."""
        self._last_s = now_s
        self._of(state.camera_id).hear(state, now_s)

    def live(self, now_s: float) -> FleetTally:
        """The figures of the last `WINDOW_S`, or since the first frame if that is less; without removed cameras."""
        since_first_s = now_s - self._first_s if self._first_s is not None else 0.0
        span_s = max(min(WINDOW_S, since_first_s), 1e-3)
        members = {name: books for name, books in self._cameras.items() if _state(books) != "removed"}
        ages = {name: books.recent(now_s - span_s) for name, books in members.items()}
        return self._fleet(ages, {name: books.losses.newest for name, books in members.items()}, span_s, now_s)

    def whole(self) -> FleetTally:
        """The figures from the first frame to the last; a removed camera is still told of."""
        span_s = max(self._last_frame_s - self._first_s, 1e-3) if self._first_s is not None else math.inf
        ages = {name: books.whole for name, books in self._cameras.items()}
        losses = {name: books.losses.mean for name, books in self._cameras.items()}
        return self._fleet(ages, losses, span_s, self._last_s)

    def _of(self, camera_id: str) -> CameraBooks:
        return self._cameras.setdefault(camera_id, CameraBooks(camera_id, self._slo_ms))

    def _fleet(
        self, ages: Mapping[str, Ages], losses: Mapping[str, float | None], span_s: float, now_s: float
    ) -> FleetTally:
        every = merged(list(ages.values()))
        cameras = [
            msgspec.structs.replace(
                _camera(self._cameras[name], of_camera, span_s, now_s), loss=_rounded(losses[name], 2)
            )
            for name, of_camera in ages.items()
        ]
        return FleetTally(
            span_s=round(span_s, 2) if math.isfinite(span_s) else 0.0,
            published_hz=round(every.frames / span_s, 1),
            detected_hz=round(every.detected / span_s, 1),
            age_p50_ms=every.quantile_ms(0.5),
            age_p95_ms=every.quantile_ms(0.95),
            age_p99_ms=every.quantile_ms(0.99),
            detected_age_p95_ms=every.detected_quantile_ms(0.95),
            detection_age_p95_ms=every.detection_age_quantile_ms(0.95),
            attainment_percent=every.attainment_percent,
            stages_ms=every.stages_ms(),
            jain_index=jain_index([camera.detected_hz for camera in cameras if camera.decoded_hz > 0]),
            cameras=cameras,
        )


def jain_index(shares: Sequence[float]) -> float | None:
    """(Σx)² / (n·Σx²): 1 where all have the same, 1/n where one has everything; None where nobody has anything."""
    squares = sum(share * share for share in shares)
    return None if squares == 0 else round(sum(shares) ** 2 / (len(shares) * squares), 3)


def _camera(camera: CameraBooks, ages: Ages, span_s: float, now_s: float) -> CameraTally:
    books, state = camera.books(), camera.state
    return CameraTally(
        camera_id=camera.camera_id,
        state=_state(camera),
        detail=state.detail if state else "",
        since_ns=state.since_ns if state else 0,
        state_for_s=_rounded(camera.state_for_s(now_s)),
        retry_at_ns=state.retry_at_ns if state else 0,
        retry_in_s=_rounded(camera.retry_in_s(now_s)),
        silent_s=_rounded(camera.silent_s(now_s)),
        reconnects=state.reconnects if state else 0,
        decoded_hz=round((ages.frames + ages.lost) / span_s, 1),
        detected_hz=round(ages.detected / span_s, 1),
        published_hz=round(ages.frames / span_s, 1),
        age_p50_ms=ages.quantile_ms(0.5),
        age_p95_ms=ages.quantile_ms(0.95),
        age_p99_ms=ages.quantile_ms(0.99),
        detected_age_p95_ms=ages.detected_quantile_ms(0.95),
        detection_age_ms=_rounded(camera.detections.age_ms(now_s)),
        detection_age_p95_ms=ages.detection_age_quantile_ms(0.95),
        attainment_percent=ages.attainment_percent,
        longest_undetected_s=round(camera.detections.longest_s(now_s), 3),
        objects=camera.objects,
        decoded=books.decoded,
        detected=books.detected,
        filled=dict(books.filled),
        lost=dict(books.lost),
        sessions=books.sessions,
        stride=camera.stride,
    )


def _state(camera: CameraBooks) -> State:
    return camera.state.state if camera.state else "connecting"


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
