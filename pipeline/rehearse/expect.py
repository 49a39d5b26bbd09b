"""What must hold of B, in words such as `events.missed <= 1`, `p95_ms <= 150`, `hota >= a - 0.5`, `cores <= 0.7 * a`.

What is not known is not met: a promise about HOTA is worth nothing where nobody knows what there was to see.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from pipeline.burst.result import Check
from pipeline.config.base import Value, mask_value, mistake
from pipeline.config.load import told
from pipeline.config.locate import read_document
from pipeline.config.wording import describe
from pipeline.errors import ConfigError
from pipeline.rehearse.compare import KEYS, OF_BOTH
from pipeline.rehearse.score import Figures

_KIND, _NEEDS = "file of expectations", "“expect”, a list such as [events.missed <= 1, cores <= 0.7 * a]"
_NUMBER = r"\d+(?:\.\d+)?"
_TERM = re.compile(
    rf"\s*(?P<key>[a-z][a-z0-9_.]*)\s*(?P<sign><=|>=|<|>|==)\s*"
    rf"(?:(?P<number>{_NUMBER})|(?:(?P<times>{_NUMBER})\s*\*\s*)?a(?:\s*(?P<plus>[+-])\s*(?P<shift>{_NUMBER}))?)\s*"
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}
_PRINTED = {"<=": "≤", ">=": "≥", "==": "="}
_SLACK = 1e-9
"""What sums of floats may be off."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that must hold of B.

    Attributes:
        key: Which figure.
        sign: How it compares.
        number: With what; None where it is with A's.
        times: Of A's figure, so many times,
        shift: and so much more.
        text: As it was written.
    """

    key: str
    sign: str
    number: float | None
    times: float
    shift: float
    text: str

    def limit(self, a: Figures) -> float | None:
        """What it is compared with; None where A's figure is not known."""
        if self.number is not None:
            return self.number
        return None if self.key not in a else self.times * a[self.key] + self.shift


def parse(text: str) -> Expectation:
    """The expectation that a text says.

    Raises:
        ValueError: It is not understood; says what is.
    """
    found = _TERM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"found “{mask_value(text)}”, expected a figure, a sign and a number or A's figure, such as p95_ms <= 150, "
            "hota >= a - 0.5 or cores <= 0.7 * a"
        )
    key = found["key"]
    if key not in KEYS:
        close = difflib.get_close_matches(key, KEYS, 1)
        hint = f"did you mean “{close[0]}”?" if close else f"there are {', '.join(KEYS)}"
        raise ValueError(f"there is no figure “{key}”; {hint}")
    if key in OF_BOTH and found["number"] is None:
        raise ValueError(f"“{key}” is of both sides together, so there is none of A to compare it with; give a number")
    shift = float(found["shift"] or 0) * (-1 if found["plus"] == "-" else 1)
    number = None if found["number"] is None else float(found["number"])
    return Expectation(key, found["sign"], number, float(found["times"] or 1), shift, text.strip())


def _parsed(value: object) -> Expectation:
    if isinstance(value, Expectation):
        return value
    try:
        return parse(value if isinstance(value, str) else "")
    except ValueError as error:
        raise mistake(str(error)) from None


class Expectations(Value):
    """A file of expectations."""

    expect: tuple[Annotated[Any, BeforeValidator(_parsed)], ...] = Field(
        min_length=1, description="What must hold of B, each in words such as events.missed <= 1."
    )


def expectations(given: Sequence[str]) -> list[Expectation]:
    """Those of `--expect`, each a file or one of them by itself.

    Raises:
        ConfigError: One is not understood; of a file with its line.
    """
    found: list[Expectation] = []
    for one in given:
        if any(sign in one for sign in ("<", ">", "==")):
            try:
                found.append(parse(one))
            except ValueError as error:
                raise ConfigError(f"--expect: {error}") from None
        else:
            found += _of_file(Path(one))
    return found


def _of_file(path: Path) -> tuple[Expectation, ...]:
    document = read_document(path, _KIND, _NEEDS)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}:1: a {_KIND} is a mapping with {_NEEDS}, this one is not")
    try:
        return Expectations.model_validate(document.data).expect
    except ValidationError as error:
        schema: dict[str, Any] = {"properties": {"expect": {"type": "array", "items": {"type": "string"}}}}
        details = error.errors(include_url=False, include_input=False)
        for detail in details:
            if detail["type"] == "too_short" and len(details) > 1:
                continue  # pydantic counts only those that are understood
            place = document.places.get(detail["loc"])
            text = describe(detail, detail["loc"], place.text if place else None, schema)
            document.report(detail["loc"], text, at_key=detail["type"] == "extra_forbidden")
    raise ConfigError(told(document))


def judge(expected: Sequence[Expectation], a: Figures, b: Figures, together: Figures) -> list[Check]:
    """A check for each.

    Args:
        expected: What must hold.
        a: A's figures, medians of its runs.
        b: B's.
        together: Those of both.
    """
    return [_check(one, one.limit(a), {**b, **together}.get(one.key)) for one in expected]


def _check(one: Expectation, limit: float | None, found: float | None) -> Check:
    sign = _PRINTED.get(one.sign, one.sign)
    own = one.text.partition(one.sign)[2].strip()
    expected = f"{sign} {own}" + (f" = {_figure(limit)}" if one.number is None and limit is not None else "")
    if found is None or limit is None:
        whose = "B's" if found is None else "A's"
        return Check(what=one.key, expected=expected, found="not known", passed=False, miss=f"{whose} is not known")
    slack = _SLACK if one.sign in ("<=", ">=") else 0.0
    good = _SIGNS[one.sign](found - slack if one.sign == "<=" else found + slack, limit)
    miss = "" if good else f"{_figure(abs(found - limit))} {'too much' if found > limit else 'too little'}"
    if not good and found == limit:
        miss = "just so much"
    return Check(what=one.key, expected=expected, found=_figure(found), passed=good, miss=miss)


def _figure(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
