"""Fleet files that are wrong, and what is said about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.errors import ConfigError

STUB = "model: {backend: stub}"
GATE = "cameras: {gate: {url: rtsp://cam/1}}"


def told_of(content: str | bytes, folder: Path) -> list[str]:
    """The lines of the error that a fleet file in `folder` gives, without the folder's name."""
    file = folder / "fleet.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as caught:
        load_fleet(file, {})
    return [line.strip().removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]
