"""Every camera opened and watched for a few seconds, several at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator

from pipeline.camera.probe import ProbeResult, probe
from pipeline.config import Camera
from pipeline.doctor.finding import Finding, failure, ok, warning
from pipeline.errors import SourceError
from pipeline.redact import redact

PROBED_AT_ONCE = 8
"""Opening a camera is waiting, mostly; more at once would load a switch or a recorder that serves them all."""
GRACE_S = 5.0
"""How long a camera may overrun its own time limit: FFmpeg does not keep it in name look-up and in some hand-shakes."""
LONG_KEY_FRAME_S = 5.0
"""So long is waited for the first picture after each reconnection, and after each loss on the way: cameras that save
bandwidth send one in ten seconds and more, those made for watching one in one to four."""

Outcome = ProbeResult | SourceError


def probed(cameras: Iterable[Camera]) -> Iterator[tuple[str, Outcome]]:
    """Each camera's name with what it sends, or why that is not known; in the order they answer."""
    waiting: queue.SimpleQueue[Camera] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
    open_cameras = {camera.camera_id: camera for camera in cameras}
    for camera in open_cameras.values():
        waiting.put(camera)

    def work() -> None:
        while not waiting.empty():
            camera = waiting.get()
            try:
                answers.put((camera.camera_id, probe(camera, camera.open_timeout_s)))
            except SourceError as error:
                answers.put((camera.camera_id, error))

    # Daemons, because a camera may hold FFmpeg for good, and that must not hold the command.
    for _ in range(min(PROBED_AT_ONCE, len(open_cameras))):
        threading.Thread(target=work, daemon=True).start()
    # The time limit holds for opening a camera, and again for watching it.
    patience_s = GRACE_S + 2 * max(camera.open_timeout_s for camera in open_cameras.values())
    while open_cameras:
        try:
            name, answer = answers.get(timeout=patience_s)
        except queue.Empty:
            break
        del open_cameras[name]
        yield name, answer
    for name in open_cameras:
        yield name, SourceError(f"no answer in {patience_s:g} s")


def findings_of(camera: Camera, outcome: Outcome) -> Iterator[Finding]:
    """What a camera sends, how often a key frame comes, and whether its clock is right."""
    about = f"camera {camera.camera_id}"
    if isinstance(outcome, Exception):
        yield failure(about, redact(outcome))
        return
    width, height = outcome.frame_wh
    rate = "" if outcome.fps is None else f" at {outcome.fps:.3g} fps"
    yield ok(about, f"{outcome.codec}, {width}×{height}{rate}, decoded by {outcome.decoder}")
    if camera.url.kind == "network":
        yield _key_frames(about, outcome.keyframe_interval_s)
        yield _clock(about, outcome)
    elif outcome.concern:
        yield warning(about, outcome.concern)


def _key_frames(about: str, interval_s: float | None) -> Finding:
    if interval_s is None:
        return warning(
            f"{about}, key frames",
            "fewer than two came while it was watched",
            "have the camera send one every 1 to 4 s (GOP, I-frame interval): a picture begins with one",
        )
    found = f"one every {interval_s:.1f} s"
    if interval_s > LONG_KEY_FRAME_S:
        return warning(
            f"{about}, key frames",
            f"{found}, and so long it is dark after each loss of the connection",
            "set the camera's GOP or I-frame interval to 1 to 4 s",
        )
    return ok(f"{about}, key frames", found)


def _clock(about: str, outcome: ProbeResult) -> Finding:
    about = f"{about}, clock"
    if outcome.delay_s is not None:
        return ok(about, f"agrees with this machine's: its quickest picture was {1000 * outcome.delay_s:.0f} ms old")
    if outcome.concern:
        return warning(about, outcome.concern, "set the camera's time by NTP, from the server that this machine asks")
    return ok(about, "it tells no time (RTCP sender reports), so a picture's age is counted from its arrival")
