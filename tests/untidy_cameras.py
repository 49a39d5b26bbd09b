"""Seventeen habits of cameras as streams to serve: the tidy one, and those of public bug reports of this field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.camera.nal import Codec
from tests.coded_pictures import (
    START,
    TICKS,
    Nal,
    coded,
    joined,
    one_stamp_for_all,
    one_stamp_for_two,
    sets_apart,
    stray,
    without_sets,
)
from tests.rtsp_camera import MTU, Habits, aggregated

GOP = 30
"""Pictures from one key frame, or beginning of a refresh, to the next."""
LIVELY_FROM = 3 * GOP + 10
"""From so many on, something happens."""
OTHER_WH = (192, 160)

Shape = Callable[[list[list[Nal]], Codec], list[list[Nal]]]


@dataclass(frozen=True)
class Untidy:
    """A camera's stream.

    Attributes:
        pictures: Coded, Annex B.
        habits: How they are sent.
    """

    pictures: tuple[bytes, ...]
    habits: Habits


def untidy(name: str, codec: Codec, frames: int) -> Untidy:
    """The stream of a habit of `HABITS`."""
    return HABITS[name](codec, frames)


def _stream(options: str = "", shape: Shape | None = None, **habits: object) -> Callable[[Codec, int], Untidy]:
    def made(codec: Codec, frames: int) -> Untidy:
        pictures = _coded(codec, options, frames)
        return Untidy(pictures, _shaped(codec, shape, **habits))

    return made


def _resized(shape: Shape | None = None) -> Callable[[Codec, int], Untidy]:
    """A size that changes half-way."""

    def made(codec: Codec, frames: int) -> Untidy:
        half = frames // 2 // GOP * GOP
        pictures = _coded(codec, "", half) + coded(codec, frames=frames - half, gop=GOP, wh=OTHER_WH)
        return Untidy(pictures, _shaped(codec, shape))

    return made


def _another_told(codec: Codec, frames: int) -> Untidy:
    other = coded(codec, frames=2, wh=OTHER_WH)
    return Untidy(_coded(codec, "", frames), replace(_shaped(codec, None), told=other))


def _shaped(codec: Codec, shape: Shape | None, **habits: object) -> Habits:
    return Habits(codec=codec, shape=list if shape is None else lambda units: shape(units, codec), **habits)  # type: ignore[arg-type]


def _coded(codec: Codec, options: str, frames: int) -> tuple[bytes, ...]:
    return coded(codec, options, frames=frames, gop=GOP, lively_from=LIVELY_FROM)


def _limited(codec: Codec, frames: int) -> Untidy:
    """Slices limited to a packet's size; x265 limits none: then quiet pictures are one slice, and lively ones four."""
    if codec == "h264":
        return Untidy(_coded(codec, f"slice-max-size={MTU - 10}", frames), _shaped(codec, None))
    quiet, half = _coded(codec, "", frames), LIVELY_FROM // GOP * GOP
    lively: Sequence[bytes] = coded(codec, "slices=4", frames=frames - half, gop=GOP)
    return Untidy((*quiet[:half], *lively), _shaped(codec, None))


HABITS: dict[str, Callable[[Codec, int], Untidy]] = {
    "tidy": _stream(),
    "no sets told": _stream(sets_told=False),
    "sets with the picture before": _stream(shape=lambda u, c: sets_apart(u, c, TICKS), sets_told=False),
    "sets with a time of their own": _stream(shape=lambda u, c: sets_apart(u, c, TICKS // 2), sets_told=False),
    "another stream's sets told": _another_told,
    "size changes": _resized(),
    "size changes, sets with the picture before": _resized(lambda u, c: sets_apart(u, c, TICKS)),
    "three-byte codes inside": _stream(shape=lambda u, c: joined(u, b"\0\0\1")),
    "four-byte codes inside": _stream(shape=lambda u, c: joined(u, START)),
    "aggregates": _stream(shape=aggregated),
    "four slices": _stream("slices=4"),
    "slices limited by size": _limited,
    "one stamp for two pictures": _stream(shape=lambda u, c: one_stamp_for_two(u)),
    "one stamp for all": _stream(shape=lambda u, c: one_stamp_for_all(u)),
    "stray stamps": _stream(shape=lambda u, c: stray(u)),
    "clock slower than its stamps": _stream(fps=24.5),
    "refresh without key frames": _stream("intra-refresh=1", shape=without_sets),
}
