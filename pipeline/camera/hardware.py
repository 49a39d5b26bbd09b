"""Decoding on a device, where the camera's settings ask for one; on the CPU where there is none, or it fails.

A device gives NV12 pictures in this process's memory, which `pipeline.camera.resize` scales as fast as the CPU's own.
Most devices work through FFmpeg's own decoders, which hand them the hard part; FFmpeg goes on by itself where a device
knows the codec and not this picture's profile. The decoders of V4L2 (Raspberry Pi and other boards) are others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from pipeline.config.camera import Camera
from pipeline.errors import SourceError

KINDS = ("cuda", "vaapi", "qsv", "v4l2m2m", "videotoolbox")
"""In the order in which `auto` tries them."""
CPU = "cpu"
BARREN_PACKETS = 32
"""A device that makes no picture of so many packets is given up; the deepest reordering of H.264 and HEVC is 16."""

_NODES = {
    "cuda": ("nvidia*", "nvhost*", "nvmap", "dxg"),
    "vaapi": ("dri/renderD*",),
    "qsv": ("dri/renderD*",),
    "v4l2m2m": ("video*",),
    "videotoolbox": (),
}
"""Under /dev: NVIDIA's on a PC, a Jetson and Windows (WSL); a GPU's without its screen; a board's codec."""
_DEV = Path("/dev")


class HardwareError(SourceError):
    """A device cannot decode a stream; says why."""


