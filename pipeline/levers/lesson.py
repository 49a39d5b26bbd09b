"""What the lesson says of each lever, to be held beside what this machine says."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.geometry import WidthHeight
from pipeline.levers.figures import Kind


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a lever is said to bring and to cost.

    Attributes:
        words: As the lesson puts it.
        speed: Least and most times as fast.
        cost: Least and most points of mAP50-95 lost.
    """

    words: str
    speed: tuple[float, float]
    cost: tuple[float, float]


LESSON: dict[Kind, Expectation] = {
    "model": Expectation("2–4×, 3–8 points", (2, 4), (3, 8)),
    "input": Expectation("640 → 480: about 2×, 1–3 points", (1.75, 2.25), (1, 3)),
    "f16": Expectation("1.5–2×, below 0.5 points", (1.5, 2), (0, 0.5)),
    "int8": Expectation("2–4×, 0.5–2 points", (2, 4), (0.5, 2)),
    "batch": Expectation("1.3–2×, nothing", (1.3, 2), (0, 0)),
    "skipping": Expectation("2–5×, little if the tracker is good", (2, 5), (0, 2)),
}
QUARTERS = (1.6, 2.0)
"""The lesson's 640 → 480 has 1.78 times fewer pixels; inputs beside that it says nothing of."""
TOLERANCE = 0.3
"""Points; differences below it are those of the pictures, not of the model."""


def expected(kind: Kind, before_wh: WidthHeight, after_wh: WidthHeight) -> Expectation | None:
    """What the lesson says of a lever; None where it says nothing."""
    if kind == "input":
        fewer = before_wh[0] * before_wh[1] / (after_wh[0] * after_wh[1])
        return LESSON["input"] if QUARTERS[0] <= fewer <= QUARTERS[1] else None
    return LESSON.get(kind)


def holds(expectation: Expectation, speed_up: float | None, cost: float | None) -> str:
    """Whether it is so here: “holds”, or what is otherwise."""
    parts = []
    if speed_up is not None and speed_up < expectation.speed[0] - 0.05:
        parts.append("brings less")
    if speed_up is not None and speed_up > expectation.speed[1] + 0.05:
        parts.append("brings more")
    if cost is not None and cost > expectation.cost[1] + TOLERANCE:
        parts.append("costs more")
    if cost is not None and cost < expectation.cost[0] - TOLERANCE:
        parts.append("costs less")
    if speed_up is None and cost is None:
        return ""
    return ", ".join(parts) or "holds"
