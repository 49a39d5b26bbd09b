"""A day summed up: what it cost, what was given up, what a loss did; cells put together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from pipeline.scale.simulate.day import HOUR_S, NEAR_S, FleetDay, Moment
from pipeline.scale.simulate.figures import Damage, Day, Series
from pipeline.scale.simulate.measured import Measured
from pipeline.scale.simulate.scenario import Scenario
from pipeline.scale.simulate.traffic import proxies, traffic

MOST_TOLD = 60
SERIES_S = 300.0
"""Between two points of the series, away from a loss."""


def day_of(scenario: Scenario, costs: Measured, fleets: Sequence[FleetDay], moments: Sequence[Sequence[Moment]]) -> Day:
    """The day of a fleet whose cells, one or more, went through these moments."""
    together = [_together(cells) for cells in zip(*moments, strict=True)]
    cameras = together[0].cameras
    own = max(1, round(cameras / len(fleets)))
    count = proxies(scenario, traffic(scenario, costs, own)) * len(fleets)
    proxy_hour = count * scenario.node.hour / scenario.node.cores
    fixed = sum(fleet.needed_at_most for fleet in fleets)
    spans_s = np.array([one.until_s - one.at_s for one in together])
    nodes = np.array([one.nodes for one in together])
    of_cameras = spans_s / spans_s.sum() / cameras
    return Day(
        cameras=cameras,
        cells=len(fleets),
        nodes_most=int(nodes.max()),
        nodes_mean=round(float(nodes @ spans_s / spans_s.sum()), 1),
        cost=round(float(nodes @ spans_s) / HOUR_S * scenario.node.hour + 24 * proxy_hour, 2),
        cost_fixed=round(24 * (fixed * scenario.node.hour + proxy_hour), 2),
        moves=sum(fleet.moves for fleet in fleets),
        asked=sum(fleet.crew.asked for fleet in fleets),
        given=sum(fleet.crew.given for fleet in fleets),
        short_share=round(float(np.array([one.short for one in together]) @ of_cameras), 5),
        late_share=round(float(np.array([one.late for one in together]) @ of_cameras), 5),
        damage=_damage(scenario, fleets, together),
        proxies=count,
        series=_series(scenario, costs, together, proxy_hour),
        told=_told(fleets),
    )


def _together(cells: Sequence[Moment]) -> Moment:
    """All cells at one moment: sums, and means by cameras."""
    cameras = [one.cameras for one in cells]

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=cameras))

    return replace(
        cells[0],
        asked=mean([one.asked for one in cells]),
        ready=sum(one.ready for one in cells),
        nodes=sum(one.nodes for one in cells),
        cameras=sum(cameras),
        dark=sum(one.dark for one in cells),
        detected=mean([one.detected for one in cells]),
        stretch=mean([one.stretch for one in cells]),
        short=sum(one.short for one in cells),
        late=sum(one.late for one in cells),
        p95_ms=mean([one.p95_ms for one in cells]),
        worst_p95_ms=max(one.worst_p95_ms for one in cells),
    )


def _damage(scenario: Scenario, fleets: Sequence[FleetDay], moments: list[Moment]) -> Damage | None:
    struck = [(fleet, fleet.lost) for fleet in fleets if fleet.lost is not None]
    if not struck:
        return None
    at_s = struck[0][1].at_s
    back_s = np.concatenate([fleet.back_s[lost.cameras] for fleet, lost in struck]) - at_s
    before = max((one for one in moments if one.at_s < at_s), key=lambda one: one.at_s, default=moments[0])
    after = [one for one in moments if one.at_s >= at_s]
    near = [one for one in after if one.at_s < at_s + NEAR_S]
    calm_s = next((one.at_s - at_s for one in after if one.short <= before.short and not one.dark), None)
    return Damage(
        what=scenario.loss.what,
        hour=scenario.loss.hour,
        nodes=sum(lost.nodes for _, lost in struck),
        cameras=len(back_s),
        back_half_s=_quantile(back_s, 0.5),
        back_s=_quantile(back_s, 1.0),
        detected=round(min(one.detected for one in near), 4),
        stretch=round(max(one.stretch for one in near) / before.stretch, 3),
        p95_ms=round(max(one.worst_p95_ms for one in near), 1),
        calm_s=calm_s,
    )


def _quantile(back_s: np.ndarray[tuple[int], np.dtype[np.float64]], share: float) -> float | None:
    if not len(back_s):
        return 0.0
    found = float(np.sort(back_s)[math.ceil(share * len(back_s)) - 1])
    return round(found, 2) if math.isfinite(found) else None


def _series(scenario: Scenario, costs: Measured, moments: list[Moment], proxy_hour: float) -> Series:
    kept = [moments[0], *(one for before, one in pairwise(moments) if _is_shown(before, one))]
    return Series(
        at_h=[round(one.at_s / HOUR_S, 4) for one in kept],
        asked=[round(one.asked, 4) for one in kept],
        nodes=[one.ready for one in kept],
        coming=[one.nodes - one.ready for one in kept],
        dark=[one.dark for one in kept],
        detected=[round(one.detected, 4) for one in kept],
        stretch=[round(one.stretch, 3) for one in kept],
        late_share=[round(one.late / one.cameras, 4) for one in kept],
        p95_ms=[round(one.p95_ms, 1) for one in kept],
        messages_hz=[round(traffic(scenario, costs, one.cameras - one.dark, one.asked).in_hz, 1) for one in kept],
        cost_hour=[round(one.nodes * scenario.node.hour + proxy_hour, 2) for one in kept],
    )


def _is_shown(before: Moment, one: Moment) -> bool:
    """A point every few minutes, and every one where moments are close."""
    return one.at_s % SERIES_S == 0 or one.until_s - one.at_s < SERIES_S / 10 or before.dark != one.dark


def _told(fleets: Sequence[FleetDay]) -> list[str]:
    """What the first cell's policy said, and the struck one's; the rest said the like."""
    told = fleets[0].told
    half = MOST_TOLD // 2
    return told if len(told) <= MOST_TOLD else [*told[:half], f"… {len(told) - 2 * half} more …", *told[-half:]]
