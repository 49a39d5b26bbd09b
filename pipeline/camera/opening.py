"""How FFmpeg is asked to open a source, and what it then says of it."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import av
from av.stream import Discard

from pipeline.camera.datagrams import Datagrams
from pipeline.camera.elsewhere import (
    is_http,
    is_playlist,
    next_address,
    own_address_options,
    require_own_address,
    require_plain,
)
from pipeline.camera.failure import why_lost, why_not_opened
from pipeline.camera.limits import Said, decoder_limits, out_of_memory, talkative, watched
from pipeline.camera.login import learns, login, stands_in
from pipeline.camera.playlist import OPTIONS as PLAYLIST_OPTIONS
from pipeline.camera.playlist import OwnAddresses
from pipeline.camera.unauthorized import LoginRefused
from pipeline.config.camera import Camera
from pipeline.errors import SourceError, SourceLost
from pipeline.geometry import WidthHeight

MOST_REDIRECTIONS = 5
"""As many as a careful person would follow; FFmpeg follows eight."""


_PIECES = {"fflags": "noparse+nofillin", "probesize": "32"}
"""Options for pieces. FFmpeg looks for parameter sets in the first piece only; it gives up at fragments without any."""
_PLAYLISTS = ("hls", "dash")
"""FFmpeg tells a duration of these only where they are finished."""
_NO_PARSE, _NO_TIMESTAMPS = 0x0020, 0x0080
"""AVFMT_FLAG_NOPARSE of a connection, AVFMT_NOTIMESTAMPS of a format."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a source says of its stream.

    Attributes:
        codec: FFmpeg's name.
        frame_wh: Picture size, px; (0, 0) where the first picture must tell.
        fps: Frames a second; None where it says none.
        extradata: What a decoder must know before the first picture, as the container tells it.
    """

    codec: str
    frame_wh: WidthHeight
    fps: float | None
    extradata: bytes = b""


def connect(camera: Camera) -> tuple[av.container.InputContainer, av.VideoStream]:
    """A connection to the source and its video; blocks.

    H.264 and HEVC come in RTP pieces over RTSP (`gives_pieces`), unless FFmpeg needs whole pictures to begin with.

    Raises:
        SourceError: There is none, and why.
    """
    container = open_container(camera, pieces=sends_pieces(camera))
    try:
        stream = video_stream(camera, container)
        if gives_pieces(container) and not is_assembled(stream.codec_context.codec.canonical_name):
            container.close()
            container = open_container(camera)
            stream = video_stream(camera, container)
    except BaseException:
        container.close()
        raise
    return container, stream


def open_container(camera: Camera, *, pieces: bool = False) -> av.container.InputContainer:
    """A connection to the source; blocks.

    Args:
        camera: Where it is.
        pieces: Ask for RTP pieces as they are (`pipeline.camera.access_unit`), and not for whole pictures.

    Raises:
        SourceError: There is none, and why.
    """
    began_s = time.monotonic()
    address, playlist = _location(camera), False
    for _ in range(MOST_REDIRECTIONS):
        try:
            with login(camera) as nearby:
                container = _open(camera, nearby or address, pieces=pieces, playlist=playlist)
            if container is not None:
                return container
            playlist = True
        except (av.FFmpegError, OSError, ValueError) as error:
            if pieces and isinstance(error, av.InvalidDataError) and not _is_late(camera, began_s):
                # FFmpeg cannot begin with the middle of a picture.
                pieces = False
                continue
            if isinstance(error, av.HTTPUnauthorizedError) and learns(camera):
                continue
            following = _next_address(camera, address, error)
            if following is None:
                why = why_not_opened(camera, error, time.monotonic() - began_s)
                kind = LoginRefused if isinstance(error, av.HTTPUnauthorizedError) else SourceError
                raise kind(f"cannot open {camera.url}: {why}") from None
            address = following
    raise SourceError(f"cannot open {camera.url}: it sends on to itself again and again; check the address")


def _is_late(camera: Camera, began_s: float) -> bool:
    return time.monotonic() - began_s > camera.open_timeout_s / 2


def _open(camera: Camera, address: str, *, pieces: bool, playlist: bool) -> av.container.InputContainer | None:
    """The connection; None where the camera sends a playlist, which has to be read as one."""
    container = None
    with watched(camera) as said, talkative():
        try:
            container = av.open(
                address,
                mode="r",
                format=camera.format or ("v4l2" if camera.url.kind == "device" else None),
                options=_options(camera) | (_PIECES if pieces else {}) | (PLAYLIST_OPTIONS if playlist else {}),
                io_open=OwnAddresses(camera) if playlist else None,
                metadata_errors="replace",
                timeout=(camera.open_timeout_s, camera.silence_s),
            )
            return container
        except (av.FFmpegError, OSError, ValueError):
            if playlist or not is_playlist(camera, _words(said)):
                raise
            return None
        finally:
            words = _words(said)
            try:
                require_own_address(camera, words)
                if playlist or not is_playlist(camera, words):
                    require_plain(camera, words)
            except SourceError:
                if container is not None:
                    container.close()
                raise


def _words(said: Said) -> str:
    return "\n".join(f"{part}: {line}" for _, part, line in said)


def _next_address(camera: Camera, address: str, error: Exception) -> str | None:
    """Where an http camera sends on to; FFmpeg says no more of a redirection it may not follow than EIO."""
    if camera.allow_redirects or not is_http(address) or getattr(error, "errno", None) != errno.EIO:
        return None
    return next_address(camera, address)


def _location(camera: Camera) -> str:
    """What FFmpeg is to open: it knows schemes in small letters only, and no user without a password's colon.

    `file:` keeps it from reading a protocol into a file's name.
    """
    address = camera.url.reveal()
    if camera.url.kind == "network":
        parts = urlsplit(address)
        userinfo, at, host = parts.netloc.rpartition("@")
        colon = ":" if at and ":" not in userinfo else ""
        return parts.scheme + address[len(parts.scheme) :].replace(parts.netloc, f"{userinfo}{colon}{at}{host}", 1)
    return f"file:{camera.url.path}" if camera.url.kind == "file" else address


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
    if is_http(camera.url.reveal()):
        # Nor to look for a time stamp in fifty pictures where the format has none: ten seconds, at 5 fps.
        options["max_ts_probe"] = "1"
    if sends_pieces(camera):
        either = camera.transport == "auto" and not stands_in(camera)
        options |= {
            "rtsp_transport": "tcp+udp" if either else "tcp" if stands_in(camera) else camera.transport,
            # Over UDP anybody can send: only what comes from where the server said is believed.
            "rtsp_flags": "filter_src+prefer_tcp" if either else "filter_src",
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
    if stream.codec_context is None:
        raise SourceError(
            f"{camera.url} sends video in a codec that this FFmpeg does not know; set the camera to H.264 or HEVC"
        )
    stream.codec_context.options = decoder_limits(camera)
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return stream


def gives_pieces(container: av.container.InputContainer) -> bool:
    """Whether its packets are RTP pieces and no whole pictures."""
    return bool(container.flags & _NO_PARSE)


def is_assembled(codec: str) -> bool:
    """Whether pictures of this codec can be put together out of pieces (`pipeline.camera.access_unit`)."""
    return codec in ("h264", "hevc")


def has_time_stamps(container: av.container.InputContainer) -> bool:
    """Whether the format carries any; where it does not, FFmpeg makes them up from a guessed frame rate.

    Formats that are pictures one after another (`jpeg_pipe`) carry none, and do not say so.
    """
    return not (container.format.flags & _NO_TIMESTAMPS or container.format.name.endswith("_pipe"))


def is_recording(camera: Camera, container: av.container.InputContainer) -> bool:
    """Whether the source has an end: a file, or what an http server tells the length of, as no camera does.

    RTSP servers may tell a duration too, but play at their own pace; so do servers that send on what is being written.
    """
    if camera.url.kind != "network":
        return camera.url.kind == "file"
    if not is_http(camera.url.reveal()) or not container.duration:
        return False
    return container.format.name in _PLAYLISTS or container.size > 0


def comes_in_bursts(camera: Camera, container: av.container.InputContainer) -> bool:
    """Whether pictures may come many at a time, as they do over HTTP."""
    return is_http(camera.url.reveal()) and has_time_stamps(container)


def packets(
    camera: Camera, container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet[av.VideoStream]]:
    """The stream's packets, until it ends; blocks for each.

    Raises:
        SourceLost: The connection broke.
        SourceError: The file cannot be read on.
    """
    came = False
    datagrams = Datagrams() if sends_pieces(camera) and camera.transport != "tcp" else None
    try:
        for packet in container.demux(stream):
            if datagrams is not None:
                datagrams.forget_errors()
            # At the end PyAV gives an empty one, to flush the decoder with.
            if packet.size:
                came = True
                yield packet
    except MemoryError:
        raise out_of_memory(camera) from None
    except (av.FFmpegError, OSError) as error:
        words = f"{camera.url} broke off: {why_lost(camera, error, ever_came=came)}"
        raise (SourceError(words) if camera.url.kind == "file" else SourceLost(words)) from None
    finally:
        if datagrams is not None:
            datagrams.close()


def tick_s(stream: av.VideoStream) -> float:
    """Its time base, s; to be asked once, since fractions are slow."""
    return float(stream.time_base or 1 / 90_000)


def describe(stream: av.VideoStream) -> Description:
    """What is known before the first picture."""
    context = stream.codec_context
    rate = stream.average_rate or stream.guessed_rate
    return Description(
        context.codec.canonical_name,
        (context.width, context.height),
        float(rate) if rate else None,
        bytes(context.extradata or b""),
    )