class Device(Protocol):
    """A device that decodes one stream."""

    @property
    def is_used(self) -> bool:
        """Whether the pictures so far came from the device, and FFmpeg has not gone on without."""

    def decode(self, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        """The pictures that this packet completes, as FFmpeg's decoders give them; None to flush.

        Raises:
            av.FFmpegError: The packet is damaged, or the device fails.
        """

    def flush_buffers(self) -> None:
        """Forget what was decoded; a key frame comes next."""


OpenDevice = Callable[[str, av.VideoStream], Device]
"""Opens the device of a kind for a stream; raises `HardwareError`."""


def open_device(kind: str, stream: av.VideoStream) -> Device:
    """A device of this machine.

    Raises:
        HardwareError: It has none, this FFmpeg cannot use it, or it cannot decode the stream's codec.
    """
    codec = stream.codec_context.codec.canonical_name
    if why := _why_impossible(kind, codec):
        raise HardwareError(why)
    return _Board(kind, stream) if kind == "v4l2m2m" else _Accelerator(kind, stream)


def device_nodes(camera: Camera) -> Iterator[Path]:
    """What stands under /dev of all devices that the camera's settings ask for."""
    for kind in wanted(camera):
        yield from _nodes(kind)


def wanted(camera: Camera) -> tuple[str, ...]:
    """The kinds of devices that are to be tried, in order."""
    if camera.decode == CPU:
        return ()
    return tuple(kind for kind in KINDS if _is_here(kind)) if camera.decode == "auto" else (camera.decode,)


def devices(codec: str) -> dict[str, str]:
    """Of each kind of device, why it cannot decode this codec on this machine; empty where it can be opened for it."""
    return {kind: _why_impossible(kind, codec) or _why_not_opened(kind, codec) for kind in KINDS}


class _Accelerator:
    """A device behind one of FFmpeg's own decoders."""

    def __init__(self, kind: str, stream: av.VideoStream) -> None:
        codec = av.Codec(stream.codec_context.codec.canonical_name, "r")
        try:
            self._context = _context(codec, stream, HWAccel(kind, allow_software_fallback=True))
        except (av.FFmpegError, OSError, NotImplementedError) as error:
            raise HardwareError(f"it cannot be opened: {_words(error)}") from None
        formats = (config.format for config in codec.hardware_configs or ())
        self._formats = {form.name for form in formats if form is not None}
        self._decoded = False

    @property
    def is_used(self) -> bool:
        return not self._decoded or self._context.pix_fmt in self._formats

    def decode(self, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        frames = self._context.decode(packet)
        self._decoded = self._decoded or bool(frames)
        return frames

    def flush_buffers(self) -> None:
        self._context.flush_buffers()


class _Board:
    """A decoder of V4L2."""

    is_used = True

    def __init__(self, kind: str, stream: av.VideoStream) -> None:
        codec = av.Codec(f"{stream.codec_context.codec.canonical_name}_{kind}", "r")
        try:
            self._context = _context(codec, stream, None)
            self._context.open()
        except (av.FFmpegError, OSError) as error:
            raise HardwareError(f"it cannot be opened: {_words(error)}") from None

    def decode(self, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        return self._context.decode(packet)

    def flush_buffers(self) -> None:
        self._context.flush_buffers()


class Processor:
    """Decodes one stream: on the first device that can, and on the CPU from when that fails."""

    def __init__(self, camera: Camera, stream: av.VideoStream, opens: OpenDevice = open_device) -> None:
        self._cpu = stream.codec_context
        # Cameras decode side by side, one process each; threads would add a frame of delay each and gain nothing.
        self._cpu.thread_count = 1
        self._cpu.copy_opaque = True
        self._device: Device | None = None
        self._barren = 0
        self._owed: list[int] = []
        self.name, self.concern = CPU, ""
        for kind in wanted(camera):
            try:
                self._device, self.name, self.concern = opens(kind, stream), kind, ""
                break
            except HardwareError as error:
                self.concern = self.concern or f"decoding on the CPU, since {kind} cannot be used: {error}"

    def decode(self, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        """The pictures that this packet completes, in presentation order; None gives those that still wait.

        Raises:
            av.FFmpegError: Nothing can be made of it.
            HardwareError: The device is given up: this packet and its `owed` are lost. A key frame must come next.
        """
        if self._device is None:
            return self._cpu.decode(packet)
        try:
            frames = self._device.decode(packet)
        except av.InvalidDataError:
            self._note_barren()
            raise
        except (av.FFmpegError, OSError) as error:
            raise self._give_up(_words(error)) from None
        if packet is not None and not frames:
            self._note_barren()
        self._note_owed(packet, frames)
        self._look_where(self._device, frames)
        return frames

    @property
    def owed(self) -> int:
        """Of how many packets before the last one a device still owed the picture."""
        return len(self._owed)

    def flush_buffers(self) -> None:
        """Forget what was decoded; a key frame comes next."""
        (self._device or self._cpu).flush_buffers()

    def _look_where(self, device: Device, frames: list[av.VideoFrame]) -> None:
        self._barren = 0 if frames else self._barren
        if frames and self.name != CPU and not device.is_used:
            self.concern = f"decoding on the CPU, since {self.name} knows its codec and not this kind of picture"
            self.name = CPU

    def _note_owed(self, packet: av.Packet[Any] | None, frames: list[av.VideoFrame]) -> None:
        """Pictures come in the order in which they are shown: what is before one that came will come no more."""
        if packet is not None and packet.pts is not None:
            self._owed.append(packet.pts)
        for frame in frames:
            if frame.pts is not None:
                self._owed = [pts for pts in self._owed if pts > frame.pts]
        del self._owed[: -2 * BARREN_PACKETS]

    def _note_barren(self) -> None:
        self._barren += 1
        if self._barren >= BARREN_PACKETS:
            raise self._give_up(f"it made no picture of {BARREN_PACKETS} packets")

    def _give_up(self, why: str) -> HardwareError:
        self.concern = f"decoding on the CPU, since {self.name} failed: {why}"
        self._device, self.name = None, CPU
        return HardwareError(self.concern)


def _context(codec: av.Codec, stream: av.VideoStream, accelerator: HWAccel | None) -> av.VideoCodecContext:
    """A decoder like that of the stream."""
    model = stream.codec_context
    context = av.CodecContext.create(codec, "r", accelerator)
    assert isinstance(context, av.VideoCodecContext)
    context.extradata = model.extradata
    context.options = model.options
    context.copy_opaque = True
    return context


def _why_impossible(kind: str, codec: str) -> str:
    """What is known without trying; empty where it may work."""
    if not _is_here(kind):
        return "this machine has no such device"
    if kind == "v4l2m2m":
        return "" if f"{codec}_{kind}" in av.codecs_available else f"this FFmpeg cannot decode {codec} by it"
    if kind not in hwdevices_available():
        return "this FFmpeg was built without it"
    configs = av.Codec(codec, "r").hardware_configs or ()
    known = any(config.device_type.name == kind and config.is_supported for config in configs)
    return "" if known else f"this FFmpeg cannot decode {codec} by it"


def _why_not_opened(kind: str, codec: str) -> str:
    if kind == "v4l2m2m":
        # Such a decoder looks for its device when it is given pictures.
        return ""
    try:
        HWAccel(kind).create(av.Codec(codec, "r"))
    except (av.FFmpegError, OSError, NotImplementedError) as error:
        return f"it cannot be opened: {_words(error)}"
    return ""


def _is_here(kind: str) -> bool:
    return sys.platform == "darwin" if kind == "videotoolbox" else any(_nodes(kind))


def _nodes(kind: str) -> Iterator[Path]:
    for pattern in _NODES[kind]:
        yield from _DEV.glob(pattern)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
