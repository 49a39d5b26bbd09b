"""Where pictures come from: cameras, which send when they like, and recordings, which are played.

Both give the same pictures. They differ in how they end: a recording comes to its end, and `pictures` returns; a camera
has none, so whatever ends it is `SourceLost`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pipeline.camera.backlog import LATE_S
from pipeline.camera.even import EvenSource
from pipeline.camera.live import LiveSource
from pipeline.camera.opening import Description, comes_in_bursts, connect, is_recording
from pipeline.camera.picture import Picture, Pulse
from pipeline.camera.recording import RecordingSource
from pipeline.clock import Clock
from pipeline.config.camera import Camera
from pipeline.wire import Assembly


class Source(Protocol):
    """A source that is open."""

    @property
    def description(self) -> Description:
        """What was known of it before the first picture."""

    @property
    def concern(self) -> str:
        """What a user should know although pictures come; empty if nothing."""

    @property
    def blind(self) -> str:
        """Why packets come and no pictures, or none worth showing; empty while that is not so."""

    @property
    def assembly(self) -> Assembly:
        """How its pictures are put together."""

    def pictures(self, pulse: Pulse) -> Iterator[Picture | None]:
        """Every picture in order; returns at the end of a recording, or when `pulse` says so.

        None comes now and then where there is no picture, so that `blind` is looked at.

        Raises:
            SourceLost: It answers no more.
            SourceError: A recording is broken.
        """

    def close(self) -> None:
        """Let it go; may be called again."""


def open_source(camera: Camera, clock: Clock, late_s: float = LATE_S) -> Source:
    """Connect to a camera, or open a recording; blocks, up to the camera's `open_timeout_s` if FFmpeg keeps to it.

    Args:
        camera: Which.
        clock: For arrival times.
        late_s: How late a camera's pictures may come for want of a processor before some are left out.

    Raises:
        SourceError: It cannot be opened, and why; trying again may help unless it is a file.
    """
    container, stream = connect(camera)
    try:
        if is_recording(camera, container):
            return RecordingSource(camera, clock, container, stream)
        if comes_in_bursts(camera, container):
            return EvenSource(LiveSource(camera, clock, container, stream, late_s=None), clock)
        return LiveSource(camera, clock, container, stream, late_s)
    except BaseException:
        container.close()
        raise
