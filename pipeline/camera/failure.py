"""What went wrong with a source, in words that say what to do; FFmpeg's own are often none, or carry the password."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import av

from pipeline.config.camera import Camera
from pipeline.redact import redact

_REASONS: tuple[tuple[type[av.FFmpegError], str], ...] = (
    (av.HTTPUnauthorizedError, "it wants another user or password (401); check those in the address"),
    (av.HTTPForbiddenError, "it refuses access (403); check what this user may see"),
    (av.HTTPNotFoundError, "it has no such stream (404); check the path in the address"),
    (av.HTTPTooManyRequestsError, "it has too many viewers (429); close others or use its second stream"),
    (av.HTTPClientError, "it refuses the request (4xx); check path and transport of the address"),
    (av.HTTPServerError, "it has an error of its own (5xx); it may have too many viewers, or need a restart"),
    (av.ConnectionRefusedError, "nothing listens there; check host and port, and that the camera is on"),
    (av.TimeoutError, "it does not answer in time; check host, port and network"),
    (av.ConnectionResetError, "it broke off the connection"),
    (av.FileNotFoundError, "there is no such file or device"),
    (av.PermissionError, "reading it is not permitted"),
    (av.IsADirectoryError, "it is a directory, not a recording"),
    (av.InvalidDataError, "it answers with something that is no video FFmpeg can read; check the address"),
    (av.ProtocolNotFoundError, "this FFmpeg does not speak that protocol"),
    (av.DemuxerNotFoundError, "FFmpeg knows no format of that name; check `format`"),
    (av.DecoderNotFoundError, "this FFmpeg cannot decode its codec"),
    (av.ExitError, "it does not answer in time; check host, port and network"),
    (av.EOFError, "it ends before there is a picture"),
)


def reason(camera: Camera, error: Exception) -> str:
    """Why a source cannot be opened or read; no credentials in it."""
    for kind, words in _REASONS:
        if isinstance(error, kind):
            return words
    if camera.url.kind == "network" and (unknown := _unknown_host(camera)):
        return unknown
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return redact(words)


def _unknown_host(camera: Camera) -> str:
    """FFmpeg reports a name that cannot be resolved as an input/output error, like many another thing."""
    host = urlsplit(camera.url.reveal()).hostname or ""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return f"the name {host} is unknown; check it, or the name server of this machine"
    return ""
