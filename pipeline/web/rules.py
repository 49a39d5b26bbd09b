"""The zones and lines of the fleet's cameras, asked of the fleet again and again while somebody looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import ControlError
from pipeline.web import control

ANSWER_S = 5.0
"""They come from memory; a fleet that takes longer is ending, or stands still."""


class AskedRules:
    """Belongs to an event loop.

    Attributes:
        cameras: Of each camera that has some, `zones` and `lines` with every key; None while that is not known.
    """

    def __init__(self, directory: Path) -> None:
        """Nothing is known of the fleet of this run yet."""
        self.cameras: dict[str, Any] | None = None
        self._directory = directory
        self._version: str | None = None

    async def ask(self) -> bool:
        """Whether they are others now. A fleet that does not answer changes nothing."""
        if not control.can_be_asked(self._directory):
            return False
        try:
            answer = await control.ask(self._directory, {"command": "rules", "known": self._version}, ANSWER_S)
        except ControlError:
            return False
        if answer["cameras"] is None:
            return False
        self._version, self.cameras = answer["version"], answer["cameras"]
        return True
