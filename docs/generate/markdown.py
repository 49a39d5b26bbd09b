"""Text of the code as Markdown: words that must not become markup, docstrings, and what stands for a value."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Example|Examples):$")
_ITEM = re.compile(r"^(?P<name>[*\w.]+(?:, [\w.]+)*): (?P<text>.*)$")
_TITLES = {"Args": "Arguments", "Examples": "Example"}
_CODE = re.compile(r"(`[^`]+`)")
_MARKUP = re.compile(r"([*<\[\]])")


def plain(text: str) -> str:
    """`text` so that nothing in it is taken for markup but what stands in backticks."""
    parts = _CODE.split(text)
    return "".join(part if part.startswith("`") else _MARKUP.sub(r"\\\1", part) for part in parts)


def value(found: object) -> str:
    """A value as a YAML file would have it."""
    return json.dumps(found, ensure_ascii=False)


def defined(term: str, text: str) -> str:
    """A definition: the term on a line of its own, what it means below."""
    inside = text.strip().replace("\n", "\n  ")
    return f"{term}\n: {inside}\n"


def docstring(documented: object) -> str:
    """The docstring of a class or function as Markdown: paragraphs, indented code, and sections as definitions."""
    return prose(inspect.getdoc(documented) or "")


def prose(text: str) -> str:
    """The same of a text that is written as a docstring."""
    parts = []
    for title, lines in _sections(text):
        if title is None:
            parts.append("\n".join(_paragraphs(lines)))
        elif title.startswith("Example"):
            parts.append(f"*{_TITLES.get(title, title)}*\n\n" + _code("\n".join(lines)))
        else:
            items = "\n".join(defined(f"`{name}`", plain(words)) for name, words in _items(lines))
            parts.append(f"*{_TITLES.get(title, title)}*\n\n{items}" if items else "\n".join(_paragraphs(lines)))
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _sections(text: str) -> Iterator[tuple[str | None, list[str]]]:
    """What stands before any title, and under each."""
    title: str | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        if found := _SECTION.match(line):
            yield title, lines
            title, lines = found[1], []
        elif title is not None and line and not line.startswith(" "):
            yield title, lines
            title, lines = None, [line]
        else:
            lines.append(line)
    yield title, lines


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Lines of words as they are; lines that are indented below an empty one as code."""
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        is_list = block.startswith(("- ", "1. "))
        yield (_code(block) if block.startswith("    ") else block if is_list else plain(block)) + "\n"


def _items(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Name and text of each item of a section, its further lines joined."""
    name, words = "", []
    for line in inspect.cleandoc("\n".join(lines)).split("\n"):
        found = None if line.startswith(" ") else _ITEM.match(line)
        if found:
            if name:
                yield name, " ".join(words)
            name, words = found["name"], [found["text"]]
        elif line.strip():
            words.append(line.strip())
    if name:
        yield name, " ".join(words)


def _code(block: str) -> str:
    code = inspect.cleandoc("\n" + block)
    language = "pycon" if code.startswith(">>>") else "text"
    return f"```{language}\n{code}\n```"
