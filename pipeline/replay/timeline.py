"""From the recording's time to the camera's, which go at different speeds and never part.

Both count 1/90000 s. A change of speed, or of the recording, takes effect at one picture: what was before stays where
it was, and the camera's time goes on without a jump.
"""

from __future__ import annotations


class Timeline:
    """Camera time as a function of recording time, linear from the last change on."""

    def __init__(self, speed: float) -> None:
        """`speed` is how many times faster than recorded."""
        self._speed = speed
        self._recorded = self._shown = 0

    @property
    def speed(self) -> float:
        """How many times faster than recorded."""
        return self._speed

    def to_camera(self, recorded: int) -> int:
        """Camera time of an instant of the recording."""
        return self._shown + round((recorded - self._recorded) / self._speed)

    def change(self, recorded: int, speed: float) -> None:
        """Go on with `speed` from the instant `recorded` on."""
        self._shown = self.to_camera(recorded)
        self._recorded, self._speed = recorded, speed

    def splice(self, recorded: int, shown: int, speed: float) -> None:
        """Go on with another recording, whose instant `recorded` is at `shown` in camera time."""
        self._recorded, self._shown, self._speed = recorded, shown, speed
