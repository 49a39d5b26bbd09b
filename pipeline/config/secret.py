"""A text that opens something: a password, a token, an address with either in it. Printing it shows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pipeline.config.base import mistake
from pipeline.redact import MASK


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """It pickles whole, so that the process that needs it gets it; every dump and message of it is the mask.

    Example:
        >>> token = Secret("hunter2")
        >>> str(token), token.reveal()
        ('***', 'hunter2')
    """

    _text: str

    def reveal(self) -> str:
        """The text itself: for opening what it opens, not for any message."""
        return self._text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    @classmethod
    def parse(cls, value: object) -> Secret:
        """A secret, unless it is empty.

        Raises:
            PydanticCustomError: It is empty or no text; the words repeat no part of it.
        """
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str) or not value.strip():
            raise mistake("expected a text, such as ${VARIABLE} of the environment")
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "examples": ["${VARIABLE}"]}
