"""The arguments of this process, which every user of the machine can read, without their secrets."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from pipeline.redact import redact, redact_argument

_ARG_START, _ARG_END = 48, 49
"""Fields of /proc/self/stat (proc_pid_stat(5)): where the arguments lie in memory."""
_UsageError: Any = typer.BadParameter.__base__
"""Typer brings its own Click, or takes the one that is there."""


def mask_arguments() -> None:
    """Overwrite what is secret in them where they lie, so that `ps` shows it no more; where there is no /proc, nothing.

    Between the start and this, a tenth of a second, it was there to be seen: `${NAME}` in an address avoids that.
    """
    try:
        stat = Path("/proc/self/stat").read_text()
    except OSError:
        return
    # Behind the name, which may have spaces and brackets in it, begins field 3.
    fields = stat.rpartition(")")[2].split()
    start, end = int(fields[_ARG_START - 3]), int(fields[_ARG_END - 3])
    arguments = ctypes.string_at(start, end - start).split(b"\0")
    shown = b"\0".join(_masked(argument) for argument in arguments)
    ctypes.memmove(start, shown, len(shown))


def _masked(argument: bytes) -> bytes:
    """As long as it was."""
    return redact_argument(argument.decode("utf-8", "replace")).encode()[: len(argument)].ljust(len(argument), b"\0")


class Discreet(TyperGroup):
    """Commands whose errors repeat no secret of an argument that they do not understand."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """As its parent's."""
        self._arguments = list(sys.argv[1:] if args is None else args)
        return super().main(args, *rest, **more)

    def make_context(self, *args: Any, **more: Any) -> Any:
        """As its parent's."""
        with _masking(self._arguments):
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """As its parent's."""
        with _masking(self._arguments):
            return super().invoke(ctx)


@contextmanager
def _masking(arguments: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        for argument in arguments:
            for said in (argument, argument.partition("=")[2]):
                if "://" in said or "@" in said:
                    error.message = error.message.replace(said, redact_argument(said))
                    error.message = error.message.replace(repr(said)[1:-1], redact_argument(said))
        error.message = redact(error.message)
        raise
