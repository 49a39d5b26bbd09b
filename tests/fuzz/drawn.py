"""Cases by chance: edits of the corpus, the same every time for the same seed.

Of JSON and msgpack, a third changes values alone, a third values and bytes, a third bytes alone.

A few are as large as their reader takes, a piece repeated over and over: what costs more than in proportion to its size
shows only there, and a search that is led by coverage does not get there. Hypothesis draws such edits too, and makes a
failing case small, but takes 1.7 ms and keeps 11 kB for each (measured over 1,500), thirty times what most cases cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.fuzz import values
from tests.fuzz.targets import Target

MOST_EDITS = 4
LARGE_EVERY = 80
"""A megabyte of YAML takes a third of a second."""
_KINDS = ("insert", "insert", "replace", "replace", "flip", "delete", "double", "move")
_ODD = (b"\x00", b"\xff", b"\x80", b"9" * 40, b"-1", b"\xed\xa0\x80")


def cases(target: Target, seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """So many inputs, drawn with the seed."""
    chance = Random(seed)
    words = (*target.tokens, *target.tokens, *_ODD)
    for number in range(1, count + 1):
        data = chance.choice(seeds)
        if target.values and number % 3:
            data = values.edited(data, target.values, chance)
            if number % 3 == 1 and number % LARGE_EVERY:
                yield data[: target.most_bytes]
                continue
        for _ in range(chance.randint(1, chance.randint(1, MOST_EDITS))):
            data = _edited(data, chance.choice(_KINDS), _piece(chance, words, seeds), chance)
        if number % LARGE_EVERY == 0:
            data = _repeated(data, _piece(chance, words, seeds), target.most_bytes, chance)
        yield data[: target.most_bytes]


def _piece(chance: Random, words: tuple[bytes, ...], seeds: list[bytes]) -> bytes:
    """A word of the language, a few bytes, or a stretch of another input."""
    kind = chance.random()
    if kind < 0.6:
        return chance.choice(words)
    if kind < 0.8:
        return chance.randbytes(chance.randint(1, 4))
    start, end = _stretch(other := chance.choice(seeds), chance)
    return other[start:end]


def _stretch(data: bytes, chance: Random) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + 1 + int(len(data) * chance.random() ** 3))


def _edited(data: bytes, kind: str, piece: bytes, chance: Random) -> bytes:
    start, end = _stretch(data, chance)
    if kind == "insert":
        return data[:start] + piece + data[start:]
    if kind == "replace":
        return data[:start] + piece + data[end:]
    if kind == "flip":
        return (
            data[:start]
            + bytes(byte ^ 1 << chance.randrange(8) for byte in data[start : start + 1])
            + data[start + 1 :]
        )
    if kind == "delete":
        return data[:start] + data[end:]
    if kind == "double":
        return data[:end] + data[start:]
    at = chance.randint(0, len(data))
    return data[:at] + data[start:end] + data[at:]


def _repeated(data: bytes, piece: bytes, most_bytes: int, chance: Random) -> bytes:
    """`data` with a short piece of itself, or with `piece`, so often in it that it is as large as it may be."""
    at = chance.randint(0, len(data))
    repeated = (chance.random() < 0.5 and data[at : at + chance.randint(1, 16)]) or piece or b"\x00"
    return data[:at] + repeated * ((most_bytes - len(data)) // len(repeated)) + data[at:]
