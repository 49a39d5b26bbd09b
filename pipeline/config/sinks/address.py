"""Where a sink's server is: scheme, host and port for every message, user and password for opening it only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pipeline.config.base import mistake
from pipeline.config.secret import Secret

_UNSAFE = re.compile(r"[\s'\"\x00-\x1f\x7f]")
_PATH = re.compile(r"/?|/\d{1,5}")


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A server. It pickles whole; printing or dumping it shows neither user nor password.

    Attributes:
        scheme: In lower case.
        host: A name or an address; without brackets.
        port: The scheme's usual one where none was given.
        user: Decoded; empty without one.
        password: Decoded; None without one.
        database: The number behind the port, of servers that have several.

    Example:
        >>> address = Address.parse("redis://bob:hunter2@10.0.0.1/3", {"redis": 6379})
        >>> str(address), address.user
        ('redis://10.0.0.1:6379/3', 'bob')
    """

    scheme: str
    host: str
    port: int
    user: str = field(default="")
    password: Secret | None = None
    database: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" + (f"/{self.database}" if self.database else "")

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @classmethod
    def parse(cls, value: object, ports: dict[str, int]) -> Address:
        """A checked address.

        Args:
            value: `scheme://[user[:password]@]host[:port][/number]`.
            ports: The schemes that are allowed, and the usual port of each.

        Raises:
            PydanticCustomError: It is none; the words repeat no part of it.
        """
        if isinstance(value, Address):
            return value
        parts = _split(value)
        database = parts.path.strip("/") if parts is not None else ""
        if parts is None or parts.scheme not in ports or not parts.hostname or (database and not _numbers(parts)):
            expected = " or ".join(f"{scheme}://host:{port}" for scheme, port in ports.items())
            raise mistake(
                f"expected {expected}; the user goes before the host (user@host), the password best into `password`: "
                "in the address, “@ : / ? # %” of it are written percent-encoded"
            )
        return cls(
            parts.scheme,
            parts.hostname,
            parts.port or ports[parts.scheme],
            unquote(parts.username or ""),
            Secret(unquote(parts.password)) if parts.password else None,
            int(database or 0),
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls, serialization=core_schema.plain_serializer_function_ser_schema(str))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string"}


def address_of(**ports: int) -> BeforeValidator:
    """What makes a field an address of these schemes, each with its usual port."""
    return BeforeValidator(lambda value: Address.parse(value, ports))


def _split(value: object) -> SplitResult | None:
    """The parts of an address; None if it is none, or has parts that a server's has not."""
    if not isinstance(value, str) or _UNSAFE.search(value):
        return None
    try:
        parts = urlsplit(value)
        # What no resolver takes is found here and not in a library.
        (parts.hostname or "").encode("idna")
        usable = parts.port != 0 and _PATH.fullmatch(parts.path) and not parts.query and not parts.fragment
    except ValueError:
        return None
    return parts if usable else None


def _numbers(parts: SplitResult) -> bool:
    """Whether it is a kind of server that numbers its databases."""
    return parts.scheme in ("redis", "rediss")
