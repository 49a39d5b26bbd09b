"""The plug-in sink of the documentation: a line for every frame with somebody in it."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import FrameResult
from pipeline.config.sinks.plugin import PluginSink
from pipeline.sink.protocol import Place
from pipeline.wire import Message


class Lines:
    def __init__(self, settings: PluginSink, place: Place) -> None:
        self.file = (place.directory / str(settings.options["path"])).open("a")

    def write(self, batch: Sequence[Message]) -> None:
        seen = [frame for frame in batch if isinstance(frame, FrameResult) and frame.tracks]
        self.file.writelines(f"{frame.camera_id} {frame.frame_id}: {len(frame.tracks)} objects\n" for frame in seen)
        self.file.flush()

    def tick(self) -> None: ...

    def close(self) -> None:
        self.file.close()


class Stuck(Lines):
    def write(self, batch: Sequence[Message]) -> None:
        import threading

        threading.Event().wait()


class Dying(Lines):
    def write(self, batch: Sequence[Message]) -> None:
        import os
        import signal

        super().write(batch)
        os.kill(os.getpid(), signal.SIGKILL)
