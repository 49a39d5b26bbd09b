"""What `check` and `doctor` have found, on a terminal and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.doctor.finding import Finding

_STYLES = {"ok": "green", "warning": "yellow", "failure": "red"}


def shown(findings: Iterable[Finding], file: IO[str]) -> list[Finding]:
    """Print each as soon as it is known; all of them."""
    from rich.console import Console
    from rich.text import Text

    from pipeline.redact import printable

    console = Console(file=file)
    seen: list[Finding] = []
    for one in findings:
        seen.append(one)
        line = Text.assemble((f"{one.verdict:<8}", _STYLES[one.verdict]), " ", printable(one.words))
        console.print(line, soft_wrap=True)
    return seen


def as_builtins(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """For JSON."""
    import msgspec

    told: list[dict[str, Any]] = msgspec.to_builtins(list(findings))
    return told


def told_on_stderr(findings: Iterable[Finding]) -> list[Finding]:
    """As `shown`, beside a result on stdout."""
    return shown(findings, sys.stderr)
