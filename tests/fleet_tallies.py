"""Fleets as a subscriber may find them, without a fleet."""

from __future__ import annotations

import msgspec

from pipeline.observe.tally import FleetTally, Tally
from pipeline.wire import CameraState, Counts, FrameResult, State
from tests.test_wire import frame

NS = 1_000_000_000
AT_NS = 1_764_000_000 * NS


def result(
    camera_id: str, frame_id: int, *, detected: bool = True, ever: bool = True, age_ms: float = 50.0, lost: int = 0
) -> FrameResult:
    """A frame of a camera; `ever` says whether the session was detected before."""
    counts = Counts(decoded=frame_id + 1, detected=int(ever), filled={"stride": frame_id}, lost={})
    return msgspec.structs.replace(
        frame(camera_id, frame_id),
        origin="detected" if detected else "predicted" if ever else "skipped",
        filled_because=None if detected else "stride",
        age_ms=age_ms,
        lost={"link": lost} if lost else {},
        counts=counts,
    )


def state(camera_id: str, name: State, *, for_s: float = 120, detail: str = "", retry_s: float = 0) -> CameraState:
    """A camera's message: in this state for so long, tried again in so many seconds."""
    return CameraState(
        fleet="town",
        camera_id=camera_id,
        session_id="",
        state=name,
        detail=detail,
        since_ns=AT_NS - round(for_s * NS),
        retry_at_ns=AT_NS + round(retry_s * NS) if retry_s else 0,
        at_ns=AT_NS,
    )


def tally(cameras: dict[str, CameraState], seconds: float = 4.0, slo_ms: float = 150) -> Tally:
    """Cameras that live send 25 frames a second, every second detected; the others send nothing."""
    books = Tally(list(cameras), slo_ms)
    for how in cameras.values():
        books.hear(how, 0.0)
    for number in range(round(25 * seconds)):
        for camera_id, how in cameras.items():
            if how.state in ("live", "degraded"):
                books.add(result(camera_id, number, detected=number % 2 == 0), number / 25)
    return books


def town(cameras: int = 60) -> FleetTally:
    """Most live, and one of each kind of trouble among them."""
    found = {f"camera-{number:02d}": state(f"camera-{number:02d}", "live") for number in range(cameras)}
    trouble = (
        state("camera-07", "retrying", detail="it answered 401 Unauthorized; check user and password", retry_s=12),
        state("camera-11", "blind", for_s=40, detail="no detection for 40 s; the detector is too slow or stands still"),
        state("camera-13", "degraded", for_s=4000, detail="pictures come 800 ms late; lower its frame rate"),
    )
    found |= {how.camera_id: how for how in trouble}
    return tally(found).live(4.0)
