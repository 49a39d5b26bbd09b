"""The subscriber of threads and scripts."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar, Unpack, cast, overload

import zmq

from pipeline.client.base import BaseSubscriber, Settings
from pipeline.client.silence import HINT_S
from pipeline.errors import SubscriberClosed, SubscriberTimeout
from pipeline.wire import CameraState, Event, Evidence, FrameResult, Message

R = TypeVar("R", bound=Message)


class Subscriber(BaseSubscriber, Generic[R]):
    """The frames of a fleet, one `FrameResult` each, in each camera's own order.

    Connecting never fails because nobody is there yet: ZeroMQ connects when the fleet starts, and again when it comes
    back. Whoever subscribes gets the newest frame and state of each camera at once; beyond that, what is published
    while nobody is subscribed is not kept. Use it from one thread; `close` may come from any.
    """

    @overload
    def __init__(
        self: Subscriber[FrameResult],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        states: Literal[False] = ...,
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: Subscriber[FrameResult | CameraState],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        states: Literal[True],
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: Subscriber[Message],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        states: Literal["all"],
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: Subscriber[Event],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        events: Literal[True],
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: Subscriber[Event | Evidence],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        events: Literal["all"],
        **settings: Unpack[Settings],
    ) -> None: ...

    def __init__(
        self,
        endpoint: str | Iterable[str] = "tcp://127.0.0.1:5555",
        cameras: str | Iterable[str] | None = None,
        *,
        states: bool | Literal["all"] = False,
        events: bool | Literal["all"] = False,
        **settings: Unpack[Settings],
    ) -> None:
        """Subscribe to `cameras`, or to all.

        Args:
            endpoint: Where the fleet publishes, as in its `publish.bind`; several for several fleets.
            cameras: Names of cameras, or one; None takes all, also those that are added later.
            states: Whether `receive` and the iterator give the cameras' states, too; with "all" also how the fleet is,
                events, and what is kept of them.
            events: Whether they give events alone, with "all" also what is kept of them; frames then do not travel at
                all.
            **settings: See `Settings`.

        Raises:
            PublishError: An endpoint is not one that ZeroMQ knows, or the key cannot be read.
        """
        super().__init__(endpoint, cameras, states, settings, events=events)
        self._waker, self._woken = socket.socketpair()
        self._poller = zmq.Poller()
        self._poller.register(self._connection.socket, zmq.POLLIN)
        self._poller.register(self._woken, zmq.POLLIN)
        self._closing = False
        self._hint_s: float | None = time.monotonic() + HINT_S
        # Held while messages are waited for, so that another thread closes the socket only when nobody uses it; a
        # signal handler of the same thread may close it in the midst of waiting.
        self._in_use = threading.RLock()

    def receive(self, timeout_s: float | None = None) -> R:
        """The next message asked for; blocks up to `timeout_s`, or as long as the constructor was told.

        Raises:
            SubscriberTimeout: Nothing came in time; the message says what is known of the cameras.
            SubscriberClosed: `close` was called.
            WireError: What came is no message of a version this client knows.
        """
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = None if wait_s is None else time.monotonic() + wait_s
        with self._in_use:
            while True:
                if (parts := self._next(deadline_s)) is None:
                    raise SubscriberTimeout(f"no frame within {wait_s:g} s; {self.why_silent()}")
                if (message := self._take(parts)) is not None:
                    return cast(R, message)

    def __iter__(self) -> Iterator[R]:
        """Messages until `close` is called, also from another thread; raises as `receive` does."""
        while True:
            try:
                message = self.receive()
            except SubscriberClosed:
                return
            yield message

    def close(self) -> None:
        """Unsubscribe, and end whoever waits for a message. From any thread; may be called again."""
        self._closing = True
        if self._waker.fileno() >= 0:
            self._waker.send(b"x")
        with self._in_use:
            self._connection.close()
            self._waker.close()
            self._woken.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, deadline_s: float | None) -> list[bytes] | None:
        """The parts of the next message; None if none comes in time."""
        while not self._closing:
            try:
                parts = self._connection.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                if not self._wait(deadline_s):
                    return None
            except zmq.ZMQError:
                if not self._closing:
                    raise
            else:
                self._hint_s = None
                return parts
        raise SubscriberClosed("the subscriber is closed")

    def _wait(self, deadline_s: float | None) -> bool:
        """Wait until it is worth looking again; False if the time is up."""
        until = [at_s for at_s in (deadline_s, self._hint_s) if at_s is not None]
        left_ms = max(0, math.ceil(1000 * (min(until) - time.monotonic()))) if until else None
        try:
            ready = bool(self._poller.poll(left_ms))
        except (zmq.ZMQError, ValueError, OSError):
            if not self._closing:
                raise
            return True
        if ready:
            return True
        if self._hint_s is not None and time.monotonic() >= self._hint_s:
            self._hint_s = None
            self._tell_silence()
        return deadline_s is None or time.monotonic() < deadline_s
