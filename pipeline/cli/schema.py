"""`camfleet schema`: the JSON Schema of fleet files, of scenarios, and of messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

What = Literal["fleet", "scenario", "simulate", "messages"]


def schema(
    what: Annotated[
        What,
        typer.Argument(
            help="Of fleet files, of scenarios of `burst`, of days to `simulate`, or of the messages on the wire."
        ),
    ] = "fleet",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of printing.")
    ] = None,
) -> None:
    """Print the JSON Schema of fleet files or scenarios, so that an editor completes and explains keys, or of messages.

    Editors with yaml-language-server (VS Code, Neovim, Helix, …) use it
    where a file begins with

        # yaml-language-server: $schema=fleet.schema.json

    That of messages is for readers in other languages; pipeline/wire.md says what a reader may rely on.

    Example: camfleet schema --output fleet.schema.json
    """
    import json

    from pipeline.errors import ConfigError

    text = json.dumps(_schema(what), indent=2, ensure_ascii=False)
    if output is None:
        print(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from error


def _schema(what: What) -> dict[str, Any]:
    if what == "scenario":
        from pipeline.burst.schema import scenario_schema

        return scenario_schema()
    if what == "simulate":
        from pipeline.config.schema import DIALECT, spelled
        from pipeline.scale.simulate.scenario import Scenario

        return {"$schema": DIALECT, **spelled(Scenario.model_json_schema()), "title": "camfleet simulated day"}
    if what == "messages":
        from pipeline.wire.schema import message_schema

        return message_schema()
    from pipeline.config import json_schema

    return json_schema()
