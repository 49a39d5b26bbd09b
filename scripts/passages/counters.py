"""Counters of what passes: camfleet's rules, and those of other libraries fed with the same boxes and track ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from passages.truth import RULES, Passed
from pipeline.clock import NS_PER_S
from pipeline.rules import CameraRules
from pipeline.wire import FrameResult


class Counts(Protocol):
    """What counts crossings on the results of one camera."""

    def update(self, result: FrameResult) -> Iterable[Passed]:
        """Those of the next frame."""


class Ours:
    """camfleet's rules."""

    def __init__(self, wh: tuple[int, int]) -> None:
        self._rules = CameraRules(RULES)
        self._start_ns: int | None = None

    def update(self, result: FrameResult) -> Iterable[Passed]:
        """See `Counts`."""
        if self._start_ns is None and result.origin != "skipped":
            self._start_ns = result.captured_at_ns - round(result.pts_s * NS_PER_S)
        for event in self._rules.update(result):
            at_s, error_s = (event.at_ns - (self._start_ns or 0)) / NS_PER_S, event.error_ms / 1000
            if event.happening == "cross" and event.direction:
                yield Passed(event.rule, event.direction, at_s, error_s=error_s)
            elif event.happening in ("enter", "leave") and event.phase in ("begin", "once"):
                yield Passed(event.rule, event.happening, at_s, error_s=error_s)


class Supervision:
    """`LineZone`, and who is in a `PolygonZone` now and was not before."""

    def __init__(self, wh: tuple[int, int], threshold: int = 1) -> None:
        import supervision as sv

        bottom = [sv.Position.BOTTOM_CENTER]
        self._lines = {
            name: sv.LineZone(
                *(sv.Point(x * wh[0], y * wh[1]) for x, y in line.points), bottom, minimum_crossing_threshold=threshold
            )
            for name, line in RULES.lines.items()
        }
        self._zones = {
            name: sv.PolygonZone(np.array([(x * wh[0], y * wh[1]) for x, y in zone.polygon], np.int64), bottom)
            for name, zone in RULES.zones.items()
        }
        self._inside: dict[tuple[str, int], bool] = {}
        self._in, self._out = _called_in(sv.LineZone(sv.Point(0, 100), sv.Point(200, 100), bottom))

    def update(self, result: FrameResult) -> Iterable[Passed]:
        """See `Counts`."""
        boxes = result.to_supervision()
        for name, line in self._lines.items():
            crossed_in, crossed_out = line.trigger(boxes)
            yield from [Passed(name, self._in, result.pts_s)] * int(crossed_in.sum())
            yield from [Passed(name, self._out, result.pts_s)] * int(crossed_out.sum())
        for name, zone in self._zones.items():
            for track_id, inside in zip(result.track_ids.tolist(), zone.trigger(boxes).tolist(), strict=True):
                before = self._inside.get((name, track_id))
                self._inside[name, track_id] = inside
                if before is not None and before != inside:
                    yield Passed(name, "enter" if inside else "leave", result.pts_s)


def _called_in(line: Any) -> tuple[str, str]:
    """What we call supervision's directions, by an object that goes downwards over a line to the right: `in` here."""
    import supervision as sv

    for bottom in (90, 110):
        box = sv.Detections(xyxy=np.array([[90.0, 40.0, 110.0, bottom]]), tracker_id=np.array([1]))
        crossed_in, _ = line.trigger(box)
    return ("in", "out") if crossed_in.any() else ("out", "in")


class Steadier(Supervision):
    """The same with a crossing that has to be seen on three frames."""

    def __init__(self, wh: tuple[int, int]) -> None:
        super().__init__(wh, 3)


class Ultralytics:
    """`ObjectCounter`: each track crosses once at most, and the directions are its own; zones have no leaving."""

    def __init__(self, wh: tuple[int, int]) -> None:
        from ultralytics.solutions.object_counter import ObjectCounter

        def counter(points: Iterable[tuple[float, float]]) -> Any:
            one = ObjectCounter.__new__(ObjectCounter)
            import shapely

            one.region = [(x * wh[0], y * wh[1]) for x, y in points]
            one.LineString, one.Point, one.Polygon = shapely.LineString, shapely.Point, shapely.Polygon
            one.r_s = one.LineString(one.region) if len(one.region) == 2 else one.Polygon(one.region)
            one.in_count = one.out_count = 0
            one.counted_ids, one.names = set(), defaultdict(str)
            one.classwise_count = defaultdict(lambda: {"IN": 0, "OUT": 0})
            return one

        self._lines = {name: counter(line.points) for name, line in RULES.lines.items()}
        self._last: dict[int, tuple[float, float]] = {}

    def update(self, result: FrameResult) -> Iterable[Passed]:
        """See `Counts`."""
        for box in result.tracks:
            left, _, right, bottom = box.xyxy
            point, before = ((left + right) / 2, bottom), self._last.get(box.track_id)
            self._last[box.track_id] = point
            for name, counter in self._lines.items():
                came, went = counter.in_count, counter.out_count
                counter.count_objects(point, box.track_id, before, 0)
                if counter.in_count > came or counter.out_count > went:
                    yield Passed(name, self._way(counter, before, point), result.pts_s)

    def _way(self, counter: Any, before: Any, point: Any) -> str:
        """Its direction depends on how the line lies; in ours it is that of the movement that it has just counted."""
        (x, y), (to_x, to_y) = counter.region
        return "in" if (to_x - x) * (point[1] - before[1]) - (to_y - y) * (point[0] - before[0]) > 0 else "out"


COUNTERS = {
    "camfleet": Ours,
    "supervision": Supervision,
    "supervision, 3 frames": Steadier,
    "Ultralytics ObjectCounter": Ultralytics,
}
