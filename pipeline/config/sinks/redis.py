"""What a fleet file says of a Redis sink."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from pipeline.config.base import Whole
from pipeline.config.secret import Secret
from pipeline.config.sinks.address import Address, address_of
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.broker import CaFile, Encoding, template_of

RedisUrl = Annotated[Address, address_of(redis=6379, rediss=6379)]


class RedisSettings(SinkSettings):
    """Streams of a Redis server, or one that speaks like it; each message one entry, at least once."""

    kind: ClassVar[str] = "redis"
    extra: ClassVar[str] = "sinks"
    needs: ClassVar[tuple[str, ...]] = ("redis",)

    url: RedisUrl = Field(
        default="redis://127.0.0.1:6379",
        validate_default=True,
        description="The server: redis://user@host:6379/0, the number is that of its database; rediss:// with TLS.",
    )
    password: Secret | None = Field(default=None, description="The user's password, such as ${REDIS_PASSWORD}.")
    ca_file: CaFile = None
    stream: Annotated[str, template_of("_.:/-")] = Field(
        default="camfleet:{fleet}:{kind}:{camera}",
        description="Which stream a message goes to; {kind} is detections, cameras or fleet. Without {camera} all "
        "cameras share one.",
    )
    max_length: Whole = Field(
        default=100_000,
        ge=1,
        le=1_000_000_000,
        description="Entries that a stream keeps, about: the oldest go. 100,000 are an hour of 25 frames a second.",
    )
    encoding: Encoding = Field(default="json", description="How an entry's field of the same name is written.")
