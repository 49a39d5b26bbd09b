"""Results posted to a web server, signed, each until it is answered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import httpx
import msgspec

from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.webhook import WebhookSink
from pipeline.errors import SinkError
from pipeline.sink.body import picture_of
from pipeline.sink.protocol import Place, Refused, Sink
from pipeline.wire import Event, Evidence, FrameResult, Message

NEVER = frozenset({400, 410, 413, 415, 422})
"""What is answered so will be answered so again: the request is wrong for this receiver, or the receiver is gone."""
ONWARD = frozenset({307, 308})
MOST_ONWARD = 3
_WORDS = 200
"""Of an answer that explains itself."""


def open_sink(settings: SinkSettings, place: Place) -> Sink:
    """A sink that posts where its settings say; nothing is sent yet.

    Raises:
        SinkError: The certificates of its own authority cannot be read.
    """
    assert isinstance(settings, WebhookSink)
    return Webhook(settings, place)


class Webhook:
    """One client, which keeps its connection."""

    def __init__(self, settings: WebhookSink, place: Place, transport: httpx.BaseTransport | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            settings: Where, and how.
            place: Where it belongs.
            transport: In place of the network, for tests.

        Raises:
            SinkError: The certificates of its own authority cannot be read.
        """
        self._settings, self._place = settings, place
        self._host = _host(settings.url.reveal())
        self._client = httpx.Client(
            transport=transport,
            verify=_verified(settings, place),
            timeout=settings.timeout_s,
            follow_redirects=False,
            # No proxy, and no password of ~/.netrc, that the settings do not name.
            trust_env=False,
            headers={"User-Agent": "camfleet", "Content-Type": "application/json"},
        )

    def write(self, batch: Sequence[Message]) -> None:
        """Post them, so many at a time."""
        wanted = [one for one in batch if self._settings.states or isinstance(one, FrameResult | Event | Evidence)]
        refused: list[Refused] = []
        for first in range(0, len(wanted), self._settings.most):
            refused.extend(self._deliver(wanted[first : first + self._settings.most]))
        if refused:
            raise Refused(str(refused[-1]), sum(one.messages for one in refused))

    def tick(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _deliver(self, messages: Sequence[Message]) -> Iterator[Refused]:
        """Post these in one request, or in several if they are too much for one; what is refused for good."""
        answer = self._post(self._body(messages))
        if answer.is_success:
            return
        if answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE and len(messages) > 1:
            half = len(messages) // 2
            yield from self._deliver(messages[:half])
            yield from self._deliver(messages[half:])
            return
        if answer.status_code not in NEVER:
            raise SinkError(f"{self._host} answered {_words(answer)}")
        yield Refused(f"{self._host} refuses results for good: it answered {_words(answer)}", len(messages))

    def _post(self, body: bytes) -> httpx.Response:
        url = self._settings.url.reveal()
        for _ in range(MOST_ONWARD + 1):
            try:
                answer = self._client.post(url, content=body, headers=self._headers(body))
            except httpx.TimeoutException:
                raise SinkError(f"{self._host} has not answered for {self._settings.timeout_s:g} s") from None
            except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
                # httpx's words name no more than the host and the system's reason; the address is in none of them.
                raise SinkError(f"{self._host} cannot be reached: {str(error) or type(error).__name__}") from None
            if answer.status_code not in ONWARD:
                return answer
            onward = answer.headers.get("Location", "")
            url = str(answer.url.join(onward)) if onward else ""
            if not url or _origin(url) != _origin(self._settings.url.reveal()):
                raise SinkError(f"{self._host} sends on to another host, which is not followed; give its address")
        raise SinkError(f"{self._host} sends on and on")

    def _body(self, messages: Sequence[Message]) -> bytes:
        listed = b",".join(self._said(one) for one in messages)
        head = msgspec.json.encode({"fleet": self._place.fleet, "sink": self._place.name})
        return head[:-1] + b',"messages":[' + listed + b"]}"

    def _said(self, message: Message) -> bytes:
        """One message; with its picture, where that is wanted and still there."""
        said = b'{"kind":"%s",' % message.kind.encode() + msgspec.json.encode(message)[1:]
        if not self._settings.snapshots or not isinstance(message, Evidence):
            return said
        jpeg = picture_of(message)
        return said[:-1] + b',"snapshot_jpeg":' + (b'"%s"' % base64.b64encode(jpeg) if jpeg else b"null") + b"}"

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"X-Camfleet-Delivery": hashlib.sha256(body).hexdigest()[:32]}
        if self._settings.token is not None:
            headers["Authorization"] = f"Bearer {self._settings.token.reveal()}"
        if self._settings.secret is not None:
            at = str(int(time.time()))
            headers["X-Camfleet-Timestamp"] = at
            headers["X-Camfleet-Signature"] = f"sha256={signature(self._settings.secret.reveal(), at, body)}"
        return headers


def signature(secret: str, at: str, body: bytes) -> str:
    """The HMAC-SHA256, hexadecimal, of a time as it is in the header, a dot, and the body."""
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _verified(settings: WebhookSink, place: Place) -> ssl.SSLContext:
    try:
        file = None if settings.ca_file is None else str(place.directory / settings.ca_file)
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise SinkError(f"the certificates of {settings.ca_file} cannot be read: {error.strerror or error}") from None


def _host(url: str) -> str:
    """What of an address may be told."""
    return str(urlsplit(url).hostname)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def _words(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase}".strip()[:_WORDS]
