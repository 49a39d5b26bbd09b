"""The subscriber of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, Unpack, cast, overload

import zmq.asyncio

from pipeline.client.base import BaseSubscriber, Settings
from pipeline.client.silence import HINT_S
from pipeline.errors import SubscriberClosed, SubscriberTimeout
from pipeline.wire import CameraState, Event, Evidence, FrameResult, Message

R = TypeVar("R", bound=Message)


class AsyncSubscriber(BaseSubscriber, Generic[R]):
    """As `Subscriber`, in an event loop; one task receives, `close` may come from any task of the same loop.

    Example:
        async with AsyncSubscriber(cameras=["gate"]) as results:
            async for result in results:
                print(result.frame_id, len(result.tracks))
    """

    @overload
    def __init__(
        self: AsyncSubscriber[FrameResult],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        states: Literal[False] = ...,
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: AsyncSubscriber[FrameResult | CameraState],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        states: Literal[True],
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: AsyncSubscriber[Message],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        states: Literal["all"],
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: AsyncSubscriber[Event],
        endpoint: str | Iterable[str] = ...,
        cameras: str | Iterable[str] | None = ...,
        *,
        events: Literal[True],
        **settings: Unpack[Settings],
    ) -> None: ...

    @overload
    def __init__(
        self: AsyncSubscriber[Event | Evidence],
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
        """Subscribe; the arguments and errors are those of `Subscriber`."""
        super().__init__(endpoint, cameras, states, settings, events=events)
        self._socket = zmq.asyncio.Socket.from_socket(self._connection.socket)
        self._closed = asyncio.Event()
        self._silent = True
        self._coming: asyncio.Future[list[bytes]] | None = None

    async def receive(self, timeout_s: float | None = None) -> R:
        """The next message asked for; raises as `Subscriber.receive` does."""
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(wait_s):
                while (message := self._take(await self._next())) is None:
                    pass
        except TimeoutError:
            raise SubscriberTimeout(f"no frame within {wait_s:g} s; {self.why_silent()}") from None
        return cast(R, message)

    async def __aiter__(self) -> AsyncIterator[R]:
        """Messages until `close` is called; raises as `receive` does."""
        while True:
            try:
                message = await self.receive()
            except SubscriberClosed:
                return
            yield message

    def close(self) -> None:
        """Unsubscribe, and end the task that waits for a message. May be called again."""
        self._closed.set()
        self._socket.close(linger=0)
        self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _next(self) -> list[bytes]:
        """The parts of the next message."""
        if self._closed.is_set():
            raise SubscriberClosed("the subscriber is closed")
        # It stays when a caller waits no longer: the next one gets what has come meanwhile.
        coming = self._coming = self._coming or cast("asyncio.Future[list[bytes]]", self._socket.recv_multipart())
        if not coming.done():
            await self._wait_for(coming)
        if not coming.done() or coming.cancelled():
            raise SubscriberClosed("the subscriber is closed")
        self._coming, self._silent = None, False
        return coming.result()

    async def _wait_for(self, coming: asyncio.Future[list[bytes]]) -> None:
        """Until the message is there or `close` is called; says once where this listens, if nothing was ever heard."""
        closed = asyncio.ensure_future(self._closed.wait())
        waited: set[asyncio.Future[Any]] = {coming, closed}
        try:
            if self._silent:
                done, _ = await asyncio.wait(waited, timeout=HINT_S, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._silent = False
                    self._tell_silence()
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
