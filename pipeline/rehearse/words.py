"""The verdict in one sentence or two: what somebody wants to know who has a minute."""

from __future__ import annotations

from pipeline.rehearse.result import Around, EventRow, FigureRow, RehearsalReport

SHARED = 0.1
"""Of all cores, that others may take without being named: less does not move a figure by more than two runs differ."""


def sentence(report: RehearsalReport) -> str:
    """What came out: against what happened, where that is known, else against each other; and what it cost."""
    rows = {row.key: row for row in report.figures}
    cost = _cost(rows.get("cores"))
    if not report.events:
        return f"{_without_events(rows)}{cost}."
    return f"{_in_truth(rows, report.events) or _beside(report.events)}{cost}."


def crowded(around: Around) -> str:
    """That the machine had other work, where it had; else nothing."""
    if around.busy <= SHARED * around.cores:
        return ""
    return (
        f"Other programs took {around.busy:.1f} of {around.cores} cores meanwhile: ages, strides and detections are "
        "those of a machine that was shared."
    )


def _in_truth(rows: dict[str, FigureRow], events: list[EventRow]) -> str:
    caught = rows.get("events.caught")
    if caught is None or caught.a is None or caught.b is None:
        return ""
    happened = sum(one.truth == "yes" for one in events)
    of_b = _some(round(caught.b.median), happened)
    of_a = "A as many" if caught.a.median == caught.b.median else f"A {_number(round(caught.a.median))}"
    return f"B caught {of_b} of the {happened} events that happened, and {of_a}"


def _beside(events: list[EventRow]) -> str:
    both, only_a, only_b = (sum(one.by == what for one in events) for what in ("both", "only_a", "only_b"))
    of_a = both + only_a
    if not of_a:
        return f"A told no event, and B {_number(only_b)}"
    more = f", and {only_b} that A did not" if only_b else ""
    return f"B told {_some(both, of_a)} of the {of_a} events that A told{more}"


def _some(part: int, whole: int) -> str:
    return "all" if part == whole else _number(part)


def _number(count: int) -> str:
    return str(count) if count else "none"


def _without_events(rows: dict[str, FigureRow]) -> str:
    hota, p95 = rows.get("hota"), rows.get("p95_ms")
    if hota is not None and hota.a is not None and hota.b is not None:
        return f"B's HOTA is {hota.b.median:.1f} where A's is {hota.a.median:.1f}"
    if p95 is not None and p95.a is not None and p95.b is not None:
        return f"B's boxes are {p95.b.median:.0f} ms old at most in 95 of 100 frames, A's {p95.a.median:.0f} ms"
    return "Both were played"


def _cost(cores: FigureRow | None) -> str:
    if cores is None or cores.a is None or cores.b is None or cores.a.median <= 0:
        return ""
    ratio = cores.b.median / cores.a.median
    return "; B took as much processor time" if 0.97 < ratio < 1.03 else f"; B took {ratio:.2f} of A's processor time"
