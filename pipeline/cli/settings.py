"""Settings on a command line, as a fleet file would have them; and keys, which none has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.client import Key

KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", envvar="CAMFLEET_KEY", help="Your NAME.key_secret, where the fleet wants a key."
    ),
]
ServerKeyOption = Annotated[
    Path | None,
    typer.Option("--server-key", metavar="FILE", envvar="CAMFLEET_SERVER_KEY", help="The fleet's server.key."),
]


def read_settings(settings: list[str]) -> dict[str, Any]:
    """`track.fill=none` as a fleet file would nest it; values are YAML as there.

    Raises:
        ConfigError: One is not KEY=VALUE, or its value no YAML.
    """
    from pipeline.config.locate import read_value
    from pipeline.errors import ConfigError
    from pipeline.redact import redact

    read: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise ConfigError(f"--set {redact(setting)}: expected KEY=VALUE, such as --set stride=2")
        *sections, last = key.split(".")
        inside = read
        for section in sections:
            inside = inside.setdefault(section, {})
            if not isinstance(inside, dict):
                raise ConfigError(f"--set {redact(setting)}: “{section}” was given a value before, and has no keys")
        try:
            inside[last] = read_value(value, "--set")
        except ConfigError:
            raise ConfigError(f"--set {redact(setting)}: the value is no YAML; put it in quotes") from None
    return read


def key_of(own: Path | None, server: Path | None) -> Key | None:
    """What opens the endpoint, if anything was given for that.

    Raises:
        ConfigError: One of the two was given.
    """
    from pipeline.client import Key
    from pipeline.errors import ConfigError

    if own is None and server is None:
        return None
    if own is None or server is None:
        raise ConfigError("--key and --server-key belong together: yours, and the public one of the fleet")
    return Key(own, server)
