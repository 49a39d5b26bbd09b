"""A collector of OpenTelemetry in a fleet file: where the ways of sampled frames are sent."""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from pipeline.config.base import Number, mask_value, mistake
from pipeline.config.secret import Secret
from pipeline.config.sinks.base import SinkSettings


def _collector(url: str) -> str:
    """An address that may be shown: what opens it stands in `token`."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        right = None
    if not right or not url.isprintable() or " " in url:
        raise mistake(f"found “{mask_value(url)}”, expected an address such as http://127.0.0.1:4318/v1/traces")
    if parts.username is not None or parts.password is not None or parts.query:
        raise mistake("keep what is secret out of the address; “token” is for that")
    return url


def _header(token: Secret) -> Secret:
    if not token.reveal().isascii() or not token.reveal().isprintable():
        raise mistake("expected letters, digits and signs of ASCII, as a header of HTTP takes them")
    return token


class TracesSink(SinkSettings):
    """Spans of OpenTelemetry, by OTLP over HTTP: for sampled frames a trace each, from capture to publication.

    A trace has a span `frame` and below it one for each stage: `capture`, `decode`, `slot`, `detect`, `publish`. A
    frame that is sent again has the same ids.
    """

    kind: ClassVar[str] = "traces"
    extra: ClassVar[str] = "traces"
    needs: ClassVar[tuple[str, ...]] = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")

    url: Annotated[str, AfterValidator(_collector)] = Field(
        default="http://127.0.0.1:4318/v1/traces", description="Where the collector takes traces, with the path."
    )
    token: Annotated[Secret, AfterValidator(_header)] | None = Field(
        default=None, description="Sent as `Authorization: Bearer …`."
    )
    ca_file: str | None = Field(
        default=None,
        description="Certificates of an authority of your own, PEM; without it those that the machine trusts.",
    )
    service: str = Field(
        default="camfleet", min_length=1, max_length=128, description="What traces call the fleet's software."
    )
    every_s: Number = Field(
        default=10.0,
        ge=0,
        le=86_400,
        description="One frame of each camera in so many seconds is traced; 0 traces every frame.",
    )
    timeout_s: Number = Field(default=5.0, gt=0, le=600, description="How long an answer may take, s.")
