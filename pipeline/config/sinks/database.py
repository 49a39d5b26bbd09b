"""A sink that keeps results in a database, and where that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pipeline.config.base import mask_value, mistake, not_bool
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.url import scheme_of

Engine = Literal["sqlite", "duckdb", "postgresql"]

SUFFIXES: dict[str, Engine] = {
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
}
"""Which database a file is, by the end of its name."""
SERVER_SCHEMES = ("postgresql", "postgres")
MODULES: dict[Engine, tuple[str, ...]] = {"sqlite": (), "duckdb": ("duckdb", "pyarrow"), "postgresql": ("psycopg",)}
"""What must be importable for each."""
# No user and password: they would be masked wherever this is told.
ALLOWED = "the path of a file that ends in .sqlite or .duckdb, or an address such as postgresql://host/database"

_UNSAFE = re.compile(r"[\s'\"\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """A file's path or a server's address; printing it masks the password.

    Example:
        >>> url = DatabaseUrl("postgresql://bob:hunter2@db/town")
        >>> str(url), url.engine
        ('postgresql://***@db/town', 'postgresql')
    """

    _text: str

    def reveal(self) -> str:
        """The address with its password: for opening it, not for any message."""
        return self._text

    @property
    def engine(self) -> Engine:
        """What kind of database is there."""
        return "postgresql" if scheme_of(self._text) else SUFFIXES[Path(self._text).suffix.lower()]

    def file(self, directory: Path) -> Path:
        """Where the file is, of one that is no server; relative paths begin at `directory`."""
        return directory / Path(self._text).expanduser()

    def __str__(self) -> str:
        return mask_value(self._text)

    def __repr__(self) -> str:
        return f"DatabaseUrl({str(self)!r})"

    @classmethod
    def parse(cls, value: object) -> DatabaseUrl:
        """A checked path or address.

        Raises:
            PydanticCustomError: It is none that a database can have; the text repeats no part that may be secret.
        """
        if isinstance(value, DatabaseUrl):
            return value
        if not isinstance(value, str) or not value.strip():
            raise mistake(f"expected {ALLOWED}")
        scheme = scheme_of(value)
        if scheme in SERVER_SCHEMES:
            _check_server(value)
        elif scheme:
            raise mistake(f"scheme “{scheme}://” is not supported; expected {ALLOWED}")
        elif Path(value).suffix.lower() not in SUFFIXES or "\0" in value:
            raise mistake(f"found “{mask_value(value)}”, expected {ALLOWED}")
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "examples": ["results.sqlite", "postgresql://camfleet:${DB_PASSWORD}@db/town"]}


def _check_server(url: str) -> None:
    if _UNSAFE.search(url):
        raise mistake("an address has no spaces, quotes or control characters; write them percent-encoded (space: %20)")
    try:
        usable = urlsplit(url).port != 0
    except ValueError:
        usable = False
    if not usable:
        raise mistake(
            "expected postgresql://host:port/database, user and password before the host as in any address; "
            "in a password, “@ : / ? # %” are written percent-encoded (@ is %40, / is %2F, # is %23)"
        )


Days = Annotated[float, Field(gt=0, le=36_500), BeforeValidator(not_bool)]


class DatabaseSettings(SinkSettings):
    """Results in tables: a file of SQLite or DuckDB, or a server of PostgreSQL."""

    kind: ClassVar[str] = "database"
    extra: ClassVar[str] = "sinks"

    url: DatabaseUrl = Field(
        default=DatabaseUrl("results.sqlite"),
        description="A file that ends in .sqlite or .duckdb, beside the fleet file, or postgresql://user:password@host/"
        "database. SQLite can be read while it is written; DuckDB answers questions about many frames faster, and lets "
        "nobody else open the file meanwhile; PostgreSQL is for who outgrows a file.",
    )
    keep_days: Days | None = Field(
        default=None,
        description="How long results are kept, days; older ones are deleted, a few at a time. Without it, for ever.",
    )

    @property
    def required(self) -> tuple[str, ...]:
        """SQLite alone needs no library."""
        return MODULES[self.url.engine]
