"""Words for people that cannot be written are lost, and nothing else is.

A disk is full, the reader of a pipe has gone, a terminal was closed: none of that may end a fleet that runs. So stderr
and the live table's terminal are written through a stream that never raises.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class _Lossy(io.RawIOBase):
    """A file descriptor that takes everything; what it cannot write is gone."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def write(self, data: Any, /) -> int:
        """All of `data`, or as much as can be written."""
        rest = memoryview(data).cast("B")
        whole = len(rest)
        with suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return whole

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether people look at it."""
        return os.isatty(self._descriptor)


def lossy(descriptor: int) -> TextIO:
    """A text stream onto this descriptor, unbuffered, that never raises; it does not close the descriptor."""
    # Raw is allowed beneath text, as Python itself does with -u; typeshed does not know.
    return io.TextIOWrapper(_Lossy(descriptor), errors="backslashreplace", write_through=True)  # type: ignore[type-var]


def make_stderr_lossy() -> None:
    """Let no line to stderr raise in this process. Without effect where another stream has been put in its place."""
    if sys.stderr is None:  # The caller closed it; its number may be another file by now.
        sys.stderr = lossy(os.open(os.devnull, os.O_WRONLY))
    elif sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = lossy(sys.stderr.fileno())


def make_stdout_forgiving() -> None:
    """Let no character that the caller's encoding lacks raise when something is printed."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
