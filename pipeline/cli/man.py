"""`camfleet man`: the manual page, made from the command line itself, so that it says what the commands do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

ENVIRONMENT = {
    "CAMFLEET_LOG_FORMAT": "text or json: how log lines are written where --log-format does not say.",
    "CAMFLEET_LOG_LEVEL": "debug, info, warning or error: the least level of log lines, likewise.",
    "CAMFLEET_KEY, CAMFLEET_SERVER_KEY": "The key files of a reader, where a fleet wants a key.",
    "CAMFLEET_REPLAY_PASSWORD": "The password that camfleet replay asks for.",
    "XDG_RUNTIME_DIR": "Where running fleets are found; a fleet of another user is in that user's.",
    "XDG_CACHE_HOME": "Where converted and compiled models are kept (~/.cache).",
    "XDG_STATE_HOME": "Where results wait that a sink has not got rid of (~/.local/state).",
    "NOTIFY_SOCKET, WATCHDOG_USEC": "Set by systemd: camfleet run says when it is ready, and that it is alive.",
}
_MARKUP = re.compile(r"(?<!\\)\[(?:/|/?(?:bold|dim|italic|red|green|yellow|cyan))\]")
"""What Rich takes for a style, such as [bold]."""


def man(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of printing.")
    ] = None,
) -> None:
    """Print the manual page: every command and option, exit codes, and variables of the environment.

    Example: camfleet man | man -l -
             camfleet man --output ~/.local/share/man/man1/camfleet.1
    """
    from pipeline.errors import ConfigError

    text = page()
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from error


def page() -> str:
    """The manual page in roff (man(7))."""
    from typer.main import get_command

    from pipeline.cli import app
    from pipeline.cli.exits import CODES

    root = get_command(app)
    lines = [
        f'.TH CAMFLEET 1 "" "{_escaped(_version())}" "User Commands"',
        ".SH NAME",
        _escaped(f"camfleet - {_first(root.help)}"),
        ".SH SYNOPSIS",
        r".B camfleet",
        r".I COMMAND",
        r"[\fIOPTION\fR]... [\fIARGUMENT\fR]...",
        ".SH DESCRIPTION",
        *_paragraphs(root.help),
        ".SH OPTIONS",
        *_options(root),
        ".SH COMMANDS",
    ]
    for name, command in _commands(root, "camfleet"):
        lines += [f".SS {_escaped(_synopsis(name, command))}", *_paragraphs(command.help), *_options(command)]
    lines += [".SH EXIT STATUS", "The same for all commands."]
    lines += _terms({str(code): meaning for code, meaning in CODES.items()}.items())
    lines += [".SH ENVIRONMENT", *_terms(ENVIRONMENT.items())]
    lines += [".SH SEE ALSO", r".BR systemd.service (5),", r".BR journalctl (1)"]
    return "\n".join(lines) + "\n"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"camfleet {version('camfleet')}"
    except PackageNotFoundError:
        return "camfleet"


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name, in alphabetical order."""
    for own, command in sorted(group.commands.items()):
        if getattr(command, "hidden", False):
            continue
        if getattr(command, "commands", None):
            yield from _commands(command, f"{name} {own}")
        else:
            yield f"{name} {own}", command


def _synopsis(name: str, command: Any) -> str:
    arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    return " ".join((name, "[OPTION]...", *arguments))


def _argument(argument: Any) -> str:
    shown = argument.metavar or argument.name.upper()
    shown = f"{shown}..." if argument.nargs == -1 and "…" not in shown else shown
    return shown if argument.required else f"[{shown}]"


def _options(command: Any) -> list[str]:
    """Arguments and options with their meaning, as the help without colours has them."""
    context = typer.Context(command)
    records = (one.get_help_record(context) for one in command.params)
    return _terms(record for record in records if record is not None)


def _terms(told: Iterable[tuple[str, str]]) -> list[str]:
    """Terms in bold, each with its meaning indented below."""
    lines = []
    for term, meaning in told:
        lines += [".TP", rf"\fB{_escaped(term)}\fR", _escaped(_plain(meaning)) or r"\&"]
    return lines


def _paragraphs(text: str | None) -> list[str]:
    """Paragraphs filled, and lines that are indented as they are."""
    lines: list[str] = []
    for line in _plain(text or "").splitlines():
        if not line.strip():
            continue
        if line[0].isspace():
            lines += [".nf", _escaped(line), ".fi"]
        else:
            lines += [".PP", _escaped(line)]
    return lines


def _first(text: str | None) -> str:
    return _plain(text or "").split("\n", 1)[0].strip().rstrip(".").lower()


def _plain(text: str) -> str:
    """`text` without what Rich takes for a style."""
    return _MARKUP.sub("", text).replace("\\[", "[").replace("\f", "\n")


def _escaped(text: str) -> str:
    """A line of text as roff takes it: nothing in it is a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
