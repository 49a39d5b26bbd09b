"""Whether a connection that delivers packets delivers pictures: one that does not is blind, however lively it looks."""

from __future__ import annotations

from pipeline.clock import NS_PER_S

BLIND_S = 5.0
"""After so long without a picture worth showing, while packets come."""
ENOUGH_PICTURES, ENOUGH_PACKETS = 3, 3000
"""So many coded pictures should have shown one; so many packets should have made one, however large they are."""
LOOK_S = 1.0
"""How often to look while there is none."""


class Sight:
    """Watches one connection. Pure arithmetic."""

    def __init__(self, began_ns: int) -> None:
        """A connection that was made at the monotonic time `began_ns`."""
        self._good_ns = self._looked_ns = began_ns
        self._packets = self._units = self._corrupt = self._behind = 0
        self._begun = self._key = False

    def packet(self) -> None:
        """One has come."""
        self._packets += 1

    def picture(self, at_ns: int, *, corrupt: bool, behind: bool) -> None:
        """One has come out, or its gap."""
        if behind:
            self._behind += 1
        elif corrupt:
            self._corrupt += 1
        else:
            self._good_ns, self._begun = at_ns, True
            self._packets = self._units = self._corrupt = self._behind = 0

    def unit(self, *, key: bool) -> None:
        """A coded picture has come; `key` says whether decoding can begin with it."""
        self._units += 1
        self._key = self._key or key

    def is_time_to_look(self, at_ns: int) -> bool:
        """Whether `blind` may have changed although no picture came; true once a second."""
        if at_ns - max(self._good_ns, self._looked_ns) < LOOK_S * NS_PER_S:
            return False
        self._looked_ns = at_ns
        return True

    def blind(self, at_ns: int) -> str:
        """Why nothing is seen, in words; empty while something is."""
        dark_s = (at_ns - self._good_ns) / NS_PER_S
        # A camera of one picture in ten seconds has not gone dark between two.
        if dark_s < BLIND_S or (self._units < ENOUGH_PICTURES and self._packets < ENOUGH_PACKETS):
            return ""
        since = f"in {dark_s:.0f} s"
        if self._behind > self._corrupt:
            return f"decoding does not keep up: {self._behind} pictures {since} were too old to be decoded"
        if self._corrupt:
            return f"{self._corrupt} pictures came {since}, and all of them were damaged"
        if not self._begun and not self._key:
            return (
                f"{self._packets} packets came {since}, and no key frame that decoding can begin with; "
                "set a shorter key-frame interval in the camera"
            )
        return (
            f"{self._packets} packets came {since}, and no picture could be decoded; check the camera's codec settings"
        )
