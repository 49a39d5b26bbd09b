"""A login in a player's place: requests without a password in, the camera's answers out. No sockets here.

The player asks for addresses under one of ours, which becomes the camera's; what else it says goes on as it is, and so
does all that the camera sends, up to the answers of 401, which are answered here. Requests get other numbers on the
way, because one that is asked again is a new one (RFC 2326 §12.17).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.errors import RtspError
from pipeline.rtsp.challenge import Challenge, Credentials, best, challenges
from pipeline.rtsp.messages import MAX_BODY_BYTES, MAX_HEADER_BYTES

MOST_UNANSWERED = 16
"""Requests; a player waits for each answer but those that keep a session alive, and some cameras answer none of these.
The oldest is forgotten."""
_TRIES = 3
"""Of one request: without a password, with one, and with a nonce that is not stale."""
_INTERLEAVED = ord("$")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_END = 4
_MESSAGE = re.compile(rb"RTSP/|[A-Z_]{3,20} ")
_BEGINNING = re.compile(rb"\$|RTSP/|(?<![A-Z_])[A-Z_]{3,20} |[A-Z_]{1,20}/?\Z")
"""Of a packet, a message, or what may become one."""
_LONGEST_WORD = 21
_UNAUTHORIZED = 401


@dataclass(slots=True)
class Message:
    """One request or answer: its first line, its headers in order, its body.

    Text is decoded so that its bytes come out as they came in, whatever they mean.
    """

    first: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    @property
    def status(self) -> int:
        """Of an answer; 0 where there is none."""
        words = self.first.split()
        return int(words[1]) if len(words) > 1 and re.fullmatch("[0-9]{3}", words[1]) else 0

    def values(self, name: str) -> list[str]:
        """Of all headers of this name."""
        return [value for known, value in self.headers if known.lower() == name]

    def without(self, *names: str) -> list[tuple[str, str]]:
        """The headers of other names."""
        return [(name, value) for name, value in self.headers if name.lower() not in names]

    def to_bytes(self) -> bytes:
        """As it is sent."""
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + self.body


class MessageReader:
    """Cuts one direction of a connection into messages and what is between them; bounded."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._searched = 0
        self._begun: Message | None = None
        self._body_size = 0

    def feed(self, received: bytes) -> Iterator[Message | bytes]:
        """What `received` completes: messages, and whole interleaved packets or what is nothing, as bytes.

        Raises:
            RtspError: A message is too long.
        """
        self._pending += received
        while self._pending or self._begun is not None:
            if self._begun is None:
                size = self._packets_size() or self._nothing_size()
                if size:
                    yield self._cut(size)
                    continue
                self._begin_message()
            if self._begun is None or len(self._pending) < self._body_size:
                return
            message, self._begun = self._begun, None
            message.body = self._cut(self._body_size)
            yield message

    def _packets_size(self) -> int:
        """Of the whole interleaved packets that come first (RFC 2326 §10.12), bytes."""
        pending, at = self._pending, 0
        while at + 4 <= len(pending) and pending[at] == _INTERLEAVED:
            end = at + 4 + (pending[at + 2] << 8 | pending[at + 3])
            if end > len(pending):
                break
            at = end
        return at

    def _nothing_size(self) -> int:
        """How many bytes come first that begin neither a packet nor a message."""
        if self._pending[0] == _INTERLEAVED or self._may_begin_message():
            return 0
        found = _BEGINNING.search(self._pending, 1)
        return found.start() if found else len(self._pending)

    def _may_begin_message(self) -> bool:
        start = bytes(self._pending[:_LONGEST_WORD])
        whole = len(start) == _LONGEST_WORD or not re.fullmatch(rb"[A-Z_]*/?", start)
        return not whole or _MESSAGE.match(start) is not None

    def _begin_message(self) -> None:
        """Take the header that comes first, once it is whole; nothing is looked at twice, however small it comes."""
        if self._pending[0] == _INTERLEAVED:
            return
        found = _HEADER_END.search(self._pending, max(0, self._searched - _LONGEST_END), MAX_HEADER_BYTES)
        if found is None:
            self._searched = len(self._pending)
            if self._searched >= MAX_HEADER_BYTES:
                raise RtspError(f"a header of more than {MAX_HEADER_BYTES} bytes")
            return
        self._begun = _parsed(self._cut(found.end()))
        self._body_size, self._searched = _body_size(self._begun), 0

    def _cut(self, size: int) -> bytes:
        data = bytes(self._pending[:size])
        del self._pending[:size]
        return data


