"""What is to happen in a zone or at a line for an event, as the fleet file says it: `enter`, `dwell > 30s`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from pipeline.config.base import mask_value, mistake

Happening = Literal["enter", "leave", "appeared", "gone", "dwell", "stopped", "count", "nothing", "cross", "in", "out"]

OF_ZONES = ("enter", "leave", "appeared", "gone", "dwell > 30s", "stopped > 60s", "count > 5 for 10s", "nothing for 5m")
OF_LINES = ("cross", "in", "out")
LONGEST_S = 7 * 86_400.0

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"(\d{1,9}(?:\.\d{1,6})?)"
_LONG = rf"{_NUMBER}\s*(ms|s|m|h)"
_WORD = re.compile(r"enter|leave|appeared|gone|cross|in|out")
_LASTS = re.compile(rf"(dwell|stopped)\s*>\s*{_LONG}")
_COUNT = re.compile(rf"count\s*(>=|>|<=|<)\s*(\d{{1,6}})(?:\s+for\s+{_LONG})?")
_NOTHING = re.compile(rf"nothing\s+for\s+{_LONG}")


@dataclass(frozen=True, slots=True)
class Condition:
    """What is to happen for an event.

    Attributes:
        happening: What.
        lasts_s: For how long, seconds; 0 where it is a moment.
        least: Of `count`: at least so many objects.
        most: Of `count`: at most so many.
        text: As the file says it.
    """

    happening: Happening
    lasts_s: float = 0.0
    least: int = 0
    most: int = 1_000_000
    text: str = ""

    def __str__(self) -> str:
        return self.text


def _condition(value: object) -> Condition:
    if isinstance(value, Condition):
        return value
    text = value if isinstance(value, str) else ""
    found = _moment(text.strip()) or _lasting(text.strip()) or _counted(text.strip())
    if found is None:
        raise mistake(
            f"found “{mask_value(text)}”; {_meant(text)}" if text else f"that is no condition; {_meant(text)}"
        )
    if found.lasts_s > LONGEST_S:
        raise mistake(f"found “{text}”; nothing is waited for longer than {LONGEST_S / 86_400:g} days")
    return found


def _meant(text: str) -> str:
    """What may have been meant: that of the same first word, or all there is."""
    known = {example.split()[0]: example for example in (*OF_ZONES, *OF_LINES)}
    close = difflib.get_close_matches(text.strip().partition(" ")[0], known, 1)
    return f"did you mean “{known[close[0]]}”?" if close else f"expected one of {', '.join(known.values())}"


def _moment(text: str) -> Condition | None:
    return Condition(text, text=text) if _WORD.fullmatch(text) else None  # type: ignore[arg-type]


def _lasting(text: str) -> Condition | None:
    if match := _LASTS.fullmatch(text):
        return Condition(match[1], _seconds(match[2], match[3]), text=text)  # type: ignore[arg-type]
    if match := _NOTHING.fullmatch(text):
        return Condition("nothing", _seconds(match[1], match[2]), text=text)
    return None


def _counted(text: str) -> Condition | None:
    match = _COUNT.fullmatch(text)
    if match is None:
        return None
    sign, number = match[1], int(match[2])
    lasts_s = _seconds(match[3], match[4]) if match[3] else 0.0
    if sign[0] == ">":
        return Condition("count", lasts_s, least=number + (sign == ">"), text=text)
    if sign == "<" and not number:
        raise mistake(f"found “{text}”; there are never fewer than none")
    return Condition("count", lasts_s, most=number - (sign == "<"), text=text)


def _seconds(number: str, unit: str) -> float:
    return float(number) * _SECONDS[unit]


When = Annotated[
    Condition,
    PlainValidator(_condition),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": [*OF_ZONES, *OF_LINES]}),
]
