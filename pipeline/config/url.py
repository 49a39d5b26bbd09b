"""Where a camera is, with a password that does not get out by accident."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pipeline.config.base import mask_value, mistake

NETWORK_SCHEMES = ("rtsp", "rtsps", "http", "https", "srt")
ALLOWED = (
    "an address with rtsp:// rtsps:// http:// https:// srt:// or file://, the path of a recording or of a folder of "
    "pictures, a /dev/videoN device, or python:package.module:function"
)
_WEBRTC = ("whep", "wheps", "webrtc")
_PYTHON = "python:"

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_DEVICE = re.compile(r"/dev/(video\d+|v4l/by-(id|path)/[^/]+)")
_FUNCTION = re.compile(r"(?!\d)\w+(\.(?!\d)\w+)*:(?!\d)\w+")
_UNSAFE = re.compile(r"[\s'\"\x00-\x1f\x7f]")

_ENCODED = (
    "user and password go before the host, an @ between, and “@ : / ? # %” in them are written percent-encoded "
    "(@ is %40, / is %2F, # is %23)"
)
"""No address as an example: messages are masked, and with its user and password the rest of it would go."""

UrlKind = Literal["network", "file", "device", "python"]


@dataclass(frozen=True, slots=True, repr=False)
class CameraUrl:
    """An address, a recording's path or a device; printing it masks user, password and tokens.

    It pickles whole, so that a camera process gets it; dumping it to JSON or YAML does not.

    Example:
        >>> url = CameraUrl("rtsp://bob:hunter2@10.0.0.1/live")
        >>> str(url)
        'rtsp://***@10.0.0.1/live'
        >>> url.reveal()
        'rtsp://bob:hunter2@10.0.0.1/live'
    """

    _text: str

    def reveal(self) -> str:
        """The address with its credentials: for opening it, not for any message."""
        return self._text

    @property
    def kind(self) -> UrlKind:
        """What stands there.

        `network`: one of `NETWORK_SCHEMES`. `file`: a recording or a folder of pictures, as a path or file://.
        `device`: under /dev/. `python`: a function that makes pictures.
        """
        scheme = scheme_of(self._text)
        if scheme in NETWORK_SCHEMES:
            return "network"
        if not scheme and self._text.startswith(_PYTHON):
            return "python"
        return "device" if not scheme and self._text.startswith("/dev/") else "file"

    @property
    def path(self) -> Path | None:
        """Of a recording, a folder or a device; None of all else."""
        if self.kind not in ("file", "device"):
            return None
        return Path(unquote(urlsplit(self._text).path) if scheme_of(self._text) == "file" else self._text)

    @property
    def function(self) -> str:
        """`package.module:function` of a `python` source; empty of all else."""
        return self._text.removeprefix(_PYTHON) if self.kind == "python" else ""

    def __str__(self) -> str:
        return mask_value(self._text)

    def __repr__(self) -> str:
        return f"CameraUrl({str(self)!r})"

    @classmethod
    def parse(cls, value: object) -> CameraUrl:
        """A checked address.

        Raises:
            PydanticCustomError: It is none that a camera can have; the text repeats no part that may be secret.
        """
        if isinstance(value, CameraUrl):
            return value
        if not isinstance(value, str) or not value.strip():
            raise mistake(f"expected {ALLOWED}")
        scheme = scheme_of(value)
        if scheme in NETWORK_SCHEMES:
            _check_network(value)
        elif scheme in _WEBRTC:
            raise mistake(
                f"scheme “{scheme}://” is not supported: FFmpeg reads no WebRTC; let a gateway such as MediaMTX or "
                "go2rtc give it as rtsp://"
            )
        elif scheme not in ("", "file"):
            raise mistake(f"scheme “{scheme}://” is not supported; expected {ALLOWED}")
        elif not scheme and value.startswith("/dev/") and not _DEVICE.fullmatch(value):
            raise mistake(f"“{value}” is no video device; expected {ALLOWED}")
        elif not scheme and value.startswith(_PYTHON) and not _FUNCTION.fullmatch(value.removeprefix(_PYTHON)):
            raise mistake(f"“{value}” names no function; expected python:package.module:function")
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "examples": ["rtsp://10.0.0.7/stream1", "recordings/gate.mp4"]}


def scheme_of(text: str) -> str:
    """`rtsp` of `rtsp://…` in lower case; empty where there is none."""
    found = _SCHEME.match(text)
    return found["scheme"].lower() if found else ""


def _check_network(url: str) -> None:
    if _UNSAFE.search(url):
        raise mistake("an address has no spaces, quotes or control characters; write them percent-encoded (space: %20)")
    scheme = scheme_of(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # such as a bracket that is never closed
        host = None
    if not host:
        raise mistake(f"there is no host in it; expected {scheme}://HOST/PATH or {scheme}://HOST:PORT/PATH; {_ENCODED}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    # What was found is not repeated: behind the first “:” may be a password that has a “/” in it.
    if port == 0 or (port is None and scheme == "srt"):
        needed = "srt:// needs a port" if port is None else "the port is none"
        raise mistake(f"{needed}; expected {scheme}://HOST:PORT/PATH with a number from 1 to 65535; {_ENCODED}")
