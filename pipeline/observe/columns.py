"""The figures of a camera's line, and how they are coloured: green is only what is known to be well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from pipeline.observe.promise import Promise
from pipeline.observe.tally import CameraTally, FleetTally
from pipeline.observe.words import UNKNOWN, age, percent, whole

GOOD, BAD = "green", "bold red"
MOST_WANTED_FIRST = (
    "p95 ms", "det age", "det/s", "stride", "loss", "kept %", "objects", "dec/s", "missed", "lost", "p50 ms",
    "pub/s", "again",
)  # fmt: skip
"""Headings of all figures."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure.

    Attributes:
        heading: As short as the figures.
        width: In cells; figures stand to the right.
        camera: The figure of a camera.
        fleet: That of all.
    """

    heading: str
    width: int
    camera: Callable[[CameraTally, Promise], Text]
    fleet: Callable[[FleetTally, Promise], Text]


def is_well(camera: CameraTally, promise: Promise) -> bool:
    """Whether it is live and its newest detection is young enough for its boxes to be shown."""
    known = camera.detection_age_ms
    return camera.state == "live" and known is not None and known <= promise.detection_limit_ms(camera.camera_id)


def missed(camera: CameraTally) -> int:
    """Frames that were meant for the detector and did not get there in time."""
    return sum(frames for reason, frames in camera.filled.items() if reason != "stride")


def promised(wanted: Sequence[str], promise: Promise) -> tuple[str, ...]:
    """Those that speak of something that is promised, or that needs no promise."""
    return tuple(heading for heading in wanted if heading != "loss" or promise.max_loss is not None)


def columns(room: int, wanted: Sequence[str] = MOST_WANTED_FIRST) -> list[Column]:
    """As many figures as fit into so many cells, one cell before each.

    Args:
        room: Cells.
        wanted: Headings, the most important one first.
    """
    chosen: set[str] = set()
    for heading in wanted:
        room -= _ALL[heading].width + 1
        if room < 0:
            break
        chosen.add(heading)
    return [column for heading, column in _ALL.items() if heading in chosen]


def _plain(
    heading: str, width: int, camera: Callable[[CameraTally], str], fleet: Callable[[FleetTally], str] = lambda _: ""
) -> Column:
    return Column(heading, width, lambda one, _: Text(camera(one)), lambda all_of_them, _: Text(fleet(all_of_them)))


def _p95(camera: CameraTally, promise: Promise) -> Text:
    style = _judged(camera.age_p95_ms, promise.p95_ms, is_well(camera, promise))
    return Text(whole(camera.age_p95_ms), style)


def _fleet_p95(fleet: FleetTally, promise: Promise) -> Text:
    well = bool(fleet.cameras) and all(is_well(camera, promise) for camera in fleet.cameras)
    return Text(whole(fleet.age_p95_ms), _judged(fleet.age_p95_ms, promise.p95_ms, well))


def _detection_age(camera: CameraTally, promise: Promise) -> Text:
    limit_ms = promise.detection_limit_ms(camera.camera_id)
    return Text(age(camera.detection_age_ms), _judged(camera.detection_age_ms, limit_ms, is_well(camera, promise)))


def _loss(camera: CameraTally, promise: Promise) -> Text:
    return _points(camera.loss, promise, is_well(camera, promise))


def _most_lost(fleet: FleetTally, promise: Promise) -> Text:
    known = [camera.loss for camera in fleet.cameras if camera.loss is not None]
    well = len(known) == len(fleet.cameras) and all(is_well(camera, promise) for camera in fleet.cameras)
    return _points(max(known, default=None), promise, well)


def _points(loss: float | None, promise: Promise, well: bool) -> Text:
    limit = math.inf if promise.max_loss is None else promise.max_loss
    return Text(UNKNOWN if loss is None else f"{loss:.1f}", _judged(loss, limit, well))


def _oldest_ms(fleet: FleetTally) -> float | None:
    return max((one.detection_age_ms for one in fleet.cameras if one.detection_age_ms is not None), default=None)


def _judged(value: float | None, limit: float, well: bool) -> str | Style:
    """Red beyond the limit; green within it, if the camera is well; no colour where nothing can be said."""
    if value is None:
        return "dim"
    if value > limit:
        return BAD
    return GOOD if well else ""


def _sum(of: Callable[[CameraTally], int]) -> Callable[[FleetTally], str]:
    return lambda fleet: str(sum(of(camera) for camera in fleet.cameras))


def _lost(camera: CameraTally) -> int:
    return sum(camera.lost.values())


_ALL = {
    column.heading: column
    for column in (
        _plain("dec/s", 6, lambda camera: f"{camera.decoded_hz:.1f}", _sum(lambda camera: round(camera.decoded_hz))),
        _plain("det/s", 6, lambda camera: f"{camera.detected_hz:.1f}", lambda fleet: f"{fleet.detected_hz:.1f}"),
        _plain("pub/s", 6, lambda camera: f"{camera.published_hz:.1f}", lambda fleet: f"{fleet.published_hz:.1f}"),
        _plain("stride", 6, lambda camera: str(camera.stride or "")),
        Column("loss", 5, _loss, _most_lost),
        _plain("p50 ms", 6, lambda camera: whole(camera.age_p50_ms), lambda fleet: whole(fleet.age_p50_ms)),
        Column("p95 ms", 6, _p95, _fleet_p95),
        Column("det age", 7, _detection_age, lambda fleet, _: Text(age(_oldest_ms(fleet)))),
        _plain(
            "kept %",
            6,
            lambda camera: percent(camera.attainment_percent),
            lambda fleet: percent(fleet.attainment_percent),
        ),
        _plain("objects", 7, lambda camera: str(camera.objects), _sum(lambda camera: camera.objects)),
        _plain("missed", 7, lambda camera: str(missed(camera)), _sum(missed)),
        _plain("lost", 6, lambda camera: str(_lost(camera)), _sum(_lost)),
        _plain("again", 5, lambda camera: str(camera.reconnects), _sum(lambda camera: camera.reconnects)),
    )
}
