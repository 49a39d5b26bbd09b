"""A device that decodes, made of the CPU: what it may do wrong can be told, so that falling back can be tried."""

from __future__ import annotations

from typing import Any

import av

from pipeline.camera.hardware import HardwareError, OpenDevice


class PretendDevice:
    """Gives NV12 pictures, as devices do, until it breaks."""

    def __init__(
        self, stream: av.VideoStream, *, breaks_after: int | None = None, silent: bool = False, is_used: bool = True
    ) -> None:
        """A device for `stream`.

        Args:
            stream: What it shall decode.
            breaks_after: How many packets it decodes; None for all.
            silent: It makes no picture then, and says nothing.
            is_used: False where FFmpeg has gone on without it.
        """
        model = stream.codec_context
        context = av.CodecContext.create(model.codec.canonical_name, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.extradata, context.copy_opaque = model.extradata, True
        self.is_used = is_used
        self._context, self._left, self._silent = context, breaks_after, silent

    def decode(self, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        """As its protocol says; the pictures keep what came with them."""
        if self._left is not None and packet is not None:
            if self._left == 0 and self._silent:
                return []
            if self._left == 0:
                raise av.ExternalError(0, "the device is gone")
            self._left -= 1
        return [_as_nv12(frame) for frame in self._context.decode(packet)]

    def flush_buffers(self) -> None:
        """As its protocol says."""
        self._context.flush_buffers()


def pretend(*, breaks_after: int | None = None, silent: bool = False, is_used: bool = True) -> OpenDevice:
    """Opens a `PretendDevice` of any kind."""
    return lambda kind, stream: PretendDevice(stream, breaks_after=breaks_after, silent=silent, is_used=is_used)


def no_device(kind: str, stream: av.VideoStream) -> PretendDevice:
    """Opens none.

    Raises:
        HardwareError: Always.
    """
    raise HardwareError("it cannot be opened: Cannot allocate memory")


def _as_nv12(frame: av.VideoFrame) -> av.VideoFrame:
    converted = frame.reformat(format="nv12")
    converted.opaque, converted.pts = frame.opaque, frame.pts
    return converted
