"""What a fleet file says of a NATS sink."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema

from pipeline.config.base import Whole, mistake
from pipeline.config.secret import Secret
from pipeline.config.sinks.address import Address, address_of
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.broker import CaFile, Encoding

_SUBJECT = re.compile(r"[A-Za-z0-9_%-]+(\.[A-Za-z0-9_%-]+)*")
_STREAM = re.compile(r"[A-Za-z0-9_-]{1,100}")


def _subject(value: str) -> str:
    if not _SUBJECT.fullmatch(value) or len(value) > 500:
        raise mistake("expected letters, digits, “_” and “-”, parted by single dots, such as camfleet.town")
    return value


def _stream(value: str) -> str:
    if not _STREAM.fullmatch(value):
        raise mistake("expected 1 to 100 letters, digits, “_” or “-”")
    return value


NatsUrl = Annotated[Address, address_of(nats=4222, tls=4222)]
Subject = Annotated[str, AfterValidator(_subject), WithJsonSchema({"type": "string", "pattern": _SUBJECT.pattern})]
Stream = Annotated[str, AfterValidator(_stream), WithJsonSchema({"type": "string", "pattern": _STREAM.pattern})]


class NatsSettings(SinkSettings):
    """Subjects of a NATS server: PREFIX.detections.CAMERA, PREFIX.cameras.CAMERA, PREFIX.fleet."""

    kind: ClassVar[str] = "nats"
    extra: ClassVar[str] = "sinks"
    needs: ClassVar[tuple[str, ...]] = ("nats",)

    url: NatsUrl = Field(
        default="nats://127.0.0.1:4222",
        validate_default=True,
        description="The server: nats://user@host:4222, or tls:// with TLS.",
    )
    password: Secret | None = Field(default=None, description="The user's password, such as ${NATS_PASSWORD}.")
    token: Secret | None = Field(default=None, description="Instead of user and password, where the server wants one.")
    ca_file: CaFile = None
    prefix: Subject | None = Field(
        default=None,
        description="What its subjects begin with; without it camfleet.FLEET. In names, what a subject must not have "
        "is written %2E.",
    )
    encoding: Encoding = Field(default="json", description="How messages are written.")
    jetstream: bool = Field(
        default=False,
        description="Have the server keep the messages and confirm each, and leave out what it was given twice within "
        "its window, two minutes by default. Without it, who is not subscribed misses them.",
    )
    stream: Stream | None = Field(
        default=None,
        description="JetStream's stream, made where no stream takes the subjects yet; without it camfleet-FLEET.",
    )
    stream_mb: Whole = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="What a stream that is made here keeps, MB; beyond it the oldest go.",
    )
