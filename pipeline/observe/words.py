"""Figures as words for people; what is not known is a dash."""

from __future__ import annotations

from datetime import datetime

from pipeline.clock import NS_PER_S
from pipeline.redact import printable, redact

UNKNOWN = "–"

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def span(seconds: float | None) -> str:
    """How long, in the largest unit that fits: 12s, 2m, 3h, 5d."""
    if seconds is None:
        return UNKNOWN
    for unit_s, unit in _UNITS:
        if seconds >= unit_s:
            return f"{seconds // unit_s:.0f}{unit}"
    return f"{max(0.0, seconds) // 1:.0f}s"


def age(milliseconds: float | None) -> str:
    """How old, such as 85ms, 1.2s, 4m."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    return f"{milliseconds / 1000:.1f}s" if milliseconds < 59_950 else span(milliseconds / 1000)


def whole(number: float | None) -> str:
    """Without decimals."""
    return UNKNOWN if number is None else f"{number:.0f}"


def percent(share: float | None) -> str:
    """Rounded down, so that only what is complete is 100."""
    return UNKNOWN if share is None else f"{share // 1:.0f}"


def clock(wall_ns: int) -> str:
    """Local time of day, with the date where that is not today's; empty where it is not known."""
    if not wall_ns:
        return ""
    at = datetime.fromtimestamp(wall_ns / NS_PER_S)
    return at.strftime("%H:%M:%S" if at.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")


def sentence(detail: str) -> str:
    """On one line, credentials masked, and nothing that steers a terminal."""
    return printable(redact(" ".join(detail.split())))


def some(names: list[str], most: int = 4) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def short(name: str, cells: int) -> str:
    """A name that fits, its middle left out where it must: beginnings name the place, ends the number."""
    if len(name) <= cells:
        return name
    end = (cells - 1) // 2
    return f"{name[: cells - 1 - end]}…{name[len(name) - end :]}"
