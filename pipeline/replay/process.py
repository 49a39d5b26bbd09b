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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ReplayError
from pipeline.replay.options import ReplayOptions

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ServedRecordings:
    """A replay server that runs in another process."""

    urls: tuple[str, ...]
    pid: int
    _process: subprocess.Popen[str]

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
def serve_recordings(
    files: Sequence[Path | str],
    *,
    cameras: int | None = None,
    port: int = 0,
    bind: str = "127.0.0.1",
    loop: bool = True,
    ready_timeout_s: float = 30.0,
) -> Iterator[ServedRecordings]:
    """Recordings as RTSP cameras for as long as the `with` lasts, served by a child process.

    Args:
        files: recordings in H.264, HEVC, MPEG-4 part 2 or MJPEG; audio is left out.
        cameras: how many cameras to serve; files repeat under other names (`gate`, `gate-2`) and from other places.
            None: one per file.
        port: TCP port; 0 takes a free one.
        bind: address to listen on.
        loop: begin again at the end, and run whether somebody watches or not. Without it each recording starts with its
            first client and the child ends when all have been played.
        ready_timeout_s: how long to wait for the child to open the recordings and bind; this call blocks meanwhile.

    Yields:
        The served cameras; `urls` has one address per camera, in order.

    Raises:
        ReplayError: a recording cannot be served, the port cannot be had, or the child does not start.

    Example:
        >>> with serve_recordings(["gate.mp4"], cameras=6) as server:  # doctest: +SKIP
        ...     server.urls[1]
        'rtsp://127.0.0.1:40123/gate-2'
    """
    options = ReplayOptions(tuple(Path(file) for file in files), cameras, port, bind, loop)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.replay.serve", options.to_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())},
    )
    try:
        yield ServedRecordings(_await_urls(process, ready_timeout_s), process.pid, process)
    finally:
        _end(process)


def _import_path() -> list[str]:
    """Where the child finds this very package, be it installed or a working tree."""
    inherited = os.environ.get("PYTHONPATH")
    return [str(_PACKAGE_ROOT), *([inherited] if inherited else [])]


def _await_urls(process: subprocess.Popen[str], timeout_s: float) -> tuple[str, ...]:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], timeout_s)
    line = process.stdout.readline() if readable else ""
    if not line:
        reason = "it broke off" if readable else f"it said nothing within {timeout_s} s"
        raise ReplayError(f"the replay server did not start: {reason}; its messages are on standard error")
    message = json.loads(line)
    if "error" in message:
        raise ReplayError(message["error"])
    return tuple(message["urls"])


def _end(process: subprocess.Popen[str]) -> None:
    """Let the child say goodbye to its clients; kill it if it does not come to an end."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_CLOSE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
