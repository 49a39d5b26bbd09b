"""Progress of commands that work in steps: bars with the time left on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def steps() -> Iterator[Callable[[str, float], Callable[[float], None]]]:
    """Begins a step of so many parts; the function that this returns tells how many are done.

    On stderr, because stdout is for the result.
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
                typer.echo(f"{words} …", err=True)
            task = progress.add_task(words, total=total)
            return lambda done: progress.update(task, completed=min(done, total))

        yield step
