"""Logs: state changes, one line each, to stderr; credentials masked whatever they hide in."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, cast, get_args

import structlog

from pipeline.errors import ConfigError
from pipeline.redact import redact
from pipeline.stderr import make_stderr_lossy

LogFormat = Literal["text", "json"]
LOG_FORMAT = "CAMFLEET_LOG_FORMAT"
"""The environment variable that hands the format on to the processes of a fleet."""

_TEXT_TIME = "%Y-%m-%d %H:%M:%S"
_JSON_TIME = "%Y-%m-%dT%H:%M:%S.%f%z"


def configure_logs(process: str, *, level: str = "info") -> None:
    """Make structlog of this process write lines that begin with date and time, and carry its name.

    The format is that of `choose_log_format`, here or in a process above: lines for people, or one JSON object a line.
    Lines that cannot be written are lost, and end nothing.

    Args:
        process: Such as `camera gate` or `worker`.
        level: The least level that is written: debug, info, warning or error.

    Raises:
        ConfigError: The environment asks for a format that does not exist.
    """
    make_stderr_lossy()
    as_json = log_format() == "json"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=_JSON_TIME if as_json else _TEXT_TIME, utc=False),
            _name(process),
            *([structlog.processors.format_exc_info] if as_json else []),
            _mask,
            structlog.processors.JSONRenderer()
            if as_json
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Asked for every line: stderr may be another file by then.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def choose_log_format(log_format: LogFormat) -> None:
    """Let this process, and those it starts from now on, write their logs so; before `configure_logs`."""
    os.environ[LOG_FORMAT] = log_format


def log_format() -> LogFormat:
    """The format of this process's log lines.

    Raises:
        ConfigError: The environment asks for one that does not exist.
    """
    found = os.environ.get(LOG_FORMAT, "text")
    if found not in get_args(LogFormat):
        raise ConfigError(f"{LOG_FORMAT}: found “{found}”, expected text or json")
    return cast(LogFormat, found)


def _name(process: str) -> structlog.typing.Processor:
    def add(
        logger: structlog.typing.WrappedLogger, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    return add


def _mask(
    logger: structlog.typing.WrappedLogger, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)
    return event
