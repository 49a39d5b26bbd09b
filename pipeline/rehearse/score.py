"""The figures of one run: how old, how often, at what cost, and how right."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np

from pipeline.burst.observed import figures as observed_figures
from pipeline.burst.sample import MACHINE
from pipeline.detections import Tracks
from pipeline.evaluate.score import score
from pipeline.evaluate.streaming import score_held
from pipeline.extras import lack
from pipeline.rehearse.play import OURSELVES, SERVER, Played
from pipeline.rehearse.take import Take
from pipeline.rehearse.yardstick import Yardstick

SETTLE_S = 2.0
"""Connecting costs more than running: ages, rates and cores are counted after that, or after a quarter of a short run.
Events, frames without boxes and accuracy count from the first picture on."""
AT_ONCE = ("in", "out", "enter", "leave")
"""What is told when it happens, and not when it has lasted or is over."""
_PLURAL = {"camera": "cameras", "worker": "workers"}

Figures = dict[str, float]
"""By key; what is not known is not there."""


def figures(played: Played, yardsticks: Mapping[str, Yardstick]) -> Figures:
    """All but what needs the other side's events."""
    span_s = _span_s(played)
    seconds = span_s[1] - span_s[0]
    takes = played.witness.takes
    seen = observed_figures(played.observed, played.observed.camera_ids, span_s, 0.0, "all")
    found: dict[str, float | None] = {
        "p50_ms": seen.age.p50,
        "p95_ms": seen.age.p95,
        "p99_ms": seen.age.p99,
        "published_hz": seen.published / seconds,
        "detected_hz": seen.detected / seconds,
        "detected_share": 100 * seen.detected / seen.published if seen.published else None,
        "stride": seen.stride,
        "lost": float(sum(int((take.published_ns == 0).sum()) for take in takes.values())),
        "told_ms": _told_ms(played),
        "memory_mb": _memory_mb(played),
    }
    by_kind = cores(played)
    found["cores"] = sum(by_kind.values()) if by_kind else None
    found |= {f"cores.{kind}": value for kind, value in by_kind.items()}
    return {key: value for key, value in found.items() if value is not None} | accuracy(takes, yardsticks)


def cores(played: Played) -> dict[str, float]:
    """Processor time a second by kind of process, of the fleet alone, most first."""
    start_s, end_s = _span_s(played)
    found: dict[str, float] = {}
    for process in played.processes:
        spent = [c for at_s, c in zip(process.at_s, process.cores, strict=True) if start_s < at_s <= end_s + 1]
        if spent and process.name not in (MACHINE, SERVER, OURSELVES):
            kind = process.name.partition(" ")[0]
            kind = _PLURAL.get(kind, kind)
            found[kind] = found.get(kind, 0.0) + statistics.fmean(spent)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def others_busy(played: Played) -> float:
    """Processor time a second that nothing of ours took."""
    start_s, end_s = _span_s(played)
    total = {
        process.name: statistics.fmean(spent)
        for process in played.processes
        if (spent := [c for at_s, c in zip(process.at_s, process.cores, strict=True) if start_s < at_s <= end_s + 1])
    }
    whole = total.pop(MACHINE, 0.0)
    return max(0.0, whole - sum(total.values()))


def accuracy(takes: Mapping[str, Take], yardsticks: Mapping[str, Yardstick]) -> Figures:
    """HOTA and its like over all cameras that have a yardstick; nothing where there is none, or no library for it."""
    if not yardsticks or lack("evaluate", "scores", "trackeval"):
        return {}
    numbers = {name: _numbers(yardstick) for name, yardstick in yardsticks.items()}
    sequences = [yardstick.ground.of_class(None) for yardstick in yardsticks.values()]
    tracks = {
        name: [takes[name].tracks(frame, numbers[name]) for frame in range(len(yardstick.ground.sequence))]
        for name, yardstick in yardsticks.items()
    }
    together, _ = score(sequences, list(tracks.values()))
    found = {"hota": together.hota, "det_a": together.det_a, "ass_a": together.ass_a, "idf1": together.idf1}
    labels = {yardstick.ground.labels for yardstick in yardsticks.values()}
    if len(labels) == 1 and not lack("evaluate", "streaming accuracy", "faster_coco_eval"):
        held = {name: _held(takes[name], tracks[name]) for name in yardsticks}
        streamed, _ = score_held({name: yardstick.ground for name, yardstick in yardsticks.items()}, held)
        found["sap50"] = streamed.sap50
    return found


def _numbers(yardstick: Yardstick) -> dict[str, int]:
    return {label: number for number, label in enumerate(yardstick.ground.labels, start=1)}


def _held(take: Take, tracks: list[Tracks]) -> list[Tracks]:
    """At the moment of each frame, the newest boxes that were published by then."""
    published = np.flatnonzero(take.published_ns)
    order = published[np.argsort(take.published_ns[published], kind="stable")]
    newest = np.maximum.accumulate(order) if len(order) else order
    count = np.searchsorted(take.published_ns[order], take.captured_ns, side="right")
    nothing = Tracks.empty()
    return [tracks[newest[n - 1]] if n else nothing for n in count[: len(tracks)].tolist()]


def _span_s(played: Played) -> tuple[float, float]:
    return min(SETTLE_S, played.seconds / 4), max(played.seconds, 1e-3)


def _told_ms(played: Played) -> float | None:
    told = [one.told_ms for one in played.witness.sightings if one.what in AT_ONCE and one.told_ms is not None]
    return statistics.median(told) if told else None


def _memory_mb(played: Played) -> float | None:
    most = [
        max(process.memory_mb)
        for process in played.processes
        if process.memory_mb and process.name not in (MACHINE, SERVER, OURSELVES)
    ]
    return sum(most) if most else None
