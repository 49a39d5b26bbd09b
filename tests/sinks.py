"""What tests of sinks share: messages in any number, and a sink that does as it is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.errors import SinkError
from pipeline.sink.protocol import Place
from pipeline.wire import FrameResult, Message
from tests.wire_messages import FRAME


def frame(number: int, camera_id: str = "gate", session: int = 1, objects: int = 1) -> FrameResult:
    """Frame `number` of a session, with some objects."""
    return msgspec.structs.replace(
        FRAME,
        camera_id=camera_id,
        session=session,
        session_id=f"{session:012x}",
        frame_id=number,
        captured_at_ns=1_760_000_000_000_000_000 + number * 40_000_000,
        tracks=tuple(msgspec.structs.replace(FRAME.tracks[0], track_id=one + 1) for one in range(objects)),
    )


def place(folder: Path, name: str = "keep") -> Place:
    return Place(name, "town", folder)


class Told:
    """A sink in this process: keeps what it gets, fails as often as it is told, stands still while told to."""

    def __init__(self, failures: int = 0) -> None:
        self.got: list[Message] = []
        self.failures, self.opened, self.closed, self.ticks = failures, 0, 0, 0
        self.goes = threading.Event()
        self.goes.set()

    def open(self) -> Told:
        self.opened += 1
        return self

    def write(self, batch: Sequence[Message]) -> None:
        self.goes.wait()
        if self.failures:
            self.failures -= 1
            raise SinkError("the server rtsp://bob:hunter2@cam/ is away")
        self.got += batch

    def tick(self) -> None:
        self.ticks += 1

    def close(self) -> None:
        self.closed += 1
