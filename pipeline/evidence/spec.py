"""What the process that keeps evidence is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.config.evidence import EventEvidence
from pipeline.config.privacy import Privacy

Keeps = Literal["as it came", "covered", "nothing"]


@dataclass(frozen=True, slots=True)
class Watched:
    """A camera of whose events evidence is kept.

    Attributes:
        rules: Its zones and lines that ask for it.
        second: Whether it has a second stream, which is kept instead of the one that is detected.
        keeps: What its `privacy` lets be kept of its pictures; of `nothing`, a record is all there is.
        privacy: What is covered.
    """

    rules: frozenset[str]
    second: bool
    keeps: Keeps = "as it came"
    privacy: Privacy = field(default_factory=Privacy)


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
