"""A web server that wants to be told, in a fleet file."""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from pipeline.config.base import Number, Whole, mistake
from pipeline.config.secret import Secret
from pipeline.config.sinks.base import SinkSettings


def _web(url: Secret) -> Secret:
    """Words that repeat nothing of it: whoever knows some addresses may post to them."""
    try:
        parts = urlsplit(url.reveal())
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        right = None
    if not right or not url.reveal().isprintable() or " " in url.reveal():
        raise mistake("expected an address such as https://host.example/camfleet")
    return url


def _header(token: Secret) -> Secret:
    if not token.reveal().isascii() or not token.reveal().isprintable():
        raise mistake("expected letters, digits and signs of ASCII, as a header of HTTP takes them")
    return token


class WebhookSink(SinkSettings):
    """POST requests with JSON, `{"fleet": …, "sink": …, "messages": […]}`, each message with its `kind`.

    `X-Camfleet-Delivery` is the same for a request that is made again, so that a receiver knows what it had. With
    `secret`, `X-Camfleet-Timestamp` is the time of the request, s since 1970-01-01 UTC, and `X-Camfleet-Signature` is
    `sha256=` and the hexadecimal HMAC-SHA256 of that time, a dot and the body.

    What is answered with 2xx is delivered. 400, 410, 413 (of a single message), 415 and 422 say that it never will be:
    its messages are counted as lost, and the next ones are sent. Everything else, no answer too, is tried again, after
    ever longer pauses. A redirect (307, 308) is followed on the same host only.
    """

    kind: ClassVar[str] = "webhook"
    extra: ClassVar[str] = "sinks"
    needs: ClassVar[tuple[str, ...]] = ("httpx",)

    url: Annotated[Secret, AfterValidator(_web)] = Field(
        description="Where to post, https:// or http://; it is shown nowhere, as some open what they name."
    )
    secret: Secret | None = Field(
        default=None, description="What requests are signed with, so that the receiver knows who made them."
    )
    token: Annotated[Secret, AfterValidator(_header)] | None = Field(
        default=None, description="Sent as `Authorization: Bearer …`."
    )
    ca_file: str | None = Field(
        default=None,
        description="Certificates of an authority of your own, PEM; without it those that the machine trusts. "
        "Certificates are always verified.",
    )
    states: bool = Field(default=False, description="Also how the cameras and the fleet are, once a second.")
    snapshots: bool = Field(
        default=False,
        description="Send the picture of an event with the message that it is kept (`evidence`), as `snapshot_jpeg`, "
        "base64. Off, because it leaves this machine; the path is sent anyway.",
    )
    most: Whole = Field(default=100, ge=1, le=10_000, description="Messages in one request.")
    timeout_s: Number = Field(default=10.0, gt=0, le=600, description="How long an answer may take, s.")
