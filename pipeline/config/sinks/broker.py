"""What the settings of several message brokers have in common."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipeline.config.base import mistake

Encoding = Literal["json", "msgpack"]
"""How a message's body is written: with the keys of the fleet's own stream either way."""

_PLACEHOLDER = re.compile(r"\{(fleet|kind|camera)\}")


def template_of(signs: str) -> AfterValidator:
    """What makes a field a name that is another for each fleet, kind of message or camera.

    Args:
        signs: What it may have beside letters and digits, such as "_.-".
    """
    allowed = re.compile(rf"[A-Za-z0-9{re.escape(signs)}]{{1,200}}")

    def check(value: str) -> str:
        if not allowed.fullmatch(_PLACEHOLDER.sub("x", value)):
            raise mistake(
                f"expected letters, digits and “{' '.join(signs)}”, with {{fleet}}, {{kind}} and {{camera}} where "
                "those are to stand"
            )
        return value

    return AfterValidator(check)


CaFile = Annotated[
    str | None,
    Field(
        min_length=1,
        description="The file of the authority that has signed the server's certificate, beside the fleet file; "
        "without it, those that this machine knows. For addresses with TLS.",
    ),
]


def fill(template: str, fleet: str, kind: str, camera: str) -> str:
    """A template's name for a message; of one that is about no camera, it ends before the camera.

    Example:
        >>> fill("camfleet:{fleet}:{kind}:{camera}", "town", "fleet", "")
        'camfleet:town:fleet'
    """
    values = {"fleet": fleet, "kind": kind, "camera": camera}
    filled = _PLACEHOLDER.sub(lambda found: values[found[1]], template)
    return filled if camera else filled.rstrip("_.:/-")
