"""A fleet's figures as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.observe.tally import CameraTally, FleetTally

_STATE_STYLE = {"live": "green", "connecting": "yellow", "retrying": "red", "failed": "bold red", "ended": "dim"}


def live_table(fleet: FleetTally, name: str, p95_goal_ms: float) -> Table:
    """One row a camera: its state; frames decoded, detected and published a second; ages; objects in view; drops.

    `missed` are frames that were meant for the detector and did not get there in time; their boxes were filled.
    """
    table = Table(title=f"fleet {name}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("camera", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for heading in ("dec/s", "det/s", "pub/s", "p50 ms", "p95 ms", "objects", "missed", "lost"):
        table.add_column(heading, justify="right", no_wrap=True)
    for camera in fleet.cameras:
        table.add_row(*_row(camera, p95_goal_ms))
    table.add_section()
    table.add_row(
        "all",
        "",
        f"{sum(camera.decoded_hz for camera in fleet.cameras):.1f}",
        f"{fleet.detected_hz:.1f}",
        f"{fleet.published_hz:.1f}",
        f"{fleet.age_p50_ms:.0f}",
        _age(fleet.age_p95_ms, p95_goal_ms),
        str(sum(camera.objects for camera in fleet.cameras)),
        str(sum(_missed(camera) for camera in fleet.cameras)),
        str(sum(sum(camera.lost.values()) for camera in fleet.cameras)),
        style="bold",
    )
    return table


def _row(camera: CameraTally, p95_goal_ms: float) -> list[Text | str]:
    return [
        camera.camera_id,
        Text(camera.state, _STATE_STYLE.get(camera.state, "")),
        f"{camera.decoded_hz:.1f}",
        f"{camera.detected_hz:.1f}",
        f"{camera.published_hz:.1f}",
        f"{camera.age_p50_ms:.0f}",
        _age(camera.age_p95_ms, p95_goal_ms),
        str(camera.objects),
        str(_missed(camera)),
        str(sum(camera.lost.values())),
    ]


def _missed(camera: CameraTally) -> int:
    return sum(frames for reason, frames in camera.filled.items() if reason != "stride")


def _age(age_ms: float, goal_ms: float) -> Text:
    return Text(f"{age_ms:.0f}", "green" if age_ms <= goal_ms else "bold red")


def summary_lines(fleet: FleetTally, p95_goal_ms: float) -> list[str]:
    """What to say at the end of a run."""
    decoded = sum(camera.decoded for camera in fleet.cameras)
    detected = sum(camera.detected for camera in fleet.cameras)
    filled = _total(camera.filled for camera in fleet.cameras)
    lost = _total(camera.lost for camera in fleet.cameras)
    verdict = "kept" if fleet.age_p95_ms <= p95_goal_ms else "not kept"
    return [
        f"{decoded} frames decoded = {detected} detected + {filled.total()} filled{_by(filled)}"
        f" + {lost.total()} lost{_by(lost)}",
        f"{fleet.published_hz:.1f} published a second, {fleet.detected_hz:.1f} detected a second",
        f"age p50 {fleet.age_p50_ms:.0f} ms, p95 {fleet.age_p95_ms:.0f} ms, p99 {fleet.age_p99_ms:.0f} ms; "
        f"the goal of p95 ≤ {p95_goal_ms:g} ms was {verdict}",
        _stages(fleet),
        f"fairness of detections (Jain) {fleet.jain_index:.2f}; longest without one {_longest(fleet)}",
    ]


def _stages(fleet: FleetTally) -> str:
    stages = ", ".join(f"{stage} {spent['p50']:.0f}/{spent['p95']:.0f}" for stage, spent in fleet.stages_ms.items())
    return f"a detected frame's way, p50/p95 ms: {stages or 'none was detected'}"


def _longest(fleet: FleetTally) -> str:
    worst = max(fleet.cameras, key=lambda camera: camera.longest_undetected_s, default=None)
    return f"{worst.longest_undetected_s:.1f} s ({worst.camera_id})" if worst else "–"


def _total(books: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for book in books:
        total.update(book)
    return total


def _by(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return ""
    return " (" + ", ".join(f"{reason} {frames}" for reason, frames in sorted(reasons.items())) + ")"
