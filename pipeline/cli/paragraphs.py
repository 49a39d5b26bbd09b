"""The paragraphs of `--help`, as wide as the terminal: not broken where the lines of the source end.

Typer joins the lines of a help text's first paragraph only; in all others, each line break of the docstring would be
one on the screen, and on a narrow terminal a word or two of every line would stand alone.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def join_lines(app: typer.Typer) -> None:
    """Let the help of all commands of `app`, of its groups and of theirs be joined by paragraphs."""
    for command in app.registered_commands:
        command.help = joined(command.help or inspect.getdoc(command.callback) or "")
    if (callback := app.registered_callback) is not None:
        callback.help = joined(callback.help or inspect.getdoc(callback.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            join_lines(group.typer_instance)


def joined(text: str) -> str:
    """`text` with a line for each paragraph; a line that is indented, such as an example's, keeps its own."""
    lines: list[str] = []
    for line in text.split("\n"):
        flows = lines and lines[-1] and not lines[-1][0].isspace() and line and not line[0].isspace()
        if flows:
            lines[-1] += " " + line
        else:
            lines.append(line)
    return "\n".join(lines)
