"""What is asked of a search, in the words of a command line: `p95<=150ms`, `map_loss<=1.0`, `15m`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.errors import ConfigError

_TERM = re.compile(r"\s*(?P<name>[a-z0-9_]+)\s*(?P<sign><=|>=|<|>|=)\s*(?P<number>\d+(\.\d+)?)\s*(?P<unit>[a-z/]*)\s*")
_TIME = re.compile(r"(?:(?P<h>\d+(\.\d+)?)h)?(?:(?P<m>\d+(\.\d+)?)m)?(?:(?P<s>\d+(\.\d+)?)s?)?")
_MS = {"ms": 1.0, "s": 1000.0, "": 1.0}
_HZ = {"hz": 1.0, "/s": 1.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a setting must keep.

    Attributes:
        p95_ms: The age that 95 of 100 published frames stay below.
        detect_hz: Detections a second that are enough; 0: as many as there can be.
    """

    p95_ms: float
    detect_hz: float = 0.0

    def __str__(self) -> str:
        enough = f", detect_hz>={self.detect_hz:g}" if self.detect_hz else ""
        return f"p95<={self.p95_ms:g}ms{enough}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a setting may cost, in points of a hundred against the file's own.

    Attributes:
        map_loss: mAP50-95 of another model, input or precision.
        hota_loss: HOTA of detecting fewer frames.
    """

    map_loss: float = 0.0
    hota_loss: float = 0.0

    def __str__(self) -> str:
        return f"map_loss<={self.map_loss:g}, hota_loss<={self.hota_loss:g}"


def parse_goal(text: str, p95_ms: float) -> Goal:
    """The goal that `text` says, such as `p95<=150ms` or `p95<=150ms, detect_hz>=60`.

    Args:
        text: Terms with commas between them; empty for the promise of the fleet file alone.
        p95_ms: What the fleet file promises; taken where the text says nothing of it.

    Raises:
        ConfigError: It is not understood.
    """
    found = {"p95": p95_ms, "detect_hz": 0.0}
    for name, sign, number, unit in _terms("--goal", text, "p95<=150ms", found):
        wanted = "<=" if name == "p95" else ">="
        if sign[0] != wanted[0]:
            raise ConfigError(f"--goal: {name} needs {wanted}, found “{sign}”")
        worth, example = (_MS, "ms or s, such as p95<=150ms") if name == "p95" else (_HZ, "none, such as detect_hz>=60")
        if unit not in worth:
            raise ConfigError(f"--goal: “{unit}” is no unit of {name}; expected {example}")
        found[name] = number * worth[unit]
    if found["p95"] <= 0:
        raise ConfigError("--goal: p95 must be above 0 ms, such as p95<=150ms")
    return Goal(found["p95"], found["detect_hz"])


def parse_budget(text: str) -> Budget:
    """The budget that `text` says, such as `map_loss<=1.0`; HOTA may lose as many points if it is not named.

    Raises:
        ConfigError: It is not understood.
    """
    found: dict[str, float] = {}
    for name, sign, number, unit in _terms("--budget", text, "map_loss<=1.0", ("map_loss", "hota_loss")):
        if sign[0] not in "<=" or unit:
            raise ConfigError(f"--budget: {name} is points of a hundred, such as {name}<=1.0")
        found[name] = number
    map_loss = found.get("map_loss", 0.0)
    return Budget(map_loss, found.get("hota_loss", map_loss))


def parse_time(text: str) -> float:
    """Seconds of `15m`, `90s`, `1h30m` or `90`.

    Raises:
        ConfigError: It is not understood, or no time at all.
    """
    found = _TIME.fullmatch(text.strip())
    seconds = 0.0
    if found is not None:
        seconds = sum(float(found[unit] or 0) * worth for unit, worth in (("h", 3600), ("m", 60), ("s", 1)))
    if seconds <= 0:
        raise ConfigError(f"--time: found “{text}”, expected a time such as 15m, 90s or 1h30m")
    return seconds


def time_words(seconds: float) -> str:
    """`7:05`, or `1:07:05`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _terms(option: str, text: str, example: str, known: object) -> list[tuple[str, str, float, str]]:
    terms = []
    names = list(known) if isinstance(known, dict | tuple) else []
    for term in (part for part in text.split(",") if part.strip()):
        found = _TERM.fullmatch(term)
        if found is None:
            raise ConfigError(f"{option}: found “{term.strip()}”, expected words such as {example}")
        if found["name"] not in names:
            raise ConfigError(f"{option}: there is no “{found['name']}”; expected {' or '.join(names)}")
        terms.append((found["name"], found["sign"], float(found["number"]), found["unit"]))
    return terms
