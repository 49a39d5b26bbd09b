"""The outcome as text."""

from __future__ import annotations

from typing import Any


def markdown(told: dict[str, Any]) -> str:
    """Tables: what a detection takes, what each way is worth, and each camera at the budget in the middle."""
    lines = [
        f"Measured on {told['machine']['processor']}, {told['machine']['cores']:g} cores; fill `{told['fill']}`; a "
        f"device of {told['full_hz']:g} detections a second at full input; means of {told['phases']} phases.",
        "",
        "| input | processor time of a detection | on the clock | of full |",
        "|---|---|---|---|",
    ]
    for cost in told["costs"]:
        width, height = cost["input_wh"]
        lines.append(
            f"| {width}×{height} | {cost['cpu_ms']:.1f} ms | {cost['clock_ms']:.1f} ms | {cost['of_full']:.2f} |"
        )
    return "\n".join([*lines, "", *_ways(told), "", *_each(told["rows"][len(told["rows"]) // 2]), ""])


def _ways(told: dict[str, Any]) -> list[str]:
    rows = told["rows"]
    heads = [f"{row['cameras']} cameras (stride {row['stride']:.1f})" for row in rows]
    lines = [f"| HOTA of all boxes (against stride alone) | | {' | '.join(heads)} |", "|---|---|" + "---|" * len(rows)]
    for number, way in enumerate(rows[0]["ways"]):
        cells = []
        for row in rows:
            hota, base = row["ways"][number]["hota"], row["ways"][0]["hota"]
            cells.append(f"{hota:.1f} ({hota - base:+.1f})" if number else f"{hota:.1f}")
        lines.append(f"| {way['way']} | {way['kind']} | {' | '.join(cells)} |")
    return lines


def _each(row: dict[str, Any]) -> list[str]:
    names = list(row["best_sizes"])
    lines = [f"| at {row['cameras']} cameras | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    each = ((way["way"], " | ".join(f"{way['each'][name]:.1f}" for name in names)) for way in row["ways"])
    return [
        *lines,
        *(f"| {label} | {cells} |" for label, cells in each),
        f"| its best size | {' | '.join(row['best_sizes'].values())} |",
    ]
