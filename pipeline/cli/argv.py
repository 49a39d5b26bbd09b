"""The arguments of this process, which every user of the machine can read, without their secrets."""

from __future__ import annotations

import ctypes
from pathlib import Path

from pipeline.redact import redact

_ARG_START, _ARG_END = 48, 49
"""Fields of /proc/self/stat (proc_pid_stat(5)): where the arguments lie in memory."""


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
    return redact(argument.decode("utf-8", "replace")).encode()[: len(argument)].ljust(len(argument), b"\0")
