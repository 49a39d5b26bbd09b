"""What the process that keeps evidence is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.evidence import EventEvidence


@dataclass(frozen=True, slots=True)
class Watched:
    """A camera of whose events evidence is kept.

    Attributes:
        rules: Its zones and lines that ask for it.
        second: Whether it has a second stream, which is kept instead of the one that is detected.
        covered: Whether its `privacy` lets nothing be kept as it came: then a record is all there is.
    """

    rules: frozenset[str]
    second: bool
    covered: bool = False


@dataclass(frozen=True, slots=True)
class EvidenceSpec:
    """All that it needs to know.

    Attributes:
        fleet: The fleet's name.
        settings: What the fleet file says.
        folder: Where evidence is kept, absolute.
        cameras: Those that are watched, by name.
        endpoint: Where the fleet publishes, inside.
        run: The run's folder, where cameras show their pictures.
        inbox: Where messages go to be published.
        report: The file in which it says how it does.
    """

    fleet: str
    settings: EventEvidence
    folder: Path
    cameras: Mapping[str, Watched]
    endpoint: str
    run: Path
    inbox: str
    report: Path
