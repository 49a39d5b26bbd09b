"""Exit codes: one table for all commands, which every `--help` and the man page name.

A script that runs a command needs to tell three things apart: that all is well, that the answer is no, and that there
was no answer. A fault of ours is none of them: Python's own 1 would say no.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

DONE, NO, MISTAKE, FAULT, INTERRUPTED, TERMINATED = 0, 1, 2, 70, 130, 143

CODES: Mapping[int, str] = {
    DONE: "Done, and all is well.",
    NO: "Done, and the answer is no: a camera does not deliver, an expectation does not hold, a figure is worse. "
    "Or nobody reads the output any more.",
    MISTAKE: "Not done: there is a mistake in a file, an option or what is around, which one message names. "
    "The same again will fail again until it is mended.",
    FAULT: "Not done: a fault of camfleet's own, with a traceback to report (EX_SOFTWARE of sysexits.h).",
    INTERRUPTED: "Ended by Ctrl-C before it was done. A fleet that runs is done then: run says 0 or 1.",
    TERMINATED: "Ended by SIGTERM, or with its terminal, before it was done; run, replay and sink are done then.",
}
"""What each code means; signals as shells have them, 128 and the signal's number."""

_SHORT = "Exit codes: 0 well · 1 the answer is no · 2 a mistake · 70 a fault · 130 Ctrl-C (camfleet --help says more)"


def name_exit_codes(app: typer.Typer, *, in_full: bool = True) -> None:
    """Let the help of `app` end with the table, and that of all its commands with a line of it."""
    if in_full:
        lines = (f"{code:>4}  {meaning}" for code, meaning in CODES.items())
        app.info.epilog = "\n\n".join(("Exit codes, the same for all commands:", *lines))
    for command in app.registered_commands:
        command.epilog = _SHORT
    for group in app.registered_groups:
        group.epilog = _SHORT
        if group.typer_instance is not None:
            name_exit_codes(group.typer_instance, in_full=False)
