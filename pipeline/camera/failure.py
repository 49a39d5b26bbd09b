"""What went wrong with a source, in words that say what to do; FFmpeg's own are often none, or carry the password."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

import av

from pipeline.camera.unauthorized import DEFAULT_PORTS, why_unauthorized
from pipeline.config.camera import Camera
from pipeline.redact import redact

REASONS: tuple[tuple[type[Exception], str], ...] = (
    (av.HTTPUnauthorizedError, "it wants another user or password (401); check those in the address"),
    (av.HTTPForbiddenError, "it refuses access (403); check what this user may see"),
    (av.HTTPNotFoundError, "it has no such stream (404); check the path in the address"),
    (av.HTTPTooManyRequestsError, "it has too many viewers (429); close others or use its second stream"),
    (av.HTTPClientError, "it refuses the request (4xx); check path and transport of the address"),
    (av.HTTPServerError, "it has an error of its own (5xx); it may have too many viewers, or need a restart"),
    (ConnectionRefusedError, "nothing listens there; check host and port, and that the camera is on"),
    (ConnectionResetError, "it broke off the connection"),
    (av.FileNotFoundError, "there is no such file or device"),
    (av.PermissionError, "reading it is not permitted"),
    (av.IsADirectoryError, "it is a directory, not a recording"),
    (av.InvalidDataError, "it sends or holds no video FFmpeg can read; check the address"),
    (
        av.ProtocolNotFoundError,
        "this FFmpeg does not speak that protocol; let a gateway such as MediaMTX or go2rtc give it as rtsp://",
    ),
    (av.DemuxerNotFoundError, "FFmpeg knows no format of that name; check `format`"),
    (av.DecoderNotFoundError, "this FFmpeg cannot decode its codec"),
    (av.EOFError, "it ends before there is a picture"),
)
"""FFmpeg's errors, in words; the first that fits is told."""


_TIMEOUTS = (TimeoutError, av.ExitError)
_KNOCK_S = 1.0


def why_not_opened(camera: Camera, error: Exception, waited_s: float) -> str:
    """Why a source cannot be opened, and what to check; no credentials in it. May block for a second.

    Args:
        camera: Whose source it is.
        error: What FFmpeg says.
        waited_s: How long it took to say it, seconds.
    """
    # An RTSP answer that never came is no valid one, says FFmpeg.
    late = waited_s >= 0.95 * min(camera.open_timeout_s, camera.read_timeout_s)
    if camera.url.kind == "network":
        if isinstance(error, _TIMEOUTS) or (isinstance(error, av.InvalidDataError) and late):
            return _why_silent(camera)
        if _is_io_error(error) or isinstance(error, socket.gaierror):
            return _why_silent(camera, "the connection broke")
        return _why_refused(camera, error)
    return _known(error) or redact(getattr(error, "strerror", None) or error)


def _why_refused(camera: Camera, error: Exception) -> str:
    """Why a camera that answers gives no stream."""
    is_rtsp = urlsplit(camera.url.reveal()).scheme.lower() in ("rtsp", "rtsps")
    if isinstance(error, OSError) and error.errno == errno.EPROTONOSUPPORT and is_rtsp:
        return f"it refuses {camera.transport.upper()} (461); set transport: {_other(camera)} for this camera, or auto"
    if isinstance(error, av.HTTPUnauthorizedError):
        return why_unauthorized(camera)
    if isinstance(error, av.PermissionError):
        return (
            "connecting is not permitted: it sends on to another port than that of its address, or this machine's "
            "firewall forbids it; write the address it sends to"
        )
    if isinstance(error, av.InvalidDataError) and is_rtsp:
        # FFmpeg says the same of a description that it has no memory for.
        return (
            "it sends no video FFmpeg can read, or announces a description of more than memory_mb allows "
            f"({camera.memory_mb} MB); check the address"
        )
    return _known(error) or redact(getattr(error, "strerror", None) or error)


def why_lost(camera: Camera, error: Exception, *, ever_came: bool) -> str:
    """Why a source that was open cannot be read on; no credentials in it. `ever_came` is whether a packet has."""
    if isinstance(error, _TIMEOUTS) and not ever_came and camera.transport != "tcp":
        return "no packet came by UDP, which may be held up on the way; set transport: tcp for this camera"
    if isinstance(error, _TIMEOUTS):
        return f"it was silent for {camera.silence_s if isinstance(error, av.ExitError) else camera.read_timeout_s:g} s"
    if _is_io_error(error):
        return "the connection broke" if camera.url.kind == "network" else "the device or disk fails"
    return _known(error) or redact(getattr(error, "strerror", None) or error)


def _known(error: Exception) -> str | None:
    return next((words for kind, words in REASONS if isinstance(error, kind)), None)


def _is_io_error(error: Exception) -> bool:
    """FFmpeg's word for many things, unknown names among them."""
    return isinstance(error, OSError) and error.errno == errno.EIO


def _other(camera: Camera) -> str:
    return "tcp" if camera.transport == "udp" else "udp"


def _why_silent(camera: Camera, otherwise: str = "") -> str:
    """Knock at the port: a wrong name, a wrong port and a wrong protocol are different mistakes."""
    parts = urlsplit(camera.url.reveal())
    host, scheme = parts.hostname or "", parts.scheme.lower()
    if scheme == "srt":
        # By UDP: there is nothing to knock at.
        return otherwise or "it does not answer in time; check host, port, passphrase and network"
    try:
        socket.create_connection((host, parts.port or DEFAULT_PORTS[scheme]), _KNOCK_S).close()
    except socket.gaierror:
        return f"the name {host} is unknown; check it, or the name server of this machine"
    except OSError:
        return otherwise or "it does not answer in time; check host, port and network"
    if otherwise:
        return otherwise
    if scheme == "rtsp" and camera.transport != "tcp":
        return (
            "something listens there, but no picture comes in time; UDP may be held up on the way: set transport: tcp "
            "for this camera, and check port and address"
        )
    return f"something listens there, but gives no {scheme.upper()} answer in time; check port and address"
