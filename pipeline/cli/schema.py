"""`camfleet schema`: the JSON Schema of fleet files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of printing.")
    ] = None,
) -> None:
    """Print the JSON Schema of fleet files, so that an editor completes and explains their keys.

    Editors with yaml-language-server (VS Code, Neovim, Helix, …) use it
    where a fleet file begins with

        # yaml-language-server: $schema=fleet.schema.json

    Example: camfleet schema --output fleet.schema.json
    """
    import json

    from pipeline.config import json_schema
    from pipeline.errors import ConfigError

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if output is None:
        print(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from error
