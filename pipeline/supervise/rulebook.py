"""The zones and lines of a running fleet, for those who show them and ask again and again whether they are others."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from pipeline.config.values import Fleet
from pipeline.supervise.rules import rules_of


class RuleBook:
    """Writes them down once for each fleet file. Thread-safe: whoever comes at the same time does it, too."""

    def __init__(self) -> None:
        """Nothing is written down yet."""
        self._written: tuple[Fleet, str, dict[str, Any]] | None = None

    def answer(self, fleet: Fleet, known: object) -> dict[str, Any]:
        """What `rules` is answered.

        Args:
            fleet: As it runs now.
            known: The version that who asks has.

        Returns:
            `version`, which names them, and `cameras`: of each camera that has some, `zones` and `lines` with every
            key; null where they are those that are known.
        """
        written = self._written
        if written is None or written[0] is not fleet:
            written = self._written = (fleet, *_written(fleet))
        _, version, cameras = written
        return {"version": version, "cameras": None if version == known else cameras}


def _written(fleet: Fleet) -> tuple[str, dict[str, Any]]:
    cameras = {name: rules.model_dump(mode="json") for name, rules in rules_of(fleet).items()}
    return hashlib.blake2b(msgspec.json.encode(cameras), digest_size=8).hexdigest(), cameras
