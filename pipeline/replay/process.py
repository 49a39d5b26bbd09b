"""The replay server in a process of its own, so that it shares neither GIL nor loop with the fleet it feeds.

The child ends with its parent, however that ends: it holds the reading end of a pipe that nobody writes to, which
breaks when the parent is gone.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from pipeline.errors import ReplayError
from pipeline.replay.faults import Fault, Order, check_fault
from pipeline.replay.options import ReplayOptions

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_CLOSE_TIMEOUT_S = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServedRecordings:
    """A replay server that runs in another process.

    Attributes:
        urls: One address per camera, in order; without credentials.
        names: The cameras' names, as in their addresses.
        pid: Of the server's process.
    """

    urls: tuple[str, ...]
    names: tuple[str, ...]
    pid: int
    _process: subprocess.Popen[bytes]

    def inject(self, camera: str, fault: Fault) -> None:
        """Let something go wrong with one camera, from now on; returns at once.

        Raises:
            ReplayError: there is no such camera, it cannot have this fault, or the server has ended.
        """
        check_fault(fault, self.names, camera)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(Order(camera, fault).to_line())
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise ReplayError("the replay server has ended; nothing can go wrong with its cameras any more") from error

    def wait(self, timeout_s: float) -> int:
        """The exit status of a server without `loop` once all was played to the end; blocks.

        Raises:
            ReplayError: it still serves after `timeout_s`.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ReplayError(f"the replay server still serves after {timeout_s} s") from error


@contextmanager
def serve_recordings(options: ReplayOptions, *, ready_timeout_s: float = 30.0) -> Iterator[ServedRecordings]:
    """Recordings as RTSP cameras for as long as the `with` lasts, served by a child process.

    Args:
        options: What to serve, and how. A password in it reaches the child by a pipe, and nobody else.
        ready_timeout_s: How long to wait for the child to open the recordings and bind; this call blocks meanwhile.

    Yields:
        The served cameras; `urls` has one address per camera, in order.

    Raises:
        ReplayError: A recording cannot be served, the port cannot be had, or the child does not start.

    Example:
        >>> options = ReplayOptions((Path("gate.mp4"),), cameras=6)
        >>> with serve_recordings(options) as server:  # doctest: +SKIP
        ...     server.inject("gate-2", Fault("freeze", 5))
        ...     server.urls[1]
        'rtsp://127.0.0.1:40123/gate-2'
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.replay.serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())},
    )
    try:
        yield _await_ready(process, options, ready_timeout_s)
    finally:
        _end(process)


def _import_path() -> list[str]:
    """Where the child finds this very package, be it installed or a working tree."""
    inherited = os.environ.get("PYTHONPATH")
    return [str(_PACKAGE_ROOT), *([inherited] if inherited else [])]


def _await_ready(process: subprocess.Popen[bytes], options: ReplayOptions, timeout_s: float) -> ServedRecordings:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(options.to_json() + b"\n")
        process.stdin.flush()
        readable, _, _ = select.select([process.stdout], [], [], timeout_s)
    except BrokenPipeError:
        readable = [process.stdout]
    line = process.stdout.readline() if readable else b""
    if not line:
        reason = "it broke off" if readable else f"it said nothing within {timeout_s} s"
        raise ReplayError(f"the replay server did not start: {reason}; its messages are on standard error")
    message = json.loads(line)
    if "error" in message:
        raise ReplayError(message["error"])
    return ServedRecordings(tuple(message["urls"]), tuple(message["names"]), process.pid, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the child say goodbye to its clients; kill it if it does not come to an end."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.close()
    except BrokenPipeError:
        _log.debug("the replay server had ended before")
    try:
        process.wait(_CLOSE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
