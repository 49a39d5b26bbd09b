"""Addresses of ZeroMQ: what is one, and which of them other machines may reach."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from pipeline.config.base import mask_value, mistake

_TCP = re.compile(r"tcp://(?P<host>\*|\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")
_IPC_PATH_BYTES = 107
"""The longest path of a UNIX socket on Linux, `sun_path` of unix(7) less its closing zero."""


def _endpoint(value: str) -> str:
    found = _TCP.fullmatch(value)
    if found and int(found["port"]) <= 65535:
        return value
    path = value.removeprefix("ipc://")
    if value.startswith("ipc://") and 0 < len(path.encode()) <= _IPC_PATH_BYTES:
        return value
    raise mistake(
        f"found “{mask_value(value)}”, expected tcp://ADDRESS:PORT with a port of 0 to 65535 "
        f"(tcp://127.0.0.1:5555, tcp://*:5555) or ipc://PATH with a path of at most {_IPC_PATH_BYTES} bytes"
    )


Endpoint = Annotated[
    str, AfterValidator(_endpoint), WithJsonSchema({"type": "string", "pattern": r"^(tcp://.+:.+|ipc://.+)$"})
]


def is_private(endpoint: str) -> bool:
    """Whether no other machine can reach it, as far as its address says: names are not looked up, but for localhost."""
    found = _TCP.fullmatch(endpoint)
    if found is None:
        return endpoint.startswith("ipc://")
    host = found["host"].strip("[]").partition("%")[0]
    if host in ("localhost", "lo"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
