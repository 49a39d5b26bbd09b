"""What was looked at, how it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Verdict = Literal["ok", "warning", "failure"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a report.

    Attributes:
        about: What was looked at: a key of the fleet file, or a part of the machine.
        verdict: `failure`: a fleet will not work so. `warning`: it will, and worse than it could.
        found: How it is, in one sentence.
        advice: What to do; empty where that is nothing, or `found` says it.
    """

    about: str
    verdict: Verdict
    found: str
    advice: str = ""

    @property
    def words(self) -> str:
        """One line; errors name what they are about themselves."""
        about = "" if self.found.startswith(f"{self.about}.") or self.found.startswith(f"{self.about}:") else self.about
        return f"{about}{': ' * bool(about)}{self.found}{'; ' * bool(self.advice)}{self.advice}"


def ok(about: str, found: str) -> Finding:
    """All is well with it."""
    return Finding(about=about, verdict="ok", found=found)


def warning(about: str, found: str, advice: str = "") -> Finding:
    """It works, and could be better."""
    return Finding(about=about, verdict="warning", found=found, advice=advice)


def failure(about: str, found: str, advice: str = "") -> Finding:
    """It does not work."""
    return Finding(about=about, verdict="failure", found=found, advice=advice)


def count(findings: Iterable[Finding], verdict: Verdict) -> int:
    """How many have this verdict."""
    return sum(one.verdict == verdict for one in findings)


def counted(number: int, word: str) -> str:
    """`1 failure`, `2 failures`."""
    return f"{number} {word}{'' if number == 1 else 's'}"
