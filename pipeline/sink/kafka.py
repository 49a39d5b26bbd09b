"""Topics of a Kafka cluster: the key of a message is its camera, so that each camera's order holds.

A batch is written when all replicas in sync have it. The producer is idempotent: what it sends again by itself is kept
once. A batch that comes again after an error may be there twice; camera, session and frame tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError

from pipeline.config.sinks.broker import fill
from pipeline.config.sinks.kafka import KafkaSettings
from pipeline.errors import SinkError
from pipeline.sink.background import Background, silence
from pipeline.sink.body import body_of, camera_of
from pipeline.sink.protocol import Place, Refused
from pipeline.sink.tls import client_tls
from pipeline.sink.wording import said
from pipeline.wire import Message

ANSWER_S = 10.0
"""How long the cluster may take to answer anything."""
FAREWELL_S = 1.0
"""How long a producer may take to end; it has nothing to do any more, or is given up."""


def open_sink(settings: KafkaSettings, place: Place) -> KafkaSink:
    """A sink of these topics; it connects when it is first used."""
    return KafkaSink(settings, place)


class KafkaSink:
    """One producer; after an error, the next `write` begins another, so that none goes on from what is in doubt."""

    def __init__(self, settings: KafkaSettings, place: Place) -> None:
        # It tells why it cannot connect in its log only.
        self._logged = silence("aiokafka", "asyncio")
        self._settings, self._place = settings, place
        self._producer: AIOKafkaProducer | None = None
        self._background: Background | None = None

    def write(self, batch: Sequence[Message]) -> None:
        """Publish these; returns when the cluster has them.

        Raises:
            SinkError: It is away, refuses the user, or does not take them.
            Refused: Some are too large.
        """
        if self._background is None:
            self._background = Background("kafka")
        try:
            self._background.run(self._open(), ANSWER_S)
            too_large = self._background.run(self._publish(batch), 2 * ANSWER_S)
        except (KafkaError, OSError, TimeoutError) as error:
            self.close()
            raise SinkError(self._why(error)) from None
        if too_large:
            raise Refused(f"messages to the Kafka broker {self._settings.url} have at most 1 MB", too_large)

    def tick(self) -> None:
        """Nothing to do: the connection is kept alive in the background."""

    def close(self) -> None:
        """Hang up. May be called again; `write` begins anew."""
        background, self._background = self._background, None
        if background is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                background.run(self._stop(), 2 * FAREWELL_S)
            # With it ends whatever of the producer still waits for an answer.
            background.close()

    async def _open(self) -> None:
        if self._producer is None:
            self._producer = AIOKafkaProducer(**self._options())
            await self._producer.start()

    async def _publish(self, batch: Sequence[Message]) -> int:
        """How many were too large; the others are with the cluster."""
        assert self._producer is not None
        waiting, too_large = [], 0
        for message in batch:
            camera = camera_of(message)
            topic = fill(self._settings.topic, self._place.fleet, message.kind, camera)
            body, key = body_of(message, self._settings.encoding), (camera or self._place.fleet).encode()
            try:
                waiting.append(await self._producer.send(topic, body, key=key))
            except MessageSizeTooLargeError:
                too_large += 1
        await asyncio.gather(*waiting)
        return too_large

    async def _stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), FAREWELL_S)
            finally:
                # It waits for what it has sent, before it hangs up.
                await producer.client.close()

    def _options(self) -> dict[str, Any]:
        settings, url = self._settings, self._settings.url
        password, encrypted = settings.password or url.password, url.scheme == "kafkas"
        ca_file = self._place.directory / settings.ca_file if settings.ca_file else None
        return {
            "bootstrap_servers": f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}",
            "client_id": f"camfleet-{self._place.fleet}-{self._place.name}",
            "acks": "all",
            "enable_idempotence": True,
            "request_timeout_ms": int(ANSWER_S * 1000),
            "security_protocol": ("SASL_" if url.user else "") + ("SSL" if encrypted else "PLAINTEXT"),
            "ssl_context": client_tls(ca_file) if encrypted else None,
            "sasl_mechanism": settings.mechanism if url.user else "PLAIN",
            "sasl_plain_username": url.user or None,
            "sasl_plain_password": password.reveal() if password else None,
        }

    def _why(self, error: Exception) -> str:
        where, words = f"the Kafka broker {self._settings.url}", said(error)
        if isinstance(error, KafkaConnectionError) and self._logged.text:
            words = said(self._logged.text)
        if "sasl" in words.lower() or "authentication" in words.lower():
            return f"{where} refuses the user or password: {words}; check `url`, `password` and `mechanism`"
        if isinstance(error, TimeoutError):
            return f"{where} does not answer within {ANSWER_S:g} s"
        if isinstance(error, KafkaConnectionError | OSError):
            return f"{where} cannot be reached, or hung up: {words}; is it running there?"
        return f"{where} does not take the messages: {words}"
