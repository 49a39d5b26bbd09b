"""The messages between camera processes, the supervisor and a worker; pixels go through the slot.

Each camera process has one DEALER socket, named by its camera, connected to the worker's ROUTER over a UNIX socket:

    camera → worker     Hello           first, and whenever its plan changes or the worker asks: how to serve it
                        Tick            every decoded frame, after its pixels (if any) are in the slot
                        CameraState     on every change, and once a second
                        Bye             last: it will not come back
                        Ping            asks whether all before it was read
    worker → camera     Introduce       who are you? A worker that was started again knows nobody
                        Admission       which frames are wanted, and how large
                        Pong            it was

The supervisor is connected the same way, and speaks for cameras that have no process and about the fleet as a whole:

    supervisor → worker Announce        the state of a camera that cannot tell it itself
                        Settings        what the fleet promises from now on
                        LoadModel       another model, to be loaded and warmed beside the one at work
                        UseModel        let it take over, now that all workers have it
                        DropModel       let go of it, since one cannot have it
    worker → supervisor ModelLoaded     it is there, or has taken over, or why it cannot

Neither side waits for the other. A camera whose worker is gone drops its ticks (the gap in `frame_id` says how many)
and goes on decoding; a worker that comes back finds the cameras where they are. ZeroMQ's DEALER keeps at most
`TICK_QUEUE` ticks meanwhile.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec
import structlog
import zmq

from pipeline.clock import NS_PER_MS
from pipeline.errors import WireError
from pipeline.foreign import UNREADABLE
from pipeline.plan import CameraPlan
from pipeline.wire import CameraState, CaptureClock

log = structlog.get_logger()

TICK_QUEUE = 256
"""Ticks kept for a worker that does not read: five seconds at 50 fps. Older than that, nobody wants them."""

MOST_TOLD = 1000
"""Senders of rubbish that are named in the log; as many as a fleet may have cameras."""

Admitted = Literal["slot", "stride", "corrupt", "behind", "unwanted"]
"""`slot`: its pixels are in the slot. `stride`: not this frame's turn. `corrupt`: damaged, not shown to the detector.
`behind`: not even decoded, since decoding has fallen behind. `unwanted`: the worker has not yet said which it wants."""


class Tick(msgspec.Struct, frozen=True, array_like=True, tag="tick"):
    """One decoded frame.

    Attributes:
        session: Unix seconds << 16 | random; a reconnect, new geometry or a jump of the clock opens a new one.
        frame_id: Counts the session's decoded frames, from 0.
        pts_s: The stream's own time, seconds.
        captured_ns: Monotonic time of the capture.
        captured_at_ns: Wall time of the capture, ns since 1970-01-01 UTC.
        capture_clock: Where the two come from.
        received_ns: Monotonic time the frame's packet was received, before decoding.
        decoded_ns: Monotonic time its picture was ready (and in the slot, if admitted).
        frame_wh: Source picture, px.
        admitted: Whether its pixels are in the slot, and if not, why.
        starved_ns: How long the camera's process was ready to run, but had no processor, since the tick before.
    """

    session: int
    frame_id: int
    pts_s: float
    captured_ns: int
    captured_at_ns: int
    capture_clock: CaptureClock
    received_ns: int
    decoded_ns: int
    frame_wh: tuple[int, int]
    admitted: Admitted
    starved_ns: int = 0


class Admission(msgspec.Struct, frozen=True, array_like=True, tag="admission"):
    """Which frames of a camera the worker wants: those with `(frame_id + phase) % stride == 0`.

    Attributes:
        stride: 1 wants every frame.
        phase: Staggers cameras, so that they do not all ask for the detector at once.
        input_wh: The model's input, px; admitted pictures are scaled to fit inside, not padded.
        taken: Session and frame_id of the last picture that was taken from the slot. A recording that is played as
            fast as it goes waits for it, so that the detector sets the pace and no frame is replaced.
        unknown: Classes that the camera is to blur and the detector does not know.
    """

    stride: int
    phase: int
    input_wh: tuple[int, int]
    taken: tuple[int, int] = (0, -1)
    unknown: tuple[str, ...] = ()

    def wants(self, frame_id: int) -> bool:
        """Whether it is this frame's turn."""
        return (frame_id + self.phase) % self.stride == 0


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """A camera introduces itself, or says how it is to be served from now on."""

    plan: CameraPlan


