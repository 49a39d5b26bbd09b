"""Which of a device's streams is detected, and which is kept beside it.

A detector looks at pictures of some 640 pixels across, so a larger stream costs the network and the decoder and shows
it nothing more; a smaller one hides what is far away. So the smallest stream that is large enough is detected, and the
largest is kept for looking at what was detected: `url` and `evidence_url` of the fleet file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.discover.device import Device, Profile

ENOUGH_PX = 640
"""Of the longer side: what models are exported for by default (`input_wh`)."""
SLOW_FPS = 5.0
"""Below it a tracker loses who walks past."""
_DEAREST = ("JPEG", "MPEG4")
"""Codecs that take several times the bytes of H.264 for the same picture."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The streams of one video input.

    Attributes:
        detect: What is detected.
        evidence: What is kept; None where there is nothing larger.
        advice: What would be better, sentences.
    """

    detect: Profile
    evidence: Profile | None = None
    advice: tuple[str, ...] = ()


def choose(profiles: Iterable[Profile]) -> Choice | None:
    """The choice among the streams of one video input; None where none has an address."""
    usable = [one for one in profiles if one.uri]
    if not usable:
        return None
    detect = min(usable, key=_fitness)
    largest = max(usable, key=lambda one: (not _is_dear(one), one.pixels))
    evidence = largest if largest.pixels > detect.pixels and not _is_dear(largest) else None
    return Choice(detect, evidence, tuple(_advice(detect, usable)))


def by_source(device: Device) -> list[list[Profile]]:
    """A device's streams by its video inputs, in its own order: an encoder or a recorder has several."""
    sources: dict[str, list[Profile]] = {}
    for one in device.profiles:
        sources.setdefault(one.source, []).append(one)
    return list(sources.values())


def _fitness(one: Profile) -> tuple[bool, bool, bool, int]:
    """Smaller is better: known and large enough, cheap, not slow; among those the smallest, else the largest."""
    enough = one.size_wh is not None and max(one.size_wh) >= ENOUGH_PX
    return (not enough, _is_dear(one), _is_slow(one), one.pixels if enough else -one.pixels)


def _is_dear(one: Profile) -> bool:
    return one.codec.upper() in _DEAREST


def _is_slow(one: Profile) -> bool:
    return one.fps is not None and one.fps < SLOW_FPS


def _advice(detect: Profile, usable: list[Profile]) -> Iterable[str]:
    if detect.size_wh is None:
        yield "it does not say how large its pictures are: see `camfleet check --probe`"
        return
    if max(detect.size_wh) < ENOUGH_PX:
        yield f"its pictures are small, {size(detect)}: what is far away is not seen; a sub-stream of 640x360 suits"
    smaller = [one for one in usable if one.size_wh is not None and max(one.size_wh) < ENOUGH_PX]
    if smaller and detect not in smaller and detect.pixels == max(one.pixels for one in usable):
        small = max(smaller, key=lambda one: one.pixels)
        yield f"its sub-stream of {size(small)} is small for a detector: set it to 640x360 or so, and detect that"
    if _is_dear(detect):
        yield f"{detect.codec} takes several times the network of H.264: make a profile with H.264"
    if _is_slow(detect):
        yield f"{detect.fps:g} frames a second are few for tracking: raise them in the camera"


def size(profile: Profile) -> str:
    """Such as `640x360`."""
    return "unknown size" if profile.size_wh is None else "{}x{}".format(*profile.size_wh)
