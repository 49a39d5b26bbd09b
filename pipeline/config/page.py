"""The page of a fleet in its file: where it is served, and who may see it."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.config.base import Value, Whole, mask_value, mistake
from pipeline.config.secret import Secret
from pipeline.extras import lack

PORT = 8080
SHORTEST_TOKEN = 16
"""Characters; so many cannot be guessed by trying, and nobody has to be locked out for trying."""


def _address(value: str) -> str:
    if value == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        raise mistake(
            f"found “{mask_value(value)}”, expected an address of this machine: 127.0.0.1, 0.0.0.0 for all, ::1"
        ) from None


class Page(Value):
    """A page that shows the fleet live, in any browser: pictures with their boxes, figures, and what is wrong."""

    port: Whole = Field(default=PORT, ge=0, le=65535, description="Where it is served; 0 takes a free port.")
    bind: Annotated[str, AfterValidator(_address)] = Field(
        default="127.0.0.1",
        description="The address it is served at. 127.0.0.1 is this machine alone; 0.0.0.0 is everybody who reaches "
        "it, for which a token is required, and TLS or a proxy that has it is wise.",
    )
    token: Secret | None = Field(
        default=None,
        description="What one has to know to see the page, from the environment as ${PAGE_TOKEN}; 16 characters or "
        "more. With it cameras can be paused and the fleet file be applied from the page; without it, only watched.",
    )
    cert: str | None = Field(default=None, description="A file with the certificate and its chain (PEM): HTTPS.")
    key: str | None = Field(default=None, description="The file with the certificate's key (PEM).")

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: Secret | None) -> Secret | None:
        if token is not None and len(token.reveal()) < SHORTEST_TOKEN:
            raise mistake(f"is too short; expected {SHORTEST_TOKEN} characters or more, such as openssl rand -hex 16")
        return token

    @model_validator(mode="after")
    def _safe(self) -> Page:
        if not self.is_local and self.token is None:
            raise mistake(
                "“token” is missing: beyond this machine a page is served only to those who know one, such as "
                "token: ${PAGE_TOKEN}"
            )
        if (self.cert is None) != (self.key is None):
            raise mistake("“cert” and “key” belong together; one of them is missing")
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.bind).is_loopback

    def address(self, port: int) -> str:
        """What to type into a browser on this machine, for the port that it has."""
        at = ipaddress.ip_address(self.bind)
        host = "localhost" if at.is_unspecified else f"[{at}]" if at.version == 6 else str(at)
        return f"{'https' if self.cert else 'http'}://{host}:{port}/"


def missing_words() -> str:
    """What has to be installed for a page, and how; empty where all is there. Nothing is imported."""
    return lack("page", "the page")
