"""Code blocks of the manual and the README, and the commands that are in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer

from docs.generate import manual
from pipeline.cli import app

ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MENTION = re.compile(r"`camfleet ([a-z][^`\n]*)`")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_ENDS = frozenset({"|", "&&", "||", ";", "|&"})


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code in a page.

    Attributes:
        page: Where it is, such as guides/keep.
        number: Which of the page's blocks, from 1.
        language: What stands behind the fence.
        code: Without the fence.
    """

    page: str
    number: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


@cache
def pages() -> dict[str, str]:
    """All Markdown that people read: the manual as it is built, and the README."""
    return {**manual(), "README": (ROOT / "README.md").read_text("utf-8")}


def blocks(language: str) -> list[Block]:
    """Every block of a language, in the order of the pages."""
    found = []
    for page, text in pages().items():
        for number, fence in enumerate(_FENCE.finditer(text), 1):
            if fence["language"] == language:
                code = re.sub(rf"^{fence['indent']}", "", fence["code"], flags=re.MULTILINE)
                found.append(Block(page, number, language, code))
    return found


def commands_in(block: Block) -> Iterator[list[str]]:
    """The words of each command at a prompt, without comments, assignments before it and where its output goes."""
    for line in block.code.replace("\\\n", " ").split("\n"):
        if line.startswith("$ "):
            yield from _parted(line[2:])


def _parted(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    command: list[str] = []
    words = iter(lexer)
    for word in words:
        if word in _ENDS:
            yield command
            command = []
        elif word.startswith((">", "<")):
            if command and command[-1].isdecimal():
                del command[-1]
            next(words, None)
        elif command or not _ASSIGNMENT.match(word):
            command.append(word)
    if command:
        yield command


def mentions() -> list[tuple[str, str]]:
    """Commands that stand in sentences: the page, and the words in backticks."""
    found = []
    for page, text in pages().items():
        sentences = _FENCE.sub("", text)
        found += [(page, words) for words in _MENTION.findall(sentences) if "…" not in words and "COMMAND" not in words]
    return found


def parse(words: list[str]) -> str:
    """Take the words after `camfleet` as the command line would, and do nothing; the command that they name.

    Raises:
        Exception: Click's: there is no such command or option, or a value is none that it takes.
    """
    path, rest, command = descend(words)
    if not hasattr(command, "commands"):
        command.make_context(path, rest)
    return path


def descend(words: list[str]) -> tuple[str, list[str], Any]:
    """The command that words name: its own words, those that are left, and what Typer made of it."""
    command: Any = typer.main.get_command(app)
    path, rest = [], list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if path == ["burst"] and rest[0] not in command.commands:
            rest.insert(0, "run")
        name = rest.pop(0)
        assert name in command.commands, f"camfleet {' '.join([*path, name])} is no command"
        command = command.commands[name]
        path.append(name)
    return " ".join(path), rest, command
