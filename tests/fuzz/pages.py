"""Targets of the burst report: whatever cameras, phases and logs are called, the page keeps its form."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from unittest.mock import patch
from xml.etree import ElementTree

import msgspec

from pipeline.burst.report import charts
from pipeline.burst.report.page import page
from pipeline.burst.result import BurstReport
from pipeline.document import without_control_characters
from tests.test_burst_report import canned

_VOID = {"meta", "br", "img", "link", "hr", "input"}
_NUMBERS = {"started_at", "kind"}
"""Texts that are not free: a time of this machine, and one of four words."""
_DRAWINGS = (charts.age_of_fleet, charts.age_by_camera, charts.frames, charts.processors)
"""Those with words of others in them."""


class _Skeleton(HTMLParser):
    """The elements and attributes of a page, and nothing that stands between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"{self._open} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(f"<{tag} {attrs}>")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_comment(self, data: str) -> None:
        self.found.append("a comment")

    def handle_pi(self, data: str) -> None:
        self.found.append("a processing instruction")


def document(data: bytes) -> None:
    """A page with these words everywhere is the same page with other words; the charts are left out, which are slow."""
    with patch.object(charts, "svg", lambda *_: "<svg></svg>"):
        hostile = page(_report(_words(data)))
        assert _Skeleton(hostile).found == _tame(), "words of others have become elements"
    _check_characters(hostile)


@cache
def _tame() -> list[str]:
    """The elements of a page without anything odd in it."""
    return _Skeleton(page(_report(lambda: "word"))).found


def drawing(data: bytes) -> None:
    """One chart with these words in it is well-formed, and fetches nothing."""
    draw = _DRAWINGS[data[0] % len(_DRAWINGS)] if data else _DRAWINGS[0]
    drawn = without_control_characters(charts.svg(draw, _report(_words(data[1:])), 2.5))
    # A page needs no namespaces, an XML parser does.
    root = ElementTree.fromstring(drawn.replace("<svg", '<svg xmlns:xlink="x"', 1))
    tags = {element.tag for element in root.iter()}
    assert tags <= {"svg", "g", "path", "use", "defs", "style", "text", "tspan", "clipPath", "rect", "image"}, tags
    _check_characters(drawn)


def _words(data: bytes) -> Callable[[], str]:
    """The lines of the input in turn, none of them empty."""
    words = [line for line in data.decode("utf-8", "replace").split("\n") if line.strip()] or ["word"]
    count = iter(range(1 << 30))
    return lambda: words[next(count) % len(words)]


def _report(word: Callable[[], str]) -> BurstReport:
    """A run in which everything is called by the next word; what was nothing stays so."""

    def renamed(value: object, key: object = None) -> object:
        if isinstance(value, dict):
            fields = all(isinstance(name, str) and name in _FIELDS for name in value)
            return {name if fields else f"{word()}{number}": renamed(item, name) for number, (name, item) in enumerate(value.items())}  # fmt: skip  # noqa: E501
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return word() if isinstance(value, str) and value and key not in _NUMBERS else value

    return msgspec.convert(renamed(msgspec.to_builtins(_CANNED)), BurstReport)


def _fields(value: object) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_fields, value)) if value else set()
    if isinstance(value, msgspec.Struct):
        inside = [_fields(getattr(value, name)) for name in value.__struct_fields__]
        return {*value.__struct_fields__, *set().union(*inside)}
    return set().union(*map(_fields, value.values())) if isinstance(value, dict) and value else set()


_CANNED = canned()
_FIELDS = _fields(_CANNED)


def _check_characters(text: str) -> None:
    """No control characters, which HTML has not (its standard, 13.2.3.5), nor halves of others, which UTF-8 has not."""
    text.encode()
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n\f\r" for letter in text)
