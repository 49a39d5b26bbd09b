"""Logs: state changes, one line each, to stderr; credentials masked whatever they hide in.

How many lines a camera is worth is not for the camera to choose: one whose time jumps with every frame began a session
with each, 25 lines a second for as long as it liked. So the lines about one camera have a rate; those beyond it are
counted, and the next that is written says how many.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import MutableMapping
from typing import Any, Literal, cast, get_args

import structlog

from pipeline.errors import ConfigError
from pipeline.redact import redact
from pipeline.stderr import make_stderr_lossy

LogFormat = Literal["text", "json"]
LOG_FORMAT = "CAMFLEET_LOG_FORMAT"
"""The environment variable that hands the format on to the processes of a fleet."""
LOG_LEVEL = "CAMFLEET_LOG_LEVEL"
"""The same for the least level that they write."""

LINES_AT_ONCE = 20
"""Lines about one camera that are written as they come: ten tries to open it, or ten sessions."""
LINES_PER_S = 1.0
"""And for long: what a person still reads; 86,400 a day are some 10 MB."""

_ALWAYS = ("error", "exception", "critical")

_TEXT_TIME = "%Y-%m-%d %H:%M:%S"
_JSON_TIME = "%Y-%m-%dT%H:%M:%S.%f%z"


class LineLimit:
    """Which lines about one camera are written; time is an argument. Not thread-safe: a line may be miscounted."""

    def __init__(self, now_s: float) -> None:
        self._left, self._at_s = float(LINES_AT_ONCE), now_s
        self._left_out = 0

    def admit(self, now_s: float) -> int | None:
        """Of a line to be written now: how many before it were left out; None if it is left out itself."""
        self._refill(now_s)
        if self._left < 1:
            self._left_out += 1
            return None
        self._left -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out

    def owes(self, now_s: float) -> bool:
        """Whether lines were left out, and there is room to say so."""
        self._refill(now_s)
        return self._left_out > 0 and self._left >= 1

    def _refill(self, now_s: float) -> None:
        self._left = min(float(LINES_AT_ONCE), self._left + (now_s - self._at_s) * LINES_PER_S)
        self._at_s = now_s


class _Limits:
    """The processor that leaves lines out."""

    def __init__(self, about: str | None) -> None:
        """Start with all the room there is.

        Args:
            about: The camera that all lines of this process are about; None where those that are name it.
        """
        self._about = about
        self._cameras: dict[str, LineLimit] = {}

    def __call__(
        self, logger: structlog.typing.WrappedLogger, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        camera_id = event.get("camera_id", self._about)
        # What is an error ends something, so there are few, and each is needed.
        if camera_id is None or method in _ALWAYS:
            return event
        now_s = time.monotonic()
        left_out = self._cameras.setdefault(camera_id, LineLimit(now_s)).admit(now_s)
        if left_out is None:
            raise structlog.DropEvent
        return {**event, "lines_left_out": left_out} if left_out else event

    def tell(self) -> None:
        """Write what is owed."""
        for camera_id, limit in list(self._cameras.items()):
            if limit.owes(time.monotonic()):
                named = {} if camera_id == self._about else {"camera_id": camera_id}
                structlog.get_logger().warning("the camera gives too much to log", **named)


_limits = _Limits(None)


def tell_left_out() -> None:
    """Say how many lines about a camera were left out, if no other line has since; to be called now and then."""
    _limits.tell()


def configure_logs(process: str, *, level: str = "info", camera_id: str | None = None) -> None:
    """Make structlog of this process write lines that begin with date and time, and carry its name.

    The format is that of `choose_log_format`, here or in a process above: lines for people, or one JSON object a line.
    Lines that cannot be written are lost, and end nothing.

    Args:
        process: Such as `camera gate` or `worker`.
        level: The least level that is written: debug, info, warning or error.
        camera_id: The camera that all lines are about; without it, lines are about one if they have a `camera_id`.

    Raises:
        ConfigError: The environment asks for a format that does not exist.
    """
    global _limits
    make_stderr_lossy()
    _limits = _Limits(camera_id)
    as_json = log_format() == "json"
    structlog.configure(
        processors=[
            _limits,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=_JSON_TIME if as_json else _TEXT_TIME, utc=False),
            _name(process),
            *([structlog.processors.format_exc_info] if as_json else []),
            _mask,
            structlog.processors.JSONRenderer()
            if as_json
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(max(_number(level), _number(_least_level()))),
        # Asked for every line: stderr may be another file by then.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def choose_log_format(log_format: LogFormat) -> None:
    """Let this process, and those it starts from now on, write their logs so; before `configure_logs`."""
    os.environ[LOG_FORMAT] = log_format


def choose_log_level(level: str) -> None:
    """Let this process, and those it starts from now on, write no line below this level; before `configure_logs`."""
    os.environ[LOG_LEVEL] = level


def _least_level() -> str:
    """What a process above has chosen; whatever else stands there leaves nothing out."""
    found = os.environ.get(LOG_LEVEL, "")
    return found if found.upper() in logging.getLevelNamesMapping() else "debug"


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


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
