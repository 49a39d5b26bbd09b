"""Quantiles that can be added up: of ages and of the stages they consist of.

DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees",
VLDB 2019) answers any quantile within 1 % of its value, whatever the distribution, in memory that does not grow with
the number of frames; sketches of cameras and of seconds merge into those of fleets and of days.
"""

from __future__ import annotations

from ddsketch import DDSketch

from pipeline.wire import FrameResult

RELATIVE_ACCURACY = 0.01


class Ages:
    """Frames and their ages, ms; of a camera or a fleet, over a second or a day."""

    def __init__(self) -> None:
        self.frames = 0
        self.detected = 0
        self.lost = 0
        self._all = DDSketch(RELATIVE_ACCURACY)
        self._detected = DDSketch(RELATIVE_ACCURACY)
        self._stages: dict[str, DDSketch] = {}

    def add(self, result: FrameResult) -> None:
        """Book a frame."""
        self.frames += 1
        self.lost += sum(result.lost.values())
        self._all.add(result.age_ms)
        if result.origin == "detected":
            self.detected += 1
            self._detected.add(result.age_ms)
            for stage, spent_ms in result.latency_ms.items():
                self._stage(stage).add(spent_ms)

    def merge(self, other: Ages) -> None:
        """Take in everything that another has booked."""
        self.frames += other.frames
        self.detected += other.detected
        self.lost += other.lost
        self._all.merge(other._all)
        self._detected.merge(other._detected)
        for stage, sketch in other._stages.items():
            self._stage(stage).merge(sketch)

    def quantile_ms(self, quantile: float) -> float:
        """Age of published frames; 0 without any."""
        return _value(self._all, quantile)

    def detected_quantile_ms(self, quantile: float) -> float:
        """Age of detected frames; 0 without any."""
        return _value(self._detected, quantile)

    def stages_ms(self) -> dict[str, dict[str, float]]:
        """p50, p95 and p99 of each stage of detected frames."""
        return {
            stage: {f"p{percent}": _value(sketch, percent / 100) for percent in (50, 95, 99)}
            for stage, sketch in self._stages.items()
        }

    def _stage(self, stage: str) -> DDSketch:
        return self._stages.setdefault(stage, DDSketch(RELATIVE_ACCURACY))


def merged(parts: list[Ages]) -> Ages:
    """All of them together."""
    total = Ages()
    for part in parts:
        total.merge(part)
    return total


def _value(sketch: DDSketch, quantile: float) -> float:
    value = sketch.get_quantile_value(quantile)
    return 0.0 if value is None else round(float(value), 1)
