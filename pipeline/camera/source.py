"""Where pictures come from: cameras send when they like, recordings and folders are played, functions are called.

All give the same pictures. They differ in how they end: a recording comes to its end, and `pictures` returns; a camera
has none, so whatever ends it is `SourceLost`. A new kind of source is a class with these members in a file of its own,
and a line in `open_source`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pipeline.camera.backlog import LATE_S
from pipeline.camera.even import EvenSource
from pipeline.camera.folder import FolderReel
from pipeline.camera.generator import GeneratorSource, call
from pipeline.camera.hardware import OpenDevice, open_device
from pipeline.camera.live import LiveSource
from pipeline.camera.opening import Description, comes_in_bursts, connect, is_recording
from pipeline.camera.picture import Picture, Pulse
from pipeline.camera.recording import FileReel, RecordingSource
from pipeline.clock import Clock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError
from pipeline.plugins import PluginError, require_members
from pipeline.wire import Assembly

_MEMBERS = ("description", "concern", "blind", "assembly", "decoder", "pictures", "close")


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

    @property
    def decoder(self) -> str:
        """What decodes its pictures: `cpu`, or the kind of a device."""

    def pictures(self, pulse: Pulse) -> Iterator[Picture | None]:
        """Every picture in order; returns at the end of a recording, or when `pulse` says so.

        None comes now and then where there is no picture, so that `blind` is looked at.

        Raises:
            SourceLost: It answers no more.
            SourceError: A recording is broken.
        """

    def close(self) -> None:
        """Let it go; may be called again."""


def open_source(camera: Camera, clock: Clock, late_s: float = LATE_S, *, opens: OpenDevice = open_device) -> Source:
    """Connect to a camera, open a recording or a folder, or call a function.

    Blocks, up to the camera's `open_timeout_s` if FFmpeg keeps to it.

    Args:
        camera: Which.
        clock: For arrival times.
        late_s: How late a camera's pictures may come for want of a processor before some are left out.
        opens: Opens the devices that decode.

    Raises:
        SourceError: It cannot be opened, and why; trying again may help unless it is a file.
    """
    if camera.url.kind == "python":
        return _open_function(camera, clock)
    if camera.plays_pictures:
        return RecordingSource(camera, clock, FolderReel(camera, clock))
    container, stream = connect(camera)
    try:
        if is_recording(camera, container):
            return RecordingSource(camera, clock, FileReel(camera, clock, container, stream, opens))
        if comes_in_bursts(camera, container):
            return EvenSource(LiveSource(camera, clock, container, stream, late_s=None, opens=opens), clock)
        return LiveSource(camera, clock, container, stream, late_s=late_s, opens=opens)
    except BaseException:
        container.close()
        raise


def _open_function(camera: Camera, clock: Clock) -> Source:
    """What the camera's function makes: pictures, or a source of its own."""
    made = call(camera)
    if not hasattr(made, "pictures"):
        return GeneratorSource(camera, clock, made)
    try:
        require_members(made, _MEMBERS, str(camera.url), "pipeline.camera.source.Source")
    except PluginError as error:
        raise SourceError(f"cannot open {camera.url}: {error}") from error
    source: Source = made
    return source
