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
        self.attained = 0
        self._all = DDSketch(RELATIVE_ACCURACY)
        self._detected = DDSketch(RELATIVE_ACCURACY)
        self._detection_age = DDSketch(RELATIVE_ACCURACY)
        self._stages: dict[str, DDSketch] = {}

    def add(self, result: FrameResult, detection_age_ms: float, *, attained: bool) -> None:
        """Book a frame.

        Args:
            result: The frame.
            detection_age_ms: How old the camera's newest detection was when it was published.
            attained: Whether it was what was promised: young enough, with a detection behind it.
        """
        self.frames += 1
        self.lost += sum(result.lost.values())
        self.attained += attained
        self._all.add(result.age_ms)
        self._detection_age.add(detection_age_ms)
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
        self.attained += other.attained
        self._all.merge(other._all)
        self._detected.merge(other._detected)
        self._detection_age.merge(other._detection_age)
        for stage, sketch in other._stages.items():
            self._stage(stage).merge(sketch)

    def quantile_ms(self, quantile: float) -> float | None:
        """Age of published frames; None without any."""
        return _value(self._all, quantile)

    def detected_quantile_ms(self, quantile: float) -> float | None:
        """Age of detected frames; None without any."""
        return _value(self._detected, quantile)

    def detection_age_quantile_ms(self, quantile: float) -> float | None:
        """Age of the newest detection when a frame was published; None without a frame."""
        return _value(self._detection_age, quantile)

    @property
    def attainment_percent(self) -> float | None:
        """Share of frames that were what was promised; None without a frame."""
        return round(100 * self.attained / self.frames, 1) if self.frames else None

    def stages_ms(self) -> dict[str, dict[str, float]]:
        """p50, p95 and p99 of each stage of detected frames."""
        return {
            stage: {f"p{percent}": _value(sketch, percent / 100) or 0.0 for percent in (50, 95, 99)}
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


def _value(sketch: DDSketch, quantile: float) -> float | None:
    value = sketch.get_quantile_value(quantile)
    return None if value is None else round(float(value), 1)