class Bye(msgspec.Struct, frozen=True, array_like=True, tag="bye"):
    """A camera leaves, and will not come back."""


class Introduce(msgspec.Struct, frozen=True, array_like=True, tag="introduce"):
    """Asks a camera that the worker does not know for its `Hello`."""


class Announce(msgspec.Struct, frozen=True, array_like=True, tag="announce"):
    """The state of a camera whose process does not run; `gone` if it is not to be served any more."""

    state: CameraState
    gone: bool = False


class Settings(msgspec.Struct, frozen=True, array_like=True, tag="settings"):
    """What holds for all cameras of a worker.

    Attributes:
        deadline_s: The age a published detection may have at most, s: the fleet's goal.
        max_wait_s: How long a frame waits for others to fill a batch, s.
        queue: Messages kept for each subscriber that does not read fast enough.
        max_loss: Points of HOTA that a camera may lose by not detecting every frame; None where nothing is promised.
        saves: Whether no more is detected than the promises need.
    """

    deadline_s: float
    max_wait_s: float = 0.0
    queue: int = 1000
    max_loss: float | None = None
    saves: bool = False


class LoadModel(msgspec.Struct, frozen=True, array_like=True, tag="load"):
    """Load this model beside the one at work; `model` is the fleet file's `model` section as JSON.

    Attributes:
        number: Of the change; of two, the one that was sent later counts.
        model: See above.
        holds: Whether it waits for `UseModel`, instead of taking over when it is warm.
    """

    number: int
    model: str
    holds: bool = True


class UseModel(msgspec.Struct, frozen=True, array_like=True, tag="use"):
    """Let the model of this change take over."""

    number: int


class DropModel(msgspec.Struct, frozen=True, array_like=True, tag="drop"):
    """Let go of the model of this change, which has not taken over."""

    number: int


class ModelLoaded(msgspec.Struct, frozen=True, array_like=True, tag="loaded"):
    """How far the change of this number is: `error` says why it failed; `serves`, whether the model has taken over."""

    number: int
    error: str = ""
    serves: bool = False


class State(msgspec.Struct, frozen=True, array_like=True, tag="state"):
    """A camera's state on its way to the subscribers."""

    state: CameraState


class Ping(msgspec.Struct, frozen=True, array_like=True, tag="ping"):
    """Asks whether all that was said before has been read; the link itself answers."""

    number: int


class Pong(msgspec.Struct, frozen=True, array_like=True, tag="pong"):
    """The answer to the `Ping` of this number."""

    number: int


FromCamera = Hello | Tick | State | Bye
FromSupervisor = Announce | Settings | LoadModel | UseModel | DropModel
FromWorker = Admission | Introduce | ModelLoaded
_READABLE, _AT_ONCE = int(zmq.POLLIN), int(zmq.NOBLOCK)
"""As numbers: flags of Python's enumerations are slow."""
_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(FromCamera | FromSupervisor | Ping)
_from_worker = msgspec.msgpack.Decoder(FromWorker | Pong)


def to_worker(*parts: bytes) -> tuple[str, FromCamera | FromSupervisor | Ping]:
    """The sender's name and its message, of the parts that a worker's socket gives.

    Raises:
        WireError: They are none: whoever decodes a stranger's pictures may come to say anything.
    """
    if len(parts) != 2:
        raise WireError(f"a message of {len(parts)} parts is none of camfleet's; expected name and body")
    name, body = parts
    try:
        return name.decode(), _to_worker.decode(body)
    except UNREADABLE as error:
        raise WireError(f"{name[:80]!r} says what is no message of a camera or the supervisor: {error}") from error


def from_worker(body: bytes) -> FromWorker | Pong:
    """A worker's message.

    Raises:
        WireError: It is none.
    """
    try:
        message: FromWorker | Pong = _from_worker.decode(body)
    except UNREADABLE as error:
        raise WireError(f"the worker says what is no message of one: {error}") from error
    return message


def has_message(socket: zmq.Socket[bytes]) -> bool:
    """Whether there is something to receive; does not block.

    To be asked where most often there is nothing: 0.7 µs; 1.5 by a poller that is made for one question, and 2.5 where
    an exception is the answer.
    """
    return bool(zmq.zmq_poll([(socket, _READABLE)], 0))


