"""Messages into bytes and back: the only place that does either."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from pipeline.errors import WireError
from pipeline.foreign import UNREADABLE
from pipeline.wire.base import KINDS, Message

_encoder = msgspec.msgpack.Encoder()
_MAP_16 = b"\xde"
"""How a msgpack map of more than fifteen keys begins; two bytes follow that count them."""
_UNNUMBERED = b"\xa9publisher\xa0\xa6number\x00"
"""How `Message` begins behind that: two keys, an empty text and 0."""
_PUBLISHER = b"\xa9publisher"
"""The key; a short text follows, whose first byte says how long it is."""
_NUMBER = b"\xa6number\xcf"
"""The key, and that eight bytes follow."""
_JSON = b"{"
"""How a message in JSON begins; none in msgpack does."""


class _Version(msgspec.Struct):
    schema: Any = None


_msgpack_version, _json_version = msgspec.msgpack.Decoder(_Version), msgspec.json.Decoder(_Version)


def encode(message: Message) -> bytes:
    """One msgpack map, with the publisher's fields at its beginning, where `stamp` exchanges them."""
    return _encoder.encode(message)


def stamp(body: bytes, publisher: bytes, number: int) -> bytes:
    """An encoded message with its number, without decoding it.

    The publisher's fields are the first of every message, so that they can be exchanged for longer ones.

    Args:
        body: What `encode` gave.
        publisher: Which life of the publisher this is, as `publisher_id` gives it.
        number: Of this topic's messages, from 1.

    Raises:
        WireError: The body does not begin as `encode` begins it.
    """
    keys = 3 if body[:1] == _MAP_16 else 1
    if not body.startswith(_UNNUMBERED, keys):
        raise WireError("a message to be numbered has a number already, or was encoded by another version of camfleet")
    return b"".join((body[:keys], publisher, _NUMBER, number.to_bytes(8, "big"), body[keys + len(_UNNUMBERED) :]))


def stamp_of(body: bytes) -> tuple[str, int]:
    """The publisher and the number that `stamp` wrote, without decoding the message; ("", 0) where it has not."""
    begin = (3 if body[:1] == _MAP_16 else 1) + len(_PUBLISHER)
    length = body[begin] & 0x1F if len(body) > begin else 0
    end = begin + 1 + length
    if not body.startswith(_PUBLISHER, begin - len(_PUBLISHER)) or not body.startswith(_NUMBER, end):
        return "", 0
    number = end + len(_NUMBER)
    return body[begin + 1 : end].decode("utf-8", "replace"), int.from_bytes(body[number : number + 8], "big")


def publisher_id(name: str) -> bytes:
    """What `stamp` writes for a publisher of that name."""
    return _encoder.encode("publisher") + _encoder.encode(name)


def to_json(body: bytes) -> bytes:
    """The same message as JSON, without looking at what it says.

    Raises:
        WireError: The body is no msgpack.
    """
    try:
        return msgspec.json.encode(msgspec.msgpack.decode(body))
    except UNREADABLE as error:
        raise WireError(f"a message cannot be read: {error}") from error


def decode(topic_bytes: bytes, body: bytes) -> Message:
    """The message behind a topic; msgpack or JSON, as its first byte tells.

    Raises:
        WireError: The topic is none of ours, or the body is no message of a version this client knows.
    """
    kind = topic_bytes.partition(b"/")[0].decode("utf-8", "replace")
    if kind not in KINDS:
        expected = " or ".join(f"{kind}/…" for kind in KINDS)
        raise WireError(f"topic {topic_bytes!r} is none of camfleet's; expected {expected}")
    expected_type = KINDS[kind]
    try:
        message = _decoder(expected_type, body[:1] == _JSON).decode(body)
    except UNREADABLE as error:
        hint = _version_hint(body, expected_type.version)
        raise WireError(f"a message on {topic_bytes!r} cannot be read{hint}: {error}") from error
    if getattr(message, "schema", expected_type.version) != expected_type.version:
        raise WireError(f"a message on {topic_bytes!r} cannot be read{_version_hint(body, expected_type.version)}")
    return message


@functools.cache
def _decoder(kind: type[Message], as_json: bool) -> msgspec.msgpack.Decoder[Message] | msgspec.json.Decoder[Message]:
    return msgspec.json.Decoder(kind) if as_json else msgspec.msgpack.Decoder(kind)


def _version_hint(body: bytes, known: int) -> str:
    """Words about the version a sender used, where it can be told and is not ours."""
    decoder = _json_version if body[:1] == _JSON else _msgpack_version
    try:
        found = decoder.decode(body).schema
    except UNREADABLE:
        return ": it is no map of msgpack or JSON"
    if found in (None, known):
        return ""
    return f": this client knows schema {known}, the sender uses another; install the sender's version of camfleet"
