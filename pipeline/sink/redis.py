"""Streams of a Redis server: one entry a message, with what one looks for beside the whole.

    kind, camera, session, frame      detections, gate, 0000000001f0, 7; what a message has not is empty
    json or msgpack                   the message, by the keys of the fleet's own stream

A batch that failed comes again, so an entry may be there twice: camera, session and frame tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry
from redis.typing import EncodableT, FieldT

from pipeline.config.sinks.broker import fill
from pipeline.config.sinks.redis import RedisSettings
from pipeline.errors import SinkError
from pipeline.sink.body import body_of, camera_of
from pipeline.sink.protocol import Place
from pipeline.sink.wording import said
from pipeline.wire import FrameResult, Message

ANSWER_S = 10.0
"""How long the server may take to answer anything."""


def open_sink(settings: RedisSettings, place: Place) -> RedisSink:
    """A sink of these streams; it connects when it is first used."""
    return RedisSink(settings, place)


class RedisSink:
    """One connection; after one that broke, the next `write` makes another."""

    def __init__(self, settings: RedisSettings, place: Place) -> None:
        self._settings, self._fleet = settings, place.fleet
        self._client = _client(settings, place)

    def write(self, batch: Sequence[Message]) -> None:
        """Append these to their streams, in one round trip.

        Raises:
            SinkError: The server is away, refuses the user, or does not take an entry.
        """
        # One by one by the server, not as one: a batch that was taken in part comes again as a whole.
        pipeline = self._client.pipeline(transaction=False)
        for message in batch:
            pipeline.xadd(self._stream(message), self._entry(message), maxlen=self._settings.max_length)
        try:
            answers = pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise SinkError(self._why(error)) from None
        finally:
            pipeline.reset()
        refused = next((answer for answer in answers if isinstance(answer, Exception)), None)
        if refused is not None:
            raise SinkError(self._why(refused))

    def tick(self) -> None:
        """Nothing to do: whether the server is there shows with the next batch."""

    def close(self) -> None:
        """Hang up."""
        with suppress(RedisError, OSError):
            self._client.close()

    def _stream(self, message: Message) -> str:
        return fill(self._settings.stream, self._fleet, message.kind, camera_of(message))

    def _entry(self, message: Message) -> dict[FieldT, EncodableT]:
        return {
            "kind": message.kind,
            "camera": camera_of(message),
            "session": getattr(message, "session_id", ""),
            "frame": message.frame_id if isinstance(message, FrameResult) else "",
            self._settings.encoding: body_of(message, self._settings.encoding),
        }

    def _why(self, error: Exception) -> str:
        where = f"the Redis server {self._settings.url}"
        if isinstance(error, AuthenticationError | NoPermissionError):
            return f"{where} refuses the user or password: {said(error)}; check `url` and `password`"
        if isinstance(error, ResponseError):
            return f"{where} does not take the entries: {said(error)}"
        return f"{where} cannot be reached, or hung up: {said(error)}; is it running there?"


def _client(settings: RedisSettings, place: Place) -> Redis:
    url, password = settings.url, settings.password or settings.url.password
    return Redis(
        url.host,
        url.port,
        url.database,
        username=url.user or None,
        password=password.reveal() if password else None,
        socket_timeout=ANSWER_S,
        socket_connect_timeout=ANSWER_S,
        # Whoever calls tries again.
        retry=Retry(NoBackoff(), 0),
        ssl=url.scheme == "rediss",
        ssl_ca_certs=str(place.directory / settings.ca_file) if settings.ca_file else None,
        client_name=f"camfleet-{place.fleet}-{place.name}",
    )
