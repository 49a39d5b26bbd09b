"""`--log-format` and `--log-level`, as all commands have them that run until they are told to end."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

LogFormatOption = Annotated[
    Literal["text", "json"] | None,
    typer.Option(
        "--log-format",
        help="Log lines of all processes: for people, or one JSON object each. Without it, what CAMFLEET_LOG_FORMAT "
        "says, else text on a terminal and JSON elsewhere.",
        show_default=False,
    ),
]
LogLevelOption = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(
        "--log-level",
        help="The least level that is written. Without it, what CAMFLEET_LOG_LEVEL says, else info.",
        show_default=False,
    ),
]


def begin_logs(process: str, log_format: Literal["text", "json"] | None, log_level: str | None) -> None:
    """Let this process, called `process`, and those that it starts write their logs as was asked, or as suits stderr.

    Raises:
        ConfigError: The environment asks for a format that does not exist.
    """
    import os
    import sys

    from pipeline.logs import LOG_FORMAT, choose_log_format, choose_log_level, configure_logs

    if log_format is None and LOG_FORMAT not in os.environ:
        log_format = "text" if sys.stderr is not None and sys.stderr.isatty() else "json"
    if log_format is not None:
        choose_log_format(log_format)
    if log_level is not None:
        choose_log_level(log_level)
    configure_logs(process)