class Link:
    """An end that connects to a worker: a camera's, or the supervisor's. Not thread-safe."""

    def __init__(self, endpoint: str, name: str) -> None:
        self._pings = 0
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.set(zmq.IDENTITY, name.encode())
        self._socket.set(zmq.SNDHWM, TICK_QUEUE)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.RECONNECT_IVL, 50)
        self._socket.connect(endpoint)

    def send(self, message: FromCamera | FromSupervisor, timeout_ms: int = 0) -> bool:
        """True if the message was handed over; False if the worker did not make room within `timeout_ms`."""
        if timeout_ms and not self._socket.poll(timeout_ms, zmq.POLLOUT):
            return False
        try:
            self._socket.send(_encoder.encode(message), _AT_ONCE)
        except zmq.Again:
            return False
        return True

    def receive(self, timeout_ms: int = 0) -> list[FromWorker]:
        """What the worker has said since the last call, oldest first; waits up to `timeout_ms` for the first."""
        messages: list[FromWorker] = []
        if timeout_ms and not has_message(self._socket):
            self._socket.poll(timeout_ms, zmq.POLLIN)
        while has_message(self._socket):
            message = from_worker(self._socket.recv(zmq.NOBLOCK))
            if not isinstance(message, Pong):
                messages.append(message)
        return messages

    def flush(self, timeout_ms: int) -> bool:
        """Wait until the worker has read all that was sent; False if it has not within `timeout_ms`.

        Only this makes sure of last words: ZeroMQ counts as sent what the worker's end throws away unread when the
        connection closes on a full queue (seen: 511 of 1536 ticks).
        """
        ends_ns = time.monotonic_ns() + timeout_ms * NS_PER_MS
        number = self._pings = self._pings + 1
        if not self._socket.poll(timeout_ms, zmq.POLLOUT):
            return False
        self._socket.send(_encoder.encode(Ping(number)))
        while (left_ms := (ends_ns - time.monotonic_ns()) // NS_PER_MS) > 0:
            if self._socket.poll(left_ms) and from_worker(self._socket.recv(zmq.NOBLOCK)) == Pong(number):
                return True
        return False

    def close(self) -> None:
        """Leave; unsent messages are dropped."""
        self._socket.close(linger=0)


class WorkerLink:
    """The worker's end. Not thread-safe; `socket` is for a poller that also waits for other things."""

    def __init__(self, endpoint: str) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.set(zmq.ROUTER_HANDOVER, 1)
        self.socket.set(zmq.RCVHWM, 4 * TICK_QUEUE)
        self.socket.set(zmq.SNDHWM, TICK_QUEUE)
        self.socket.set(zmq.LINGER, 0)
        self.socket.bind(endpoint)
        self._told: set[bytes] = set()

    def receive(self) -> tuple[str, FromCamera | FromSupervisor] | None:
        """The next message and the name of its sender, or None when there is none at the moment.

        What is no message is passed over, and its sender named once.
        """
        while (parts := self._receive()) is not None:
            try:
                name, message = to_worker(*parts)
            except WireError as error:
                self._tell_once(parts[0], error)
                continue
            if not isinstance(message, Ping):
                return name, message
            self.send(name, Pong(message.number))
        return None

    def send(self, name: str, message: FromWorker | Pong) -> None:
        """Tell a camera or the supervisor; without effect on one that is not connected."""
        self.socket.send_multipart([name.encode(), _encoder.encode(message)], zmq.NOBLOCK)

    def close(self) -> None:
        """Leave; unsent messages are dropped."""
        self.socket.close(linger=0)

    def _receive(self) -> list[bytes] | None:
        """The parts of a message, as `recv_multipart` has them, which asks for more after each: that costs as much."""
        try:
            parts = [self.socket.recv(zmq.NOBLOCK), self.socket.recv(zmq.NOBLOCK)]
        except zmq.Again:
            return None
        if self.socket.getsockopt(zmq.RCVMORE):
            parts += self.socket.recv_multipart(zmq.NOBLOCK)
        return parts

    def _tell_once(self, sender: bytes, error: WireError) -> None:
        if sender not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(sender)
            log.error("a process sends what cannot be read; it is passed over", reason=str(error))
