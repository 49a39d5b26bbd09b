"""What each camera costs alone: received, decoded, scaled, and thrown away.

The code is the camera process's own, in a thread a camera, and the time is that thread's CPU time: FFmpeg receives and
decodes in the thread that asks (one decoder thread, see `Decoder`), so a busy machine makes it slower, not dearer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable

import av
import numpy as np

from pipeline.bench.figures import CameraCost
from pipeline.camera.resize import Resizer
from pipeline.camera.source import Source, open_source
from pipeline.clock import SystemClock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.redact import redact

AT_ONCE = 4
"""More would load a recorder that serves them all, and learn nothing sooner that matters."""
GRACE_S = 5.0
"""How long a camera may overrun its time-outs: FFmpeg does not keep them in name look-up and in some hand-shakes."""
MOST_FRAMES = 300
"""Enough of a recording, which is read as fast as it goes."""
SCALE_EVERY = 5
"""Every so many frames one is scaled: enough for a mean."""


def measure_decode(
    cameras: Iterable[Camera],
    input_wh: WidthHeight,
    seconds: float,
    done: Callable[[CameraCost], None],
    at_once: int = AT_ONCE,
) -> list[CameraCost]:
    """The cost of each camera, a few at a time, in the order given; blocks.

    Args:
        cameras: A recording is read as fast as it goes, once at most.
        input_wh: The model's input, px.
        seconds: How long each is measured.
        done: Called with each as it is known; for progress.
        at_once: How many at a time.
    """
    waiting: queue.SimpleQueue[Camera] = queue.SimpleQueue()
    answers: queue.SimpleQueue[CameraCost] = queue.SimpleQueue()
    everything = list(cameras)
    for camera in everything:
        waiting.put(camera)

    def work() -> None:
        while True:
            try:
                camera = waiting.get_nowait()
            except queue.Empty:
                return
            answers.put(measure_camera(camera, input_wh, seconds))

    # Daemons, because a camera may hold FFmpeg for good, and that must not hold the command.
    for _ in range(min(at_once, len(everything))):
        threading.Thread(target=work, name="measure-decode", daemon=True).start()
    patience_s = GRACE_S + seconds + max(camera.open_timeout_s + camera.silence_s for camera in everything)
    costs: dict[str, CameraCost] = {}
    while len(costs) < len(everything):
        try:
            cost = answers.get(timeout=patience_s)
        except queue.Empty:
            break
        costs[cost.camera_id] = cost
        done(cost)
    silent = f"no answer in {patience_s:g} s"
    return [costs.get(camera.camera_id, CameraCost(camera_id=camera.camera_id, error=silent)) for camera in everything]


def measure_camera(camera: Camera, input_wh: WidthHeight, seconds: float) -> CameraCost:
    """What one camera costs the calling thread; blocks for its opening and `seconds`."""
    try:
        source = open_source(camera.model_copy(update={"pace": "fastest", "loop": False}), SystemClock())
        try:
            return _Measurement(camera.camera_id, input_wh).run(source, seconds)
        finally:
            source.close()
    except SourceError as error:
        return CameraCost(camera_id=camera.camera_id, error=redact(error))


class _Until:
    """A pulse that stops when the time is over. It counts from the first picture: key frames may be long in coming.

    A source asks it once it has received a packet: what the thread spent since it asked for one went into receiving.
    """

    def __init__(self) -> None:
        self.end_s: float | None = None
        self.received_s = 0.0
        self._asked_s = time.thread_time()

    def ask(self) -> None:
        """The next packet is asked for."""
        self._asked_s = time.thread_time()

    def go_on(self) -> bool:
        self.received_s += time.thread_time() - self._asked_s
        self.ask()
        return self.end_s is None or time.monotonic() < self.end_s

    def wait_until(self, due_ns: int) -> bool:
        return True  # recordings are read as fast as they go


class _Measurement:
    """The sums of one camera."""

    def __init__(self, camera_id: str, input_wh: WidthHeight) -> None:
        self._camera_id, self._input_wh = camera_id, input_wh
        self._resizer = Resizer()
        self._out = np.zeros((0, 0, 3), np.uint8)
        self._frames = self._scaled = 0
        self._scale_s = 0.0
        self._times_s: list[float] = []
        self._frame_wh: WidthHeight = (0, 0)

    def run(self, source: Source, seconds: float) -> CameraCost:
        until = _Until()
        began_s = 0.0
        for picture in source.pictures(until):
            if picture is None:
                until.ask()
                continue
            if until.end_s is None:
                # The first picture pays for the decoder's start.
                until.end_s, until.received_s = time.monotonic() + seconds, 0.0
                began_s = time.thread_time()
            elif picture.frame is not None:
                self._take(picture.frame, picture.pts_s)
            if self._frames >= MOST_FRAMES:
                break
            until.ask()
        decode_s = time.thread_time() - began_s - self._scale_s
        if self._frames < 2:
            return CameraCost(camera_id=self._camera_id, error=f"sent {self._frames} more frames after its first one")
        span_s = max(self._times_s) - min(self._times_s)
        fps = (self._frames - 1) / span_s if span_s > 0 else source.description.fps or 0.0
        decode_ms = 1000 * decode_s / self._frames
        return CameraCost(
            camera_id=self._camera_id,
            codec=source.description.codec,
            frame_wh=self._frame_wh,
            fps=round(fps, 2),
            frames=self._frames,
            decode_ms=round(decode_ms, 3),
            receive_ms=round(1000 * min(decode_s, until.received_s) / self._frames, 3),
            scale_ms=round(1000 * self._scale_s / max(1, self._scaled), 3),
            decode_cores=round(decode_ms * fps / 1000, 4),
        )

    def _take(self, frame: av.VideoFrame, pts_s: float) -> None:
        self._frame_wh = (frame.width, frame.height)
        self._times_s.append(pts_s)
        if self._frames % SCALE_EVERY == 0:
            width, height = Letterbox.fit(self._frame_wh, self._input_wh).content_wh
            if self._out.shape != (height, width, 3):
                # Kept, as a slot's memory is: writing to new pages would cost more than scaling.
                self._out = np.zeros((height, width, 3), np.uint8)
            began_s = time.thread_time()
            self._resizer.resize_into(frame, self._out)
            self._scale_s += time.thread_time() - began_s
            self._scaled += 1
        self._frames += 1
