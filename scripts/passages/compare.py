"""How near what was counted comes to the truth."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from passages.truth import Passed

MATCH_S = 1.0
"""So far may the times of a true and a counted passage be apart."""


QUICK = 1 / 32
"""Widths of the picture a second: who passes a line or an edge slower is a tenth of a second off by two pixels."""


def compare(found: Sequence[Passed], truth: Sequence[Passed]) -> dict[str, Any]:
    """Matches of one camera: each true passage with the nearest found one of its rule and way within MATCH_S."""
    from scipy.optimize import linear_sum_assignment

    hits, false, missed = 0, 0, 0
    off_s: list[float] = []
    quick_s: list[float] = []
    within: list[bool] = []
    counts: Counter[tuple[str, str]] = Counter()
    for rule, way in sorted({(one.rule, one.way) for one in (*found, *truth)}):
        ours = [one for one in found if (one.rule, one.way) == (rule, way)]
        true = [one for one in truth if (one.rule, one.way) == (rule, way)]
        apart = np.abs(np.subtract.outer([one.at_s for one in ours], [one.at_s for one in true])).reshape(
            len(ours), len(true)
        )
        rows, columns = linear_sum_assignment(np.where(apart <= MATCH_S, apart, 1e3))
        pairs = [(i, k) for i, k in zip(rows.tolist(), columns.tolist(), strict=True) if apart[i, k] <= MATCH_S]
        unasked = sum(not true[k].wanted for _, k in pairs)
        hits += len(pairs) - unasked
        false += len(ours) - len(pairs)
        missed += sum(one.wanted for one in true) - (len(pairs) - unasked)
        asked = [(i, k) for i, k in pairs if true[k].wanted]
        off_s += [float(apart[i, k]) for i, k in asked]
        quick_s += [float(apart[i, k]) for i, k in asked if true[k].speed >= QUICK]
        within += [bool(apart[i, k] <= 2 * error_s) for i, k in asked if (error_s := ours[i].error_s) is not None]
        counts["error"] += abs(len(ours) - unasked - sum(one.wanted for one in true))
        counts["true"] += sum(one.wanted for one in true)
    return {
        "hits": hits,
        "false": false,
        "missed": missed,
        "off_s": off_s,
        "quick_s": quick_s,
        "within": within,
        **counts,
    }


def total(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all cameras together."""
    parts = list(parts)
    hits, false, missed = (sum(part[key] for part in parts) for key in ("hits", "false", "missed"))
    within = [one for part in parts for one in part["within"]]
    true = sum(part.get("true", 0) for part in parts)
    return {
        "f1": 2 * hits / max(1, 2 * hits + false + missed),
        "false": false,
        "missed": missed,
        "count_error": sum(part.get("error", 0) for part in parts) / max(1, true),
        "true": true,
        "off_ms": _percentiles_ms([off for part in parts for off in part["off_s"]]),
        "quick_off_ms": _percentiles_ms([off for part in parts for off in part["quick_s"]]),
        "within_2_sigma": sum(within) / len(within) if within else None,
    }


def _percentiles_ms(off_s: Sequence[float]) -> dict[str, float | None]:
    ordered = sorted(1000 * one for one in off_s)
    if not ordered:
        return {"median": None, "p95": None}
    return {"median": statistics.median(ordered), "p95": ordered[int(0.95 * (len(ordered) - 1))]}
