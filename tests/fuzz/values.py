"""Edits of what JSON and msgpack say, which stay both: their readers are in C, so no coverage leads past them."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

_ODD: dict[type, tuple[Any, ...]] = {
    str: (
        "",
        "\x00",
        "\x1b[2J",
        "\u202e",
        "é\n",
        "/" * 300,
        "${PASSWORD}",
        "rtsp://a:b@c/?d=e",
        "gate",
        "retrying",
        "detected",
    ),
    int: (-1, 0, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    float: (0.0, -0.0, -1.0, 5e-324, 1e15, -1e15, 1e16, 1.7e308, float("inf"), float("-inf"), float("nan")),
    bool: (True, False),
}
_ANY = (None, True, -1, 0.5, "", [], {}, [[]], {"": None})


def edited(data: bytes, kind: str, chance: Random) -> bytes:
    """`data` with one to three of its values changed; what precedes a zero, as a topic does, stays."""
    before, zero, body = data.partition(b"\x00") if kind == "msgpack" else (b"", b"", data)
    coder = msgspec.msgpack if kind == "msgpack" else msgspec.json
    try:
        value = coder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return data
    for _ in range(chance.randint(1, 3)):
        value = _changed(value, chance)
    return before + zero + coder.encode(value)


def _changed(value: Any, chance: Random) -> Any:
    """One value somewhere inside, as likely near the top as deep down, is another."""
    if isinstance(value, dict) and value and chance.random() < 0.95:
        key = chance.choice(list(value))
        if chance.random() < 0.05:
            return {name: inside for name, inside in value.items() if name != key}
        if chance.random() < 0.05:
            return {**value, chance.choice(_ODD[str]): value[key]}
        return {**value, key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.95:
        at = chance.randrange(len(value))
        return [*value[:at], _changed(value[at], chance), *value[at + chance.randint(0, 1) :]]
    return chance.choice(_ODD.get(type(value), _ANY) if chance.random() < 0.8 else _ANY)
