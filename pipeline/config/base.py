"""What every value of a fleet has in common: frozen, no unknown keys, never prints a password."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from pipeline.redact import MASK, redact

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
NAME_RULE = "1 to 63 letters, digits, “_”, “.” or “-”, beginning with a letter or digit"

FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""What names a part of the user's own: package.module:factory."""

_NAME = re.compile(NAME_PATTERN)
_SECRET_KEY = re.compile(r"(?i)pass|pwd|secret|token|auth|credential|header|cookie|signature|key$")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}://")
_GAP = re.compile(r"[\s'\"]")


def mistake(text: str, *, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """An error of a value that says in its own words what was found and what is allowed.

    Args:
        text: The words.
        at: Which part of the value they speak of; the value itself by default.
    """
    return PydanticCustomError("mistake", "{text}", {"text": text, "at": at})


def mask_value(value: str) -> str:
    """A single value with its credentials masked, also where a password has spaces or quotes in it.

    `redact` works on whole sentences and has to stop at a space; here the value is known to be one address at most.
    """
    scheme = _SCHEME.search(value)
    if scheme is not None and _GAP.search(value, scheme.end()):
        value = value[: scheme.end()] + MASK
    return redact(value)


def mask_tree(value: Any) -> Any:
    """`value` with what is secret in it masked, whatever it is made of."""
    if isinstance(value, str):
        return mask_value(value)
    if isinstance(value, dict):
        return {key: MASK if _is_secret(key, item) else mask_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(mask_tree(item) for item in value)
    return value


def _is_secret(key: object, value: object) -> bool:
    return isinstance(key, str) and not isinstance(value, bool | dict | None) and _SECRET_KEY.search(key) is not None


class Value(BaseModel):
    """A frozen value of a fleet; `repr`, `str` and every dump have their credentials masked."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
        field_title_generator=lambda name, _: name,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_section(cls, data: object) -> object:
        # “defaults:” with every line under it commented out is null in YAML and means “nothing special”.
        return {} if data is None else data

    @model_serializer(mode="wrap")
    def _masked(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        masked: dict[str, Any] = mask_tree(serialize(self))
        return masked

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, mask_tree(value)) for name, value in super().__repr_args__()]


def not_bool(value: object) -> object:
    """`value`, unless it is true or false, which Python and pydantic take for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    return value


def _name(value: object) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _NAME.fullmatch(text):
        found = f"found “{mask_value(text)}”" if text else "that is no name"
        raise mistake(f"{found}; a name is {NAME_RULE}")
    return text


Whole = Annotated[int, BeforeValidator(not_bool)]
"""An integer; unlike Python's, true is not one."""
Number = Annotated[float, BeforeValidator(not_bool)]
"""A finite float; true is not one."""
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
"""What a camera or fleet may be called: it becomes part of topics, file names and service names."""
