"""Topics of an MQTT broker: how each camera is, and how many objects of each class it sees.

    PREFIX/status                 online or offline: this sink. It says offline, too, when the fleet has been silent for
                                  10 s; where it is killed, the broker says so (last will)
    PREFIX/CAMERA/state           {"state": "live", "detail": "", "since": "2026-01-31T12:00:00.000+00:00"}
    PREFIX/CAMERA/count/CLASS     3
    PREFIX/CAMERA/objects         the newest frame with its boxes, by the keys of the fleet's own stream

All of them are retained: whoever subscribes knows at once. `mqtt_board` decides what they say.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from aiomqtt import Client, MqttCodeError, MqttError, Will

from pipeline.config.sinks.mqtt import MqttSettings
from pipeline.errors import SinkError
from pipeline.sink.background import Background, silence
from pipeline.sink.mqtt_board import OFFLINE, ONLINE, Board, Post
from pipeline.sink.protocol import Place
from pipeline.sink.tls import client_tls
from pipeline.sink.wording import said
from pipeline.wire import Message

ANSWER_S = 10.0
"""How long the broker may take to answer anything."""
ECHO_S = 3.0
"""How long it may take to send what it has kept; one whose rules do not let this user read never does."""
FAREWELL_S = 2.0
"""How long hanging up may take."""
KEEPALIVE_S = 15
"""A broker takes a silent client for dead after one and a half of it (MQTT 3.1.1, section 3.1.2.10)."""
AT_ONCE = 1000
"""Posts that wait for their confirmation together."""
_REFUSED = 128
"""From here on, a broker's answers to a subscription mean no."""


def open_sink(settings: MqttSettings, place: Place) -> MqttSink:
    """A sink of these topics; it connects when it is first used."""
    return MqttSink(settings, place, board_of(settings, place))


@lru_cache(maxsize=8)
def board_of(settings: MqttSettings, place: Place) -> Board:
    """The board of every sink of these settings in this process.

    One that is opened anew after an outage says all that the one before knew: a broker that was started again may have
    kept nothing.
    """
    return Board(settings, place.fleet)


class MqttSink:
    """One connection; after one that broke, the next `write` or `tick` makes another and says everything anew."""

    def __init__(self, settings: MqttSettings, place: Place, board: Board) -> None:
        silence("mqtt", "asyncio")
        self._where = f"the MQTT broker {settings.url}"
        self._board = board
        self._broker = _Broker(settings, place, board.prefix)
        self._background = Background("mqtt")

    def write(self, batch: Sequence[Message]) -> None:
        """Say what has changed; returns when the broker has it.

        Raises:
            SinkError: It is away, refuses the user, or does not answer.
        """
        self._tell(batch)

    def tick(self) -> None:
        """Connect, if that is due, and say what had to wait.

        Raises:
            SinkError: As in `write`.
        """
        self._tell(())

    def close(self) -> None:
        """Say that nobody speaks here any more, and leave. May be called again."""
        if self._background.closed:
            return
        self._part(self._broker.close())
        self._background.close()

    def _part(self, work: Coroutine[Any, Any, None]) -> None:
        with suppress(MqttError, TimeoutError):
            self._background.run(work, FAREWELL_S)

    def _tell(self, batch: Sequence[Message]) -> None:
        try:
            # Before all else: what the broker has kept says what there was before the batch.
            if not self._broker.connected:
                self._board.remember(self._background.run(self._broker.open(), 3 * ANSWER_S))
                self._board.tell_anew()
                self._board.told([Post(f"{self._board.prefix}/status", ONLINE)])
            now_s = time.monotonic()
            self._board.take(batch, now_s)
            posts = self._board.due(now_s)
            for at in range(0, len(posts), AT_ONCE):
                some = posts[at : at + AT_ONCE]
                self._background.run(self._broker.publish(some), ANSWER_S)
                self._board.told(some)
        except (MqttError, TimeoutError) as error:
            self._part(self._broker.drop())
            raise SinkError(self._why(error)) from None

    def _why(self, error: MqttError | TimeoutError) -> str:
        if isinstance(error, TimeoutError) or "timed out" in str(error):
            return f"{self._where} does not answer within {ANSWER_S:g} s"
        words = said(error)
        if isinstance(error, MqttCodeError) and ("user name" in words.lower() or "authori" in words.lower()):
            return f"{self._where} refuses the user or password: {words}; check `url` and `password`"
        return f"{self._where} cannot be reached, or hung up: {words}; is it running there?"


