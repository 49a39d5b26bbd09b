"""Progress of commands that work in steps: bars with the time left on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Step = Callable[[str, float], Callable[[float], None]]
    """Begins a step with its words and length; what it gives tells how far the step is."""


@contextlib.contextmanager
def steps(doing: str = "") -> Iterator[Step]:
    """Begins a step of so many parts, or of 0 where nobody knows; the function this returns tells how many are done.

    On stderr, because stdout is for the result. Where that is no terminal, `doing` goes before the words of each step.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:

        def step(words: str, total: float) -> Callable[[float], None]:
            if progress.disable:
                typer.echo(f"{doing} {words} …".lstrip(), err=True)
            task = progress.add_task(words, total=total or None)
            return lambda done: progress.update(task, completed=min(done, total) if total else 0.0)

        yield step
