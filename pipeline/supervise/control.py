"""The control socket of a running fleet: ask how it is, and change it.

A UNIX socket in the run's directory, which only its owner may enter; file permissions are the only key. One request a
connection, one line of JSON each way:

    {"command": "status"}                                → {"ok": true, "result": {"fleet": …, "processes": […]}}
    {"command": "rules", "known": "5f3a…"}               → {"ok": true, "result": {"version": "5f3a…", "cameras": null}}
    {"command": "reload"}                                → {"ok": true, "result": {"added": ["yard"], …}}
    {"command": "camera-add", "name": "yard", "settings": {"url": "rtsp://…"}}
    {"command": "clip", "name": "yard", "out": "/tmp/yard.mp4", "from_ns": 1764…, "to_ns": 1764…}
    {"command": "camera-remove" | "camera-pause" | "camera-resume", "name": "yard"}
                                                         → {"ok": false, "error": "there is no camera “yard”; …"}

Whoever asks waits for the answer; the fleet waits for nobody.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from pipeline.errors import ControlError, PipelineError
from pipeline.redact import redact
from pipeline.runscope import running

SOCKET = "control"
FLEET = "fleet"
"""The file in a run's directory that tells which fleet runs there."""
MOST_BYTES = 1 << 20
ASKING_S = 5.0
"""How long a request may take to come."""
ANSWER_S = 660.0
"""How long an answer may take: a large model is exported and compiled before it takes over."""

Answer = Callable[[Mapping[str, Any]], Any]


class ControlServer:
    """Listens until closed, in threads of its own; what is asked is answered by `answer`, which may block."""

    def __init__(self, directory: Path, fleet: str, answer: Answer) -> None:
        """Begin to listen in a run's directory.

        Args:
            directory: The run's.
            fleet: The fleet's name, by which it is found.
            answer: Gets a request, gives what JSON can say, or raises a `PipelineError`.
        """

        class Handler(socketserver.StreamRequestHandler):
            timeout = ASKING_S

            def handle(self) -> None:
                try:
                    line = self.rfile.readline(MOST_BYTES)
                except OSError:
                    return
                self.wfile.write(_reply(line, answer))

        (directory / FLEET).write_text(fleet, encoding="utf-8")
        # Whoever finds the socket may ask at once: it gets its name when it listens, and only its owner may enter.
        made = directory / f"{SOCKET}.new"
        self._server = _Server(_short(made), Handler)
        made.chmod(0o600)
        made.rename(directory / SOCKET)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more. May be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: who asked has hung up."""


def ask(
    request: Mapping[str, Any], fleet: str | None = None, base: Path | None = None, timeout_s: float = ANSWER_S
) -> Any:
    """The answer of a running fleet of this user; blocks until it is there.

    Args:
        request: As above.
        fleet: Its name; None where only one runs.
        base: Where runs are looked up; this user's runtime directory by default.
        timeout_s: How long to wait for the answer.

    Raises:
        ControlError: No such fleet runs, several do, it does not answer, or refuses what was asked.
    """
    directory = find(fleet, base)
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(timeout_s)
        try:
            link.connect(_short(directory / SOCKET))
            link.sendall(json.dumps(request).encode() + b"\n")
            with link.makefile("rb") as lines:
                answer = json.loads(lines.readline())
            if answer["ok"]:
                return answer["result"]
            refused = str(answer["error"])
        except (OSError, ValueError, RecursionError) as error:
            raise ControlError(f"the fleet in {directory} does not answer: {error}; is it ending?") from error
        except (LookupError, TypeError) as error:
            raise ControlError(f"what answers in {directory} is no fleet of this version of camfleet") from error
    raise ControlError(refused)


def find(fleet: str | None = None, base: Path | None = None) -> Path:
    """The directory of the run of that fleet.

    Raises:
        ControlError: None or several run.
    """
    runs = {directory: _name(directory) for directory in running(base) if (directory / SOCKET).exists()}
    found = [directory for directory, name in runs.items() if fleet in (None, name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(runs.values()))
    if not runs:
        raise ControlError("no fleet of this user runs on this machine; camfleet run FLEET.yaml starts one")
    if not found:
        raise ControlError(f"no fleet “{fleet}” runs here; there is {names}")
    if fleet is None:
        raise ControlError(f"{len(found)} fleets run here ({names}); say which with --fleet NAME")
    raise ControlError(f"{len(found)} fleets called “{fleet}” run here; give each a name of its own in its file")


def any_runs(base: Path | None = None, fleet: str | None = None) -> bool:
    """Whether a fleet of this user runs on this machine, or one of that name."""
    found = [directory for directory in running(base) if (directory / SOCKET).exists()]
    return any(fleet in (None, _name(directory)) for directory in found)


def _name(directory: Path) -> str:
    try:
        return (directory / FLEET).read_text(encoding="utf-8")
    except OSError:
        return "?"


def _reply(line: bytes, answer: Answer) -> bytes:
    reply: dict[str, Any]
    try:
        reply = {"ok": True, "result": answer(_request(line))}
    except PipelineError as error:
        reply = {"ok": False, "error": redact(error)}
    except Exception as error:  # noqa: BLE001 - a fault of ours: the fleet lives on, and who asked is told
        structlog.get_logger().error("a request could not be answered", why=redact(repr(error)))
        reply = {"ok": False, "error": "the fleet failed at this; its log says how"}
    return json.dumps(reply).encode() + b"\n"


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlError("this is no line of JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("command"), str):
        raise ControlError('a request is a line of JSON such as {"command": "status"}')
    return request


def _short(path: Path) -> str:
    """The path as the system takes it: UNIX sockets end at 107 bytes."""
    if len(str(path).encode()) > 107:
        raise ControlError(f"the path {path} is too long for a socket; set XDG_RUNTIME_DIR to a shorter directory")
    return str(path)