@dataclass(slots=True)
class _Asked:
    """A request of the player that the camera has not answered yet."""

    message: Message
    number: str
    method: str
    uri: str
    tries: int = 0


@dataclass(slots=True)
class Passage:
    """Between one player and one camera. What is to be sent lies in `to_camera` and `to_player`, and is taken there.

    Attributes:
        who: With what to log in.
        near: How addresses begin that the player asks for.
        far: What stands there in what the camera is asked for.
        refused: The camera does not let `who` in, or asks in a way that cannot be answered.
    """

    who: Credentials
    near: str
    far: str
    to_camera: bytearray = field(default_factory=bytearray)
    to_player: bytearray = field(default_factory=bytearray)
    refused: bool = False
    _player: MessageReader = field(default_factory=MessageReader)
    _camera: MessageReader = field(default_factory=MessageReader)
    _asked: dict[str, _Asked] = field(default_factory=dict)
    _last_number: int = 0
    _challenge: Challenge | None = None
    _count: int = 0
    _admitted: bool = False

    def is_player(self, received: bytes) -> bool:
        """Whether who begins like this has been told our addresses."""
        words = received.split(b" ", 2)
        return len(words) > 1 and words[1].startswith(self.near.encode())

    def from_player(self, received: bytes) -> None:
        """Take what the player sends.

        Raises:
            RtspError: It is no player's.
        """
        for one in self._player.feed(received):
            if isinstance(one, bytes):
                self.to_camera += one
            elif one.first.startswith("RTSP/"):
                self.to_camera += one.to_bytes()
            else:
                self._ask(self._request(one))

    def from_camera(self, received: bytes) -> None:
        """Take what the camera sends.

        Raises:
            RtspError: It is not RTSP.
        """
        for one in self._camera.feed(received):
            if isinstance(one, bytes):
                self.to_player += one
            elif one.first.startswith("RTSP/"):
                self._answered(one)
            else:
                self.to_player += one.to_bytes()

    def _request(self, message: Message) -> _Asked:
        method, _, rest = message.first.partition(" ")
        uri, _, version = rest.rpartition(" ")
        if uri.startswith(self.near):
            uri = self.far + uri.removeprefix(self.near)
        number = next(iter(message.values("cseq")), "")
        message.first = f"{method} {uri} {version}"
        message.headers = message.without("cseq", "authorization")
        return _Asked(message, number, method, uri)

    def _ask(self, asked: _Asked) -> None:
        """Once more, or for the first time."""
        if len(self._asked) >= MOST_UNANSWERED:
            del self._asked[next(iter(self._asked))]
        self._last_number += 1
        number = str(self._last_number)
        headers = [("CSeq", number), *asked.message.headers]
        if self._challenge is not None:
            self._count += 1
            headers.append(("Authorization", self._challenge.answer(self.who, asked.method, asked.uri, self._count)))
        asked.tries += 1
        self._asked[number] = asked
        self.to_camera += Message(asked.message.first, headers, asked.message.body).to_bytes()

    def _answered(self, message: Message) -> None:
        asked = self._asked.pop(next(iter(message.values("cseq")), "").strip(), None)
        if message.status == _UNAUTHORIZED and asked is not None and self._tries_again(message, asked):
            self._ask(asked)
            return
        if message.status == _UNAUTHORIZED:
            # Without an offer, the player does not ask again.
            self.refused = True
            message.headers = message.without("www-authenticate")
        elif asked is not None and self._challenge is not None:
            self._admitted = True
        if asked is not None:
            message.headers = [("CSeq", asked.number), *message.without("cseq")]
        self.to_player += message.to_bytes()

    def _tries_again(self, message: Message, asked: _Asked) -> bool:
        """Whether another answer may let us in; a password that was refused is not tried again, lest it be locked."""
        offered, before = best(challenges(message.values("www-authenticate"))), self._challenge
        if offered is None or asked.tries >= _TRIES:
            return False
        renewed = before is not None and offered.nonce != before.nonce and (offered.is_stale or self._admitted)
        if before is not None and not renewed:
            return False
        self._challenge, self._count = offered, 0
        return True


def _parsed(head: bytes) -> Message:
    first, *lines = head.decode("utf-8", "surrogateescape").replace("\r\n", "\n").strip("\n").split("\n")
    headers = [(name.strip(), value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon]
    return Message(first.rstrip("\r"), headers)


def _body_size(message: Message) -> int:
    length = next(iter(message.values("content-length")), "0")
    if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY_BYTES:
        raise RtspError(f"Content-Length is no number up to {MAX_BODY_BYTES}")
    return int(length)
