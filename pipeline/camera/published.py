"""What the fleet has published of this camera of late: which boxes stand in the pictures that it shows."""

from __future__ import annotations

import threading
from collections import deque

import structlog
import zmq
from msgspec.structs import replace

from pipeline.client.history import RESULTS
from pipeline.client.reading import Reading, Wanted
from pipeline.clock import NS_PER_S
from pipeline.config.camera import Camera
from pipeline.errors import WireError
from pipeline.link import has_message
from pipeline.runscope import RunScope
from pipeline.wire import FrameResult, first_frame_of, topic

log = structlog.get_logger()

KEEP_S = 3.0
"""How long what was heard is kept, for pictures that wait for it, s."""
_BEFORE_S = 15.0
"""What is kept beyond the seconds of `evidence_url`: a clip begins with the key frame before."""
QUEUE = 1000
Frame = tuple[int, int]
"""The camera's number of its session, and of a frame in it."""


class Published:
    """A subscriber of the camera's own results. `hear` from one thread; what was heard may be asked from any.

    Attributes:
        unknown: Classes to be blurred that the detector does not know, so that no result says where they are: nothing
            is known of pictures then.
    """

    def __init__(self, scope: RunScope, camera: Camera) -> None:
        """Subscribe; whether somebody publishes yet does not matter."""
        kept_s = camera.evidence.keep_s + _BEFORE_S if camera.evidence_url is not None else KEEP_S
        self.unknown: tuple[str, ...] = ()
        self._keep_ns = round(kept_s * NS_PER_S)
        self._reading = Reading(Wanted(classes=camera.privacy.blur))
        self._order: deque[FrameResult] = deque()
        self._by_frame: dict[Frame, FrameResult] = {}
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, QUEUE)
        self._socket.set(zmq.LINGER, 0)
        self._socket.subscribe(topic(FrameResult.kind, camera.camera_id))
        self._socket.connect(f"ipc://{scope.directory / RESULTS}")

    def hear(self) -> None:
        """Take in what has come; never blocks."""
        while has_message(self._socket):
            try:
                message = self._reading.take(self._socket.recv_multipart(zmq.NOBLOCK))
            except WireError as error:
                log.error("a result cannot be read; what it tells of is blurred as a whole", why=str(error))
                continue
            if isinstance(message, FrameResult):
                self.note(message)

    def note(self, result: FrameResult) -> None:
        """Keep it, and let go of what is too old by now."""
        if self.unknown:
            result = replace(result, origin="skipped", tracks=())
        with self._lock:
            self._order.append(result)
            self._by_frame[_frame_of(result)] = result
            while result.captured_at_ns - self._order[0].captured_at_ns > self._keep_ns:
                self._by_frame.pop(_frame_of(self._order.popleft()), None)

    def of(self, frame: Frame) -> FrameResult | None:
        """What is known of this frame; None while it has not come."""
        return self._by_frame.get(frame)

    @property
    def newest(self) -> FrameResult | None:
        """What came last."""
        return self._order[-1] if self._order else None

    @property
    def all(self) -> list[FrameResult]:
        """All that is kept, as it came."""
        with self._lock:
            return list(self._order)

    @property
    def concern(self) -> str:
        """What a user should know; empty if nothing."""
        if not self.unknown:
            return ""
        named = ", ".join(f"“{name}”" for name in self.unknown)
        return f"privacy.blur: the model does not know {named}, so its pictures are blurred as a whole"

    def close(self) -> None:
        """Unsubscribe; may be called again."""
        self._socket.close(linger=0)


def _frame_of(result: FrameResult) -> Frame:
    return result.session, first_frame_of(result.session_id) + result.frame_id