class _Broker:
    """One connection at a time; all of it in the background's loop, but for `connected`."""

    def __init__(self, settings: MqttSettings, place: Place, prefix: str) -> None:
        self._settings, self._prefix = settings, prefix
        self._ca_file = place.directory / settings.ca_file if settings.ca_file else None
        self._client_id = settings.client_id or f"camfleet-{place.fleet}-{place.name}"
        self._client: Client | None = None
        self._reading: asyncio.Task[None] | None = None
        self._kept: dict[str, bytes] = {}
        self._echo = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a connection of which nothing bad is known; safe from any thread."""
        return self._reading is not None and not self._reading.done()

    async def open(self) -> dict[str, bytes]:
        """Connect and say so; what the broker has kept under the prefix.

        Raises:
            MqttError: It is away, or refuses.
            SinkError: The authority's file cannot be read.
        """
        await self.drop()
        client = self._new_client()
        await client.__aenter__()
        self._client, self._kept = client, {}
        self._echo.clear()
        self._reading = asyncio.create_task(self._read(client))
        topics = [f"{self._prefix}/{rest}" for rest in ("+/state", "+/objects", "+/count/+", "status")]
        answers = await client.subscribe([(topic, 0) for topic in topics])
        await self._post(f"{self._prefix}/status", ONLINE)
        if all(answer < _REFUSED for answer in answers if isinstance(answer, int)):
            # What is kept comes first, then what was just said: so all of it has come.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._echo.wait(), ECHO_S)
        await client.unsubscribe(topics)
        kept, self._kept = self._kept, {}
        return kept

    async def publish(self, posts: Sequence[Post]) -> None:
        """Say these, in their order.

        Raises:
            MqttError: The connection broke, or the broker does not confirm.
        """
        posting = asyncio.create_task(self._post_all(posts))
        assert self._reading is not None
        await asyncio.wait({posting, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        if not posting.done():
            # The connection broke; nothing else would ever tell those who wait for a confirmation.
            posting.cancel()
            await self._reading
        await posting

    async def close(self) -> None:
        """Say offline, and hang up.

        Raises:
            MqttError: The connection broke meanwhile.
        """
        if self._client is not None and self.connected:
            await self._post(f"{self._prefix}/status", OFFLINE)
        await self.drop()

    def _new_client(self) -> Client:
        url, password = self._settings.url, self._settings.password or self._settings.url.password
        client = Client(
            url.host,
            url.port,
            username=url.user if url.user or password else None,
            password=password.reveal() if password else None,
            identifier=self._client_id,
            will=Will(f"{self._prefix}/status", OFFLINE, qos=1, retain=True),
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_S,
            max_inflight_messages=AT_ONCE,
            # Posts are small and many; none waits until the one before is acknowledged.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            tls_context=client_tls(self._ca_file) if url.scheme == "mqtts" else None,
        )
        client.pending_calls_threshold = AT_ONCE
        return client

    async def _post_all(self, posts: Sequence[Post]) -> None:
        await asyncio.gather(*(self._post(post.topic, post.payload, retain=post.retained) for post in posts))

    async def _post(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        assert self._client is not None
        await self._client.publish(topic, payload, qos=self._settings.qos, retain=retain)

    async def _read(self, client: Client) -> None:
        """Hear what comes, until the connection breaks, which it raises."""
        async for message in client.messages:
            topic = str(message.topic)
            if topic == f"{self._prefix}/status":
                if not message.retain and message.payload == ONLINE:
                    self._echo.set()
            elif isinstance(message.payload, bytes) and message.retain:
                self._kept[topic] = message.payload

    async def drop(self) -> None:
        """Hang up without a word."""
        client, reading, self._client, self._reading = self._client, self._reading, None, None
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        if client is not None:
            with suppress(MqttError, OSError):
                await client.__aexit__(None, None, None)
