"""Zones and lines as somebody draws them: written as a fleet file has them, and checked as one is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from pipeline.config.locate import YAML_WORDS, Mistake, read_text
from pipeline.config.rulesfile import check_rules

DECIMALS = 3
"""Of a corner, a share of the picture: a pixel of a picture 1000 px wide."""
_WIDTH = 100_000
"""Of a line: a polygon is never broken in two."""
_INDENT = "    "
"""Where `zones` stands in a fleet file: under `cameras` and the camera's name."""
_OF = "drawn"

Section = Literal["zones", "lines"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A zone or line; nothing of it is checked yet.

    Attributes:
        section: Which of them.
        name: As it is to be called.
        keys: Those of a fleet file, `polygon` or `points` among them.
    """

    section: Section
    name: str
    keys: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A mistake, in the words of `camfleet check`.

    Attributes:
        section: Where it is; empty if it is everywhere.
        name: Of the zone or line; None if it is of none alone.
        key: Of what in it; empty if of all.
        text: What is wrong, and what to do.
    """

    section: str
    name: str | None
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was drawn, as a fleet file says it.

    Attributes:
        yaml: What is right of it, to be pasted under the camera's name; empty where nothing is.
        mistakes: Of the rest.
    """

    yaml: str
    mistakes: tuple[Wrong, ...]


def check_drawn(drawn: Sequence[Drawn]) -> Checked:
    """Check all zones and lines of one camera; corners are rounded before."""
    rounded = [Drawn(one.section, one.name, _rounded(one.keys)) for one in drawn]
    text = _yaml(rounded)
    mistakes = _mistakes(text)
    if not mistakes:
        return Checked(text, ())
    wrong = {(one.section, one.name) for one in mistakes}
    right = _yaml([one for one in rounded if (one.section, one.name) not in wrong])
    of_all = any(one.name is None for one in mistakes)
    return Checked("" if of_all or _mistakes(right) else right, mistakes)


def _mistakes(text: str) -> tuple[Wrong, ...]:
    """By the very words and code that check a file, on the text that would be pasted."""
    if not text:
        return ()
    document = read_text(f"cameras:\n  camera:\n{text}", _OF)
    check_rules(document)
    return tuple(_wrong(one) for one in sorted(document.mistakes, key=lambda one: (one.line, one.column)))


def _wrong(mistake: Mistake) -> Wrong:
    of = [str(step) for step in mistake.path[2:]]
    # Where a name is there twice a file's lines are told, which nobody sees here.
    text = mistake.text.partition(", in line")[0]
    return Wrong("".join(of[:1]), of[1] if len(of) > 1 else None, ".".join(of[2:]), text)


def _rounded(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _round(value) if key in ("polygon", "points") else value for key, value in keys.items()}


def _round(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_round(item) for item in value]
    if isinstance(value, float):
        value = round(value, DECIMALS)
        return int(value) if value == int(value) else value
    return value


def _yaml(drawn: Sequence[Drawn]) -> str:
    """As in a fleet file, indented as there; names may be there twice, which is a mistake and to be told."""
    sections = []
    for section in ("zones", "lines"):
        named = _Pairs((one.name, _Pairs(one.keys.items())) for one in drawn if one.section == section)
        if named:
            sections.append((section, named))
    if not sections:
        return ""
    text = yaml.dump(_Pairs(sections), Dumper=_Dumper, width=_WIDTH, allow_unicode=True)
    return textwrap.indent(text, _INDENT)


class _Pairs(list[tuple[str, Any]]):
    """A mapping whose keys may be there twice."""


class _Dumper(yaml.SafeDumper):
    """Mappings in lines, lists and attributes in brackets; text of YAML 1.2 needs no quotes, as `on` of a zone."""

    yaml_implicit_resolvers = YAML_WORDS

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is written as “the same as above”."""
        return True


_Dumper.add_representer(
    _Pairs, lambda dumper, pairs: dumper.represent_mapping("tag:yaml.org,2002:map", pairs, flow_style=False)
)
_Dumper.add_representer(
    dict, lambda dumper, pairs: dumper.represent_mapping("tag:yaml.org,2002:map", pairs.items(), flow_style=True)
)
_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
