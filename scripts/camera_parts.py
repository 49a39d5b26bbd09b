"""Where one camera's thread spends its time: its own code with a stopwatch around each part.

The camera's loop runs in a process of its own as in a fleet, without its sandbox, and talks to this process in the
worker's place. What a part calls that is a part itself counts there. A stopwatch costs 1 µs of a frame for each time a
part is entered, so the sum is dearer than what `/proc` tells of a camera in a fleet.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ctypes import c_int64
from multiprocessing.connection import Connection
from typing import Any

from pipeline.camera import live
from pipeline.camera.access_unit import Assembler
from pipeline.camera.frames import Frames
from pipeline.camera.hardware import Processor
from pipeline.camera.process import CameraSpec, serve
from pipeline.camera.report import Reporter
from pipeline.camera.resize import Resizer
from pipeline.camera.view import Viewers
from pipeline.config.camera import Camera
from pipeline.link import Admission, Hello, Link, Tick, WorkerLink
from pipeline.runscope import RunLease
from pipeline.slot import SlotReader

REST, OTHER_THREADS = "the rest of its loop", "its other threads"
PARTS = ("receive", "assemble", "decode", "resize", "slot", "link", "viewers", "reporter", REST, OTHER_THREADS)
SETTLE_FRAMES = 75
PATIENCE_S = 20.0


class Stopwatch:
    """CPU time of the thread that made it, s, by the innermost part it was in."""

    def __init__(self) -> None:
        self.spent_s: Counter[str] = Counter()
        self._parts = [REST]
        self._since_s = time.thread_time()

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Let what `owner` has by this name count for `part`, what it yields included."""
        function = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            result = self.within(part, function, *args, **kwargs)
            return self._steps(part, result) if isinstance(result, Iterator) else result

        setattr(owner, name, timed)

    def within(self, part: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call it; its time counts for `part`."""
        self.switch()
        self._parts.append(part)
        try:
            return function(*args, **kwargs)
        finally:
            self.switch()
            self._parts.pop()

    def switch(self) -> None:
        """What was spent since the last call counts for the part that it was spent in."""
        now_s = time.thread_time()
        self.spent_s[self._parts[-1]] += now_s - self._since_s
        self._since_s = now_s

    def _steps(self, part: str, iterator: Iterator[Any]) -> Iterator[Any]:
        end = object()
        while (item := self.within(part, next, iterator, end)) is not end:
            yield item


def measure_parts(camera: Camera, input_wh: tuple[int, int], stride: int, frames: int) -> dict[str, float]:
    """CPU time of each part, ms a frame; blocks for `frames` frames after the first ones."""
    with RunLease() as lease:
        endpoint = f"ipc://{lease.scope.directory}/worker"
        link, reader = WorkerLink(endpoint), SlotReader(lease.scope, camera.camera_id)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        spec = CameraSpec(camera, "bench", lease.scope, endpoint)
        process = context.Process(target=_run, args=(spec, frames, theirs), daemon=True)
        process.start()
        try:
            _be_worker(link, reader, ours, Admission(stride, 0, input_wh), PATIENCE_S + frames / 5)
            spent_s: dict[str, float] = ours.recv()
        finally:
            process.join(PATIENCE_S)
            reader.close()
            link.close()
    return {part: 1000 * spent_s.get(part, 0.0) / frames for part in PARTS}


def _be_worker(link: WorkerLink, reader: SlotReader, done: Connection, wish: Admission, patience_s: float) -> None:
    """Say what is wanted and take it, until the camera is done."""
    ends_s = time.monotonic() + patience_s
    while not done.poll():
        if time.monotonic() > ends_s:
            raise TimeoutError("the camera has shown too few frames; is its address right?")
        link.socket.poll(100)
        while (heard := link.receive()) is not None:
            name, message = heard
            if isinstance(message, Hello):
                link.send(name, wish)
            elif isinstance(message, Tick) and message.admitted == "slot" and (frame := reader.take()) is not None:
                frame.release()


def _run(spec: CameraSpec, frames: int, parent: Connection) -> None:
    watch, stop = Stopwatch(), threading.Event()
    watch.wrap(live, "packets", "receive")
    watch.wrap(Assembler, "assemble", "assemble")
    watch.wrap(Processor, "decode", "decode")
    watch.wrap(Frames, "_fill_slot", "slot")
    watch.wrap(Resizer, "resize_into", "resize")
    watch.wrap(Link, "send", "link")
    watch.wrap(Link, "receive", "link")
    watch.wrap(Viewers, "see", "viewers")
    watch.wrap(Reporter, "go_on", "reporter")
    watch.wrap(Reporter, "change", "reporter")
    put, ticks, began_s = Frames.put, 0, 0.0

    def counted(self: Frames, picture: Any) -> Any:
        nonlocal ticks, began_s
        if picture.frame is not None:
            ticks += 1
        if ticks == SETTLE_FRAMES and not began_s:
            watch.switch()
            watch.spent_s.clear()
            began_s = time.process_time()
        if ticks == SETTLE_FRAMES + frames and not stop.is_set():
            watch.switch()
            everything_s = time.process_time() - began_s
            stop.set()
            parent.send(dict(watch.spent_s) | {OTHER_THREADS: everything_s - sum(watch.spent_s.values())})
        return put(self, picture)

    Frames.put = counted  # type: ignore[method-assign]
    serve(spec, c_int64(), stop)
