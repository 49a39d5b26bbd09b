"""What the rules' process is told; apart from what judges, so that a fleet without rules needs no Shapely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.rules import Rules


@dataclass(frozen=True, slots=True)
class EventsSpec:
    """All that the rules' process needs to know.

    Attributes:
        rules: Of each camera that has some.
        endpoint: Where the fleet publishes, inside.
        folder: The run's folder, where the publisher is asked for what was missed.
        inbox: Where messages go to be published.
        memory: The file in which is kept what is known.
    """

    rules: Mapping[str, Rules]
    endpoint: str
    folder: Path
    inbox: str
    memory: Path
