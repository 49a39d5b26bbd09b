"""Subjects of a NATS server, with JetStream or without.

Without, a batch is written when the server has answered a ping that followed it: it has it, whether anybody listens or
not. With JetStream, when the server has confirmed each message; one that comes again within the stream's window, two
minutes by default, is left out by its `Nats-Msg-Id`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nats.aio.client import Client
from nats.errors import AuthorizationError, NoServersError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from pipeline.config.sinks.nats import NatsSettings
from pipeline.errors import SinkError
from pipeline.sink.background import Background, silence
from pipeline.sink.body import body_of, camera_of, identity_of
from pipeline.sink.names import token
from pipeline.sink.protocol import Place, Refused
from pipeline.sink.tls import client_tls
from pipeline.sink.wording import said
from pipeline.wire import Message

ANSWER_S = 10.0
"""How long the server may take to answer anything."""
HEADERS_BYTES = 1024
"""Of a message that are not its body, at most: the server counts them, too."""
AT_ONCE = 500
"""Messages that wait for JetStream's confirmation together."""


def open_sink(settings: NatsSettings, place: Place) -> NatsSink:
    """A sink of these subjects; it connects when it is first used."""
    return NatsSink(settings, place)


class NatsSink:
    """One connection; after one that broke, the next `write` makes another."""

    def __init__(self, settings: NatsSettings, place: Place) -> None:
        silence("nats", "asyncio")
        self._url, self._prefix = settings.url, settings.prefix or f"camfleet.{token(place.fleet)}"
        self._server = _Server(settings, place, self._prefix)
        self._encoding = settings.encoding
        self._background = Background("nats")

    def write(self, batch: Sequence[Message]) -> None:
        """Publish these, in their order; returns when the server has them.

        Raises:
            SinkError: It is away, refuses the user, or cannot keep them.
            Refused: Some are larger than it takes.
        """
        posts = [(self._subject(one), body_of(one, self._encoding), identity_of(one)) for one in batch]
        try:
            largest = self._background.run(self._server.open(), ANSWER_S)
            posts = [post for post in posts if len(post[1]) <= largest]
            for at in range(0, len(posts), AT_ONCE):
                self._background.run(self._server.publish(posts[at : at + AT_ONCE]), ANSWER_S)
        except (NatsError, OSError, TimeoutError) as error:
            self._drop()
            raise SinkError(self._why(error)) from None
        if len(posts) < len(batch):
            raise Refused(
                f"the NATS server {self._url} takes messages of at most {largest} bytes (its max_payload)",
                len(batch) - len(posts),
            )

    def tick(self) -> None:
        """Nothing to do: the connection is kept alive in the background."""

    def close(self) -> None:
        """Hang up. May be called again."""
        if not self._background.closed:
            self._drop()
            self._background.close()

    def _drop(self) -> None:
        with suppress(NatsError, OSError, TimeoutError):
            self._background.run(self._server.close(), ANSWER_S)

    def _subject(self, message: Message) -> str:
        camera = camera_of(message)
        return f"{self._prefix}.{message.kind}" + (f".{token(camera)}" if camera else "")

    def _why(self, error: Exception) -> str:
        where, words = f"the NATS server {self._url}", said(error)
        if isinstance(error, AuthorizationError) or "authorization" in words.lower():
            return f"{where} refuses the user, password or token; check `url`, `password` and `token`"
        if isinstance(error, NatsError) and hasattr(error, "description"):
            return f"{where} cannot keep the messages: {said(error.description) or words}"
        if isinstance(error, TimeoutError):
            return f"{where} does not answer within {ANSWER_S:g} s"
        return f"{where} cannot be reached, or hung up: {words}; is it running there?"


class _Server:
    """One connection at a time; all of it in the background's loop."""

    def __init__(self, settings: NatsSettings, place: Place, prefix: str) -> None:
        self._settings, self._prefix = settings, prefix
        self._ca_file = place.directory / settings.ca_file if settings.ca_file else None
        self._name = f"camfleet-{place.fleet}-{place.name}"
        self._stream = settings.stream or re.sub(r"[^A-Za-z0-9_-]", "_", f"camfleet-{place.fleet}")
        self._client: Client | None = None
        self._keeper: JetStreamContext | None = None
        self._largest = 0
        self._closed = asyncio.Event()
        self._error: Exception | None = None

    async def open(self) -> int:
        """Connect, unless there is a connection; the largest message that the server takes, bytes.

        Raises:
            NatsError: The server is away, or refuses.
            SinkError: The authority's file cannot be read.
        """
        if self._client is not None and self._client.is_connected:
            return self._largest
        await self.close()
        self._closed, self._error = asyncio.Event(), None
        client = Client()
        try:
            await client.connect(**self._options())
        except NoServersError:
            # It tells the reason to the callback only.
            raise self._error or OSError("no answer") from None
        finally:
            self._client = client
        if self._settings.jetstream:
            self._keeper = client.jetstream()
            await self._find_stream(self._keeper)
        self._largest = client.max_payload - HEADERS_BYTES
        return self._largest

    async def publish(self, posts: Sequence[tuple[str, bytes, str]]) -> None:
        """Publish subject, body and identity of each.

        Raises:
            NatsError: The connection broke, or the server does not keep them.
        """
        assert self._client is not None
        work = asyncio.create_task(self._publish_all(self._client, posts))
        closed = asyncio.create_task(self._closed.wait())
        await asyncio.wait({work, closed}, return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        if not work.done():
            # Nothing else would ever tell those who wait for a confirmation.
            work.cancel()
            raise self._error or OSError("the connection broke")
        await work

    async def close(self) -> None:
        """Hang up, if there is a connection."""
        client, self._client, self._keeper = self._client, None, None
        if client is not None:
            await client.close()

    def _options(self) -> dict[str, Any]:
        settings, url = self._settings, self._settings.url
        password = settings.password or url.password
        host = f"[{url.host}]" if ":" in url.host else url.host
        return {
            "servers": [f"{url.scheme}://{host}:{url.port}"],
            "user": url.user or None,
            "password": password.reveal() if password else None,
            "token": settings.token.reveal() if settings.token else None,
            "tls": client_tls(self._ca_file) if url.scheme == "tls" else None,
            "name": self._name,
            "connect_timeout": int(ANSWER_S),
            # Whoever calls tries again.
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "error_cb": self._note,
            "closed_cb": self._note_closed,
        }

    async def _publish_all(self, client: Client, posts: Sequence[tuple[str, bytes, str]]) -> None:
        if self._keeper is None:
            for subject, body, _ in posts:
                await client.publish(subject, body)
            await client.flush(timeout=int(ANSWER_S))
            return
        waiting = [
            await self._keeper.publish_async(subject, body, headers={"Nats-Msg-Id": identity} if identity else None)
            for subject, body, identity in posts
        ]
        await asyncio.gather(*waiting)

    async def _find_stream(self, keeper: JetStreamContext) -> None:
        """Make the stream, where none takes the subjects."""
        subjects = f"{self._prefix}.>"
        try:
            await keeper.find_stream_name_by_subject(subjects)
        except NotFoundError:
            await keeper.add_stream(
                StreamConfig(name=self._stream, subjects=[subjects], max_bytes=self._settings.stream_mb * 1_000_000)
            )

    async def _note(self, error: Exception) -> None:
        self._error = error

    async def _note_closed(self) -> None:
        self._closed.set()
