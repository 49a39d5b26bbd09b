"""The command line, from the commands themselves: what each does, its arguments and options, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from docs.generate.markdown import defined, plain
from pipeline.cli import app
from pipeline.cli.exits import CODES
from pipeline.cli.man import ENVIRONMENT

_RICH = re.compile(r"\[/?[a-z ]*\]")
_EXAMPLE = re.compile(r"^Examples?: ", re.MULTILINE)
_KINDS = {"int": "N", "integer": "N", "float": "NUMBER", "path": "PATH", "str": "TEXT", "text": "TEXT"}
"""Typer's words for types, as the manual has them."""
_OUTCOME = re.compile(r"[Ee]xit codes? .*", re.DOTALL)


def every_command() -> Iterator[tuple[str, Any]]:
    """The words of each command that does something, such as `camera add`, and what Typer made of it."""
    yield from _below(typer.main.get_command(app), "")


def _below(group: Any, words: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        path = f"{words} {name}".strip()
        if hasattr(command, "commands"):
            yield from _below(command, path)
        elif not command.hidden:
            yield path, command


def overview() -> str:
    """What each command is for, in the first sentence of its help."""
    rows = [f"| [`{path}`](#{_slug(path)}) | {plain(_first_sentence(command))} |" for path, command in every_command()]
    return "\n".join(("| command | does |", "|---|---|", *rows)) + "\n"


def commands() -> str:
    """A section for each command."""
    return "\n".join(_section(path, command) for path, command in every_command())


def outcomes() -> str:
    """What each command says of its exit codes."""
    return "\n".join(defined(f"`camfleet {path}`", plain(said)) for path, said in every_outcome())


def exit_codes() -> str:
    """The table of exit codes."""
    rows = [f"| {code} | {plain(meaning)} |" for code, meaning in CODES.items()]
    return "\n".join(("| code | means |", "|---|---|", *rows)) + "\n"


def variables() -> str:
    """What is read from the environment."""
    rows = [f"| `{names.replace(', ', '`, `')}` | {plain(words)} |" for names, words in ENVIRONMENT.items()]
    return "\n".join(("| variable | for |", "|---|---|", *rows)) + "\n"


def every_outcome() -> Iterator[tuple[str, str]]:
    """Commands whose help, or that of an option, speaks of exit codes; and what it says."""
    for path, command in every_command():
        texts = [*_paragraphs(command.help or ""), *(getattr(one, "help", "") or "" for one in command.params)]
        said = [_outcome(text) for text in texts if _OUTCOME.search(text)]
        if said:
            yield path, " ".join(" ".join(said).split())


def _outcome(text: str) -> str:
    """What a text says of exit codes; all of it where that is a part of its sentence."""
    found = _OUTCOME.search(text)
    assert found is not None, "asked only where it says something"
    words = text if text[: found.start()].endswith("the ") else found[0]
    return words[:1].upper() + words[1:]


def options_of(command: Any) -> list[Any]:
    """What a command takes, arguments first, without `--help`."""
    known = [one for one in command.params if "--help" not in one.opts and not getattr(one, "hidden", False)]
    return sorted(known, key=lambda one: one.param_type_name != "argument")


def _first_sentence(command: Any) -> str:
    sentence = _paragraphs(command.help or "")[0].split(". ")[0].strip().rstrip(".")
    return f"{sentence}."


def _slug(path: str) -> str:
    """The anchor of a command's section."""
    return f"camfleet-{path.replace(' ', '-')}"


def _section(path: str, command: Any) -> str:
    parts = [f"## `camfleet {path}`", f"```text\n{_usage(path, command)}\n```"]
    parts += [_paragraph(text) for text in _paragraphs(command.help or "")]
    context = command.make_context(path, [], resilient_parsing=True)
    parts += [_option(one, context) for one in options_of(command)]
    return "\n\n".join(parts) + "\n"


def _usage(path: str, command: Any) -> str:
    words = ["camfleet", path]
    words += ["[OPTIONS]"] if any(one.param_type_name == "option" for one in options_of(command)) else []
    words += [_argument(one) for one in options_of(command) if one.param_type_name == "argument"]
    return " ".join(words)


def _argument(one: Any) -> str:
    name = (one.metavar or one.name.upper()).strip("[]") + ("..." if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _paragraphs(text: str) -> list[str]:
    return [block for block in re.split(r"\n\s*\n", _RICH.sub("", text)) if block.strip()]


def _paragraph(block: str) -> str:
    if _EXAMPLE.match(block):
        lines = [line.strip() for line in _EXAMPLE.sub("", block).split("\n")]
        return "```console\n" + "\n".join(f"$ {line}" for line in lines if line) + "\n```"
    if block.startswith("    "):
        return "```text\n" + "\n".join(line[4:] for line in block.split("\n")) + "\n```"
    return plain(block)


def _option(one: Any, context: Any) -> str:
    if one.param_type_name == "argument":
        return defined(f"`{_argument(one)}`", plain(one.help or "") + _default(one))
    names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
    takes = f" *{plain(kind)}*" if (kind := _kind(one, context)) else ""
    return defined(f"{names}{takes}", plain(one.help or "") + _default(one) + _variable(one))


def _kind(one: Any, context: Any) -> str:
    """What an option takes, as its help shows it behind the names; empty for a switch."""
    shown = one.get_help_record(context)[0]
    last = max(shown.rfind(name) + len(name) for name in (*one.opts, *one.secondary_opts))
    kind = shown[last:].strip().strip("<>")
    return _KINDS.get(kind.lower().removesuffix(" range"), kind)


def _default(one: Any) -> str:
    if one.required or getattr(one, "is_flag", False):
        return ""
    default = one.default() if callable(one.default) else one.default
    shown = one.show_default if isinstance(one.show_default, str) else default
    if one.show_default is False or shown in (None, "", (), []):
        return ""
    return f" Default: `{shown:g}`." if isinstance(shown, float) else f" Default: `{shown}`."


def _variable(one: Any) -> str:
    return f" Environment variable: `{one.envvar}`." if getattr(one, "envvar", None) else ""
