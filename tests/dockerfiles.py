"""A Dockerfile as instructions, as far as tests look at it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"


class Instruction(NamedTuple):
    """One, with what follows its word; lines that go on are one."""

    word: str
    rest: str


def instructions(file: Path = DOCKERFILE) -> list[Instruction]:
    """All of them, in order, without comments."""
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in whole if line.strip()]


def of(word: str) -> list[str]:
    """What follows this word, each time that it stands there."""
    return [one.rest for one in instructions() if one.word == word]


def command() -> list[str]:
    """What the image starts camfleet with."""
    (found,) = of("CMD")
    words: list[str] = json.loads(found)
    return words


def variables() -> dict[str, str]:
    """What the image sets for the fleet, as far as it has to do with camfleet."""
    pairs = dict(pair.split("=", 1) for line in of("ENV") for pair in line.split())
    return {name: value for name, value in pairs.items() if not name.startswith("PIP_")}
