"""What a fleet file says of Triton Inference Servers: where they are, and how they are asked."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from pipeline.config.base import Number, Value, mask_value, mistake

PORT = 8001
"""Where Triton listens for gRPC unless it is told otherwise."""
_ADDRESS = re.compile(r"grpcs?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:\d{1,5})?/?")
_PATTERN = r"^grpcs?://[^/@]+/?$"


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _server(value: str) -> str:
    port = _port(value)
    if not _ADDRESS.fullmatch(value) or (port is not None and not 0 < port <= 65535):
        raise mistake(
            f"found “{mask_value(value)}”, expected grpc://HOST:PORT, such as grpc://10.0.0.9:8001, or grpcs:// with "
            "TLS (not the server's HTTP port, which is 8000)"
        )
    return value.rstrip("/")


def _port(url: str) -> int | None:
    found = re.search(r":(\d{1,5})/?$", url)
    return int(found[1]) if found else None


def _once(urls: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(urls)) < len(urls):
        raise mistake("names a server twice; for more requests at once set “lanes”")
    if len({url.partition("://")[0] for url in urls}) > 1:
        raise mistake("mixes grpc:// and grpcs://; what one server encrypts the next would send in clear")
    return urls


Server = Annotated[str, AfterValidator(_server), WithJsonSchema({"type": "string", "pattern": _PATTERN})]
Servers = Annotated[
    tuple[Server, ...],
    AfterValidator(_once),
    BeforeValidator(_one_or_several),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _PATTERN},
                {"type": "array", "items": {"type": "string", "pattern": _PATTERN}, "uniqueItems": True},
            ]
        }
    ),
]


def target(url: str) -> str:
    """HOST:PORT of a server's address, as gRPC takes it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
    return f"{host}:{parts.port or PORT}"


def is_here(url: str) -> bool:
    """Whether a server is surely on this machine, as its address says: names are not looked up, but for localhost."""
    host = (urlsplit(url).hostname or "").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Triton(Value):
    """How Triton Inference Servers are asked; other backends do not read it."""

    version: str = Field(
        default="",
        pattern=r"^\d*$",
        description="The version of the model, such as 2; without it the newest that the server has.",
    )
    deadline_ms: Number = Field(
        default=1000.0,
        ge=10,
        le=4000,
        description="How long one request may take, milliseconds. The server is told, and drops what has waited so "
        "long; the connection is made anew, or another server asked. Above slo.p95_ms: late boxes still help.",
    )
    start_s: Number = Field(
        default=30.0,
        ge=0,
        le=500,
        description="How long a start waits for a server that does not answer yet, seconds. Raise it where the server "
        "loads large models.",
    )
    memory: Literal["auto", "system", "cuda", "none"] = Field(
        default="auto",
        description="How pictures get to the server. `system` is shared memory, for a server on this machine in the "
        "same /dev/shm; `cuda` the GPU's; `none` the connection. `auto` is `system` at loopback, else `none`.",
    )
    metadata: str = Field(
        default="",
        description="The metadata.yaml of Ultralytics' export, with the names of the classes. Only where the model's "
        "config on the server has no parameter of that name; camfleet export --triton writes it.",
    )
    ca_file: str = Field(
        default="",
        description="The file of the authority that has signed the servers' certificates (PEM), for grpcs://; without "
        "it, those that gRPC knows.",
    )
    cert_file: str = Field(
        default="", description="This fleet's own certificate (PEM), where the servers ask for one; with `key_file`."
    )
    key_file: str = Field(default="", description="The file with the key of `cert_file` (PEM).")

    @model_validator(mode="after")
    def _pair(self) -> Triton:
        if bool(self.cert_file) != bool(self.key_file):
            raise mistake("“cert_file” and “key_file” belong together; one of them is missing")
        return self
