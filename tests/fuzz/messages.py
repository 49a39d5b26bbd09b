"""Targets that read what other processes say: subscribers, the worker, the control socket."""

from __future__ import annotations

import io
import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from pipeline.burst.listen import Book
from pipeline.cli.subscribe import _json, readable, readable_state
from pipeline.client import why_silent
from pipeline.config import Fleet
from pipeline.link import from_worker, to_worker
from pipeline.observe.promise import Promise
from pipeline.observe.table import FleetTable
from pipeline.observe.tally import Tally
from pipeline.redact import redact
from pipeline.supervise.changes import Changes
from pipeline.supervise.control import _reply
from pipeline.supervise.requests import Requests
from pipeline.wire import CameraState, FrameResult, decode, encode

FLEET = Fleet.model_validate(
    {
        "name": "fuzz",
        "model": {"backend": "stub"},
        "cameras": {
            name: {"camera_id": name, "url": f"rtsp://cam.example/{name}"} for name in ("gate", "yard", "door")
        },
    }
)


def wire(data: bytes) -> None:
    """A topic and a body, divided by a zero; what can be read goes through everything that reads messages here."""
    topic, _, packed = data.partition(b"\x00")
    message = decode(topic, packed)
    assert encode(decode(message.topic, encode(message))) == encode(message)
    tally, book = Tally(["gate"], 150.0), Book(("gate", message.camera_id))
    book.hear(message)  # type: ignore[arg-type]
    if isinstance(message, FrameResult):
        tally.add(message, 1.0)
        tally.add(message, 1.5)
        lines, body = [readable(message)], _json(message, kind=False)
    else:
        assert isinstance(message, CameraState)
        tally.hear(message, 1.0)
        lines, body = [readable_state(message), why_silent({message.camera_id: message})], _json(message, kind=True)
    assert "\n" not in body and "\x1b" not in body
    book.heard()
    book.recent()
    for figures in (tally.live(2.0), tally.whole()):
        msgspec.json.encode(figures)
        written = io.StringIO()
        Console(width=100, height=30, file=written).print(FleetTable(figures, "fuzz", Promise(150.0, {})))
        lines += written.getvalue().splitlines()
    assert all(line.isprintable() for line in lines), "a message steers the terminal"


def link(data: bytes) -> None:
    """What a camera's process or the supervisor says to the worker, and what the worker answers."""
    name, _, body = data.partition(b"\x00")
    if len(data) % 2:
        to_worker(*((name, body) if name != b"three" else (name, body, b"")))
    else:
        from_worker(body)


class _Supervisor:
    """The part of the supervisor that requests speak to; carries everything out at once and starts nothing."""

    def __init__(self) -> None:
        self.fleet = FLEET
        self.paused: set[str] = set()
        self.ready = None
        self.page, self.shards = "", ()

    def submit(self, change: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(change(self))
        except Exception as error:  # noqa: BLE001  as a future keeps it
            done.set_exception(error)
        return done

    def apply(self, fleet: Fleet) -> Changes:
        return Changes()

    def pause(self, camera_id: str) -> None:
        assert isinstance(camera_id, str)

    resume = drain = pause

    def status(self) -> list[Any]:
        return []


_REQUESTS = Requests(_Supervisor(), Path("fleet.yaml"))  # type: ignore[arg-type]


def control(data: bytes) -> None:
    """A line to the control socket."""
    reply = _reply(data, _REQUESTS.answer)
    assert reply.endswith(b"\n") and reply.count(b"\n") == 1
    assert isinstance(json.loads(reply)["ok"], bool)


def text(data: bytes) -> None:
    """Words of a camera or of FFmpeg on their way to a log; what has been masked is still masked the second time."""
    masked = redact(data.decode("utf-8", "replace"))
    assert "***" not in masked or "***" in redact(masked)
