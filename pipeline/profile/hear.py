"""What a fleet says while it is measured: of each frame where its time went, and how long the message took to come.

Of a message only what is needed is decoded (a fifth of the time that all of it takes); the newest are kept as they
came, for the steps that are done again afterwards.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from pipeline.bench.fleet import FrameOutcome
from pipeline.client.connect import Connection
from pipeline.clock import NS_PER_MS
from pipeline.errors import WireError
from pipeline.foreign import UNREADABLE
from pipeline.wire import CameraState, FleetState, FrameResult, decode

KEPT = 1000
"""Messages that are kept whole: seconds of any fleet."""
LOOK_MS = 100
_FRAMES = f"{FrameResult.kind}/".encode()


class _Slim(msgspec.Struct):
    """The part of a `FrameResult` that is looked at; its boxes are not."""

    camera_id: str
    published_at_ns: int
    age_ms: float
    origin: str
    filled_because: str | None
    lost: dict[str, int]
    latency_ms: dict[str, float]


@dataclass(slots=True)
class Heard:
    """What was heard so far.

    Attributes:
        frames: Every frame, with the ms that its message took to come.
        kept: Topic and body of the newest frames.
        states: The newest of each camera.
        lanes: Detections that may run at once, as told last; 0 while it was not.
        lanes_busy: How many did, each time it was told.
    """

    frames: list[tuple[FrameOutcome, float]] = field(default_factory=list)
    kept: deque[tuple[bytes, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT))
    states: dict[str, CameraState] = field(default_factory=dict)
    lanes: int = 0
    lanes_busy: list[float] = field(default_factory=list)

    def messages(self) -> list[FrameResult]:
        """The newest frames, whole, in the order in which they came."""
        found = (decode(topic, body) for topic, body in self.kept)
        return [message for message in found if isinstance(message, FrameResult)]


class Ear:
    """Hears a fleet in a thread of its own until closed."""

    def __init__(self, endpoint: str) -> None:
        """Begin to listen at `endpoint`."""
        self._connection = Connection(endpoint, None, queue=0)
        self._decoder = msgspec.msgpack.Decoder(_Slim)
        self._heard = Heard()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ear", daemon=True)
        self._thread.start()

    def take(self) -> Heard:
        """What was heard since the last time; the states go on."""
        with self._lock:
            taken, self._heard = self._heard, Heard(states=dict(self._heard.states))
        return taken

    @property
    def cameras(self) -> set[str]:
        """Those that a frame came from since the last time."""
        with self._lock:
            return {frame.camera_id for frame, _ in self._heard.frames}

    @property
    def states(self) -> dict[str, CameraState]:
        """The newest state of each camera."""
        with self._lock:
            return dict(self._heard.states)

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        socket = self._connection.socket
        while not self._stop.is_set():
            if socket.poll(LOOK_MS):
                topic, body = socket.recv_multipart()
                self._hear(topic, body, time.time_ns())

    def _hear(self, topic: bytes, body: bytes, at_ns: int) -> None:
        with self._lock:
            if topic.startswith(_FRAMES):
                self._hear_frame(topic, body, at_ns)
                return
            try:
                message = decode(topic, body)
            except WireError:
                return  # of a kind that came after this version
            if isinstance(message, CameraState):
                self._heard.states[message.camera_id] = message
            elif isinstance(message, FleetState):
                self._hear_fleet(message)

    def _hear_frame(self, topic: bytes, body: bytes, at_ns: int) -> None:
        try:
            slim = self._decoder.decode(body)
        except UNREADABLE:
            return
        outcome = FrameOutcome(
            slim.camera_id, slim.age_ms, slim.origin == "detected", slim.filled_because, slim.lost, slim.latency_ms
        )
        self._heard.frames.append((outcome, (at_ns - slim.published_at_ns) / NS_PER_MS))
        self._heard.kept.append((topic, body))

    def _hear_fleet(self, message: FleetState) -> None:
        workers = [process for process in message.processes if process.lanes is not None]
        if workers and all(process.lanes_busy is not None for process in workers):
            self._heard.lanes = sum(process.lanes or 0 for process in workers)
            self._heard.lanes_busy.append(sum(process.lanes_busy or 0.0 for process in workers))
