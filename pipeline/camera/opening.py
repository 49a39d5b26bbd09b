"""How FFmpeg is asked to open a source, and what it then says of it."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import av
from av.stream import Discard

from pipeline.camera.elsewhere import (
    is_http,
    next_address,
    own_address_options,
    require_own_address,
    require_plain,
)
from pipeline.camera.failure import why_lost, why_not_opened
from pipeline.camera.limits import decoder_limits, out_of_memory, talkative, watched
from pipeline.config.camera import Camera
from pipeline.errors import SourceError, SourceLost
from pipeline.geometry import WidthHeight

MOST_REDIRECTIONS = 5
"""As many as a careful person would follow; FFmpeg follows eight."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a source says of its stream.

    Attributes:
        codec: FFmpeg's name.
        frame_wh: Picture size, px; (0, 0) where the first picture must tell.
        fps: Frames a second; None where it says none.
    """

    codec: str
    frame_wh: WidthHeight
    fps: float | None


def open_container(camera: Camera, *, parse: bool = True) -> av.container.InputContainer:
    """A connection to the source; blocks.

    Args:
        camera: Where it is.
        parse: Let FFmpeg put pictures together; without, RTP pieces come as they are (`pipeline.camera.access_unit`).

    Raises:
        SourceError: There is none, and why.
    """
    began_s = time.monotonic()
    address = _location(camera)
    for _ in range(MOST_REDIRECTIONS):
        try:
            return _open(camera, address, parse=parse)
        except (av.FFmpegError, OSError, ValueError) as error:
            following = _next_address(camera, address, error)
            if following is None:
                why = why_not_opened(camera, error, time.monotonic() - began_s)
                raise SourceError(f"cannot open {camera.url}: {why}") from None
            address = following
    raise SourceError(f"cannot open {camera.url}: it sends on to itself again and again; check the address")


def _open(camera: Camera, address: str, *, parse: bool) -> av.container.InputContainer:
    container = None
    with watched(camera) as said, talkative():
        try:
            container = av.open(
                address,
                mode="r",
                format=camera.format or ("v4l2" if camera.url.kind == "device" else None),
                options=_options(camera) | ({} if parse else {"fflags": "noparse+nofillin"}),
                metadata_errors="replace",
                timeout=(camera.open_timeout_s, camera.read_timeout_s),
            )
            return container
        finally:
            words = "\n".join(line for _, _, line in said)
            try:
                require_own_address(camera, words)
                require_plain(camera, words)
            except SourceError:
                if container is not None:
                    container.close()
                raise


def _next_address(camera: Camera, address: str, error: Exception) -> str | None:
    """Where an http camera sends on to; FFmpeg says no more of a redirection it may not follow than EIO."""
    if camera.allow_redirects or not is_http(address) or getattr(error, "errno", None) != errno.EIO:
        return None
    return next_address(camera, address)


def _location(camera: Camera) -> str:
    """What FFmpeg is to open; `file:` keeps it from reading a protocol into a file's name."""
    address = camera.url.reveal()
    if camera.url.kind != "file":
        return address
    return "file:" + (unquote(urlsplit(address).path) if address.lower().startswith("file://") else address)


def _options(camera: Camera) -> dict[str, str]:
    # Decoders look at the first pictures while a source is opened.
    options = decoder_limits(camera)
    if camera.url.kind != "network":
        return options
    options |= own_address_options(camera)
    options |= {
        # FFmpeg's own time-out of each socket operation, µs.
        "timeout": str(round(camera.read_timeout_s * 1e6)),
        # Not to guess the frame rate from twenty frames first: the first picture comes after 0.3 s instead of 1.2 s
        # (640x352, GStreamer's server, 24 fps). `fflags nobuffer` would throw the first key frame away: 2.0 s.
        "fpsprobesize": "0",
        "analyzeduration": str(3_000_000),
    }
    if sends_pieces(camera):
        options |= {
            "rtsp_transport": camera.transport,
            # Over UDP anybody can send: only what comes from where the server said is believed.
            "rtsp_flags": "filter_src",
            "allowed_media_types": "video",
            # How long a missing UDP packet is waited for, µs; FFmpeg's default is half a second.
            "max_delay": str(100_000),
            # A key frame of a 4K camera comes as a burst of a megabyte.
            "buffer_size": str(2 << 20),
        }
    return options


def sends_pieces(camera: Camera) -> bool:
    """Whether pictures of H.264 and HEVC come in RTP pieces."""
    return camera.url.kind == "network" and urlsplit(camera.url.reveal()).scheme.lower() in ("rtsp", "rtsps")


def video_stream(camera: Camera, container: av.container.InputContainer) -> av.VideoStream:
    """Its best video stream; the others are not read any more.

    Raises:
        SourceError: It has none.
    """
    stream = container.streams.best("video")
    if stream is None:
        raise SourceError(f"{camera.url} has no video stream; check the address")
    assert isinstance(stream, av.VideoStream)
    stream.codec_context.options = decoder_limits(camera)
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return stream


def is_recording(camera: Camera, container: av.container.InputContainer) -> bool:
    """Whether the source has an end: a file, or an http address that tells a length, as no camera does.

    RTSP servers may tell one too, but play at their own pace.
    """
    if camera.url.kind != "network":
        return camera.url.kind == "file"
    is_http = urlsplit(camera.url.reveal()).scheme.lower() in ("http", "https")
    return is_http and bool(container.duration)


def packets(
    camera: Camera, container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet[av.VideoStream]]:
    """The stream's packets, until it ends; blocks for each.

    Raises:
        SourceLost: The connection broke.
        SourceError: The file cannot be read on.
    """
    try:
        for packet in container.demux(stream):
            # At the end PyAV gives an empty one, to flush the decoder with.
            if packet.size:
                yield packet
    except MemoryError:
        raise out_of_memory(camera) from None
    except (av.FFmpegError, OSError) as error:
        words = f"{camera.url} broke off: {why_lost(camera, error)}"
        raise (SourceError(words) if camera.url.kind == "file" else SourceLost(words)) from None


def describe(stream: av.VideoStream) -> Description:
    """What is known before the first picture."""
    context = stream.codec_context
    rate = stream.average_rate or stream.guessed_rate
    return Description(context.name, (context.width, context.height), float(rate) if rate else None)
