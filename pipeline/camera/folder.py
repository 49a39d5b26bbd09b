"""A folder of pictures, played by name as a recording of `fps` pictures a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

from pipeline.camera.decode import Decoded, Stamp
from pipeline.camera.hardware import CPU
from pipeline.camera.limits import decoder_limits, watched
from pipeline.camera.opening import Description
from pipeline.camera.picture import Pulse, arrival_now
from pipeline.clock import Clock
from pipeline.config.camera import Camera
from pipeline.config.files import pictures_in
from pipeline.errors import SourceError


class FolderReel:
    """A folder's pictures, looked for anew each time it is played; one that cannot be decoded is a gap."""

    decoder, concern = CPU, ""

    def __init__(self, camera: Camera, clock: Clock) -> None:
        """Look for the first picture that can be decoded.

        Raises:
            SourceError: The folder cannot be read, or there is none.
        """
        self._camera, self._clock = camera, clock
        self.tick_s = 1 / camera.fps
        first = next(filter(None, map(self._decode, self._files())), None)
        if first is None:
            raise SourceError(f"{camera.url}: no picture in it can be decoded")
        codec, frame = first
        self.description = Description(codec, (frame.width, frame.height), camera.fps)

    def play(self, pulse: Pulse) -> Iterator[Decoded]:
        """Every picture by name.

        Raises:
            SourceError: The folder cannot be read any more, or a picture has met one of the camera's limits.
        """
        for ticks, path in enumerate(self._files()):
            if not pulse.go_on():
                return
            stamp = Stamp(arrival_now(self._clock), None, corrupt=False)
            found = self._decode(path)
            if found is None:
                yield Decoded(None, ticks, stamp, corrupt=True)
                continue
            _, frame = found
            frame.duration = 1
            yield Decoded(frame, ticks, stamp, corrupt=frame.is_corrupt)

    def close(self) -> None:
        """Nothing is open."""

    def _files(self) -> list[Path]:
        folder = self._camera.url.path
        assert folder is not None
        try:
            return pictures_in(folder)
        except OSError as error:
            raise SourceError(f"{self._camera.url} cannot be read: {error.strerror}") from None

    def _decode(self, path: Path) -> tuple[str, av.VideoFrame] | None:
        """A picture and its codec; None of what is broken, or is gone."""
        try:
            options = decoder_limits(self._camera)
            with watched(self._camera), path.open("rb") as file, av.open(file, mode="r", options=options) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1
                return stream.codec_context.codec.canonical_name, next(container.decode(stream))
        except (av.FFmpegError, OSError, IndexError, StopIteration):
            return None
