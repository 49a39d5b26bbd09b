"""How well crossings of lines and entries into zones are counted, at several strides, beside other libraries' counters.

    .venv/bin/python scripts/bench_rules.py
    .venv/bin/python scripts/bench_rules.py --strides 1 5 --cameras gate yard --json out.json

The samples, of which the exact truth is known, run as a fleet once for each stride (`pace: fastest`). Lines and zones
are laid over each picture by the same shares. What crosses is known from the truth alone: the middle of the lower edge
of an object's box changes sides and stays there for STAYS_S; crossings of objects that are hidden or tiny at that
moment are neither wanted nor false.

Beside it: supervision's `LineZone` and `PolygonZone` and Ultralytics' `ObjectCounter`, fed with the same published
boxes and track ids, with the same point of the box where they can be told. Times may be MATCH_S apart.

With --cost also what judging 96 zones of 12 cameras takes at 300 frames a second, reading the messages included.

Told: F1; the error of counts, the sum over rules and directions of |counted - true| / true; and how far off the time of
a crossing is, in the median and in 95 of 100.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.clock import NS_PER_S
from pipeline.config import load_fleet
from pipeline.config.rules import Rules
from pipeline.evaluate.ground_truth import GroundTruth, read_ground_truth
from pipeline.evaluate.play import play
from pipeline.logs import choose_log_level
from pipeline.rules import CameraRules
from pipeline.rules.geometry import Places
from pipeline.wire import FrameResult, decode, encode

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ("gate", "yard", "crossing", "street", "parking", "park")
MATCH_S = 1.0
STAYS_S = 0.2
ZONES = 8
"""Of a camera; 12 cameras have 96 then."""
RULES = Rules.model_validate(
    {
        "lines": {
            "upright": {"points": [[0.5, 0.0], [0.5, 1.0]]},
            "level": {"points": [[0.0, 0.6], [1.0, 0.6]]},
            "slant": {"points": [[0.1, 0.3], [0.9, 0.9]]},
            "short": {"points": [[0.3, 0.5], [0.3, 0.9]]},
        },
        "zones": {
            "middle": {"polygon": [[0.3, 0.4], [0.7, 0.4], [0.7, 0.9], [0.3, 0.9]], "when": ["enter", "leave"]},
            "corner": {"polygon": [[0.0, 0.5], [0.45, 0.5], [0.3, 1.0], [0.0, 1.0]], "when": ["enter", "leave"]},
        },
    }
)


@dataclass(frozen=True, slots=True)
class Passed:
    """Something crossed: which rule, in which direction (`in`, `out`, `enter`, `leave`), and when, s of the recording.

    `wanted` is False where the truth does not ask for it.
    """

    rule: str
    way: str
    at_s: float
    wanted: bool = True


class Counts(Protocol):
    """What counts crossings on the results of one camera."""

    def update(self, result: FrameResult) -> Iterable[Passed]:
        """Those of the next frame."""


def true_passages(ground: GroundTruth) -> list[Passed]:
    """What crosses in truth."""
    fps, wh = ground.sequence.fps, ground.sequence.picture_wh
    paths: dict[int, list[tuple[int, float, float, bool]]] = defaultdict(list)
    for number, truth in enumerate(ground.sequence.truth):
        for object_id, (left, top, wide, high), asked in zip(
            truth.object_id, truth.ltwh, truth.considered, strict=True
        ):
            paths[int(object_id)].append((number, left + wide / 2, top + high, bool(asked)))
    places = Places.of(RULES, wh)
    found: list[Passed] = []
    for path in paths.values():
        points = np.array([(x, y) for _, x, y, _ in path], np.float64)
        for name, barrier in places.barriers.items():
            right = np.array([barrier.side_px(point) > 0 for point in points])
            met = [barrier.meets([points[i - 1], points[i]]) if i else False for i in range(len(path))]
            found += _turns(name, ("in", "out"), path, right, met, fps=fps)
        for name, inside in places.inside(lambda _, at=points: at).items():
            found += _turns(name, ("enter", "leave"), path, np.array(inside), [True] * len(path), fps=fps)
    return sorted(found, key=lambda one: one.at_s)


def _turns(
    rule: str,
    ways: tuple[str, str],
    path: Sequence[tuple[int, float, float, bool]],
    on: Any,
    met: list[bool],
    *,
    fps: float,
) -> list[Passed]:
    stays, found, held = max(1, round(STAYS_S * fps)), [], bool(on[0])
    for i in range(1, len(path)):
        if on[i] != held and all(on[i : i + stays] == on[i]) and path[i][0] - path[i - 1][0] == 1:
            held = bool(on[i])
            if met[i]:
                wanted = path[i][3] and path[i - 1][3]
                found.append(Passed(rule, ways[0] if held else ways[1], (path[i][0] - 0.5) / fps, wanted))
        elif on[i] != held and path[i][0] - path[i - 1][0] != 1:
            held = bool(on[i])
    return found


class Ours:
    """camfleet's rules."""

    def __init__(self, wh: tuple[int, int]) -> None:
        self._rules = CameraRules(RULES)
        self.start_ns: int | None = None

    def update(self, result: FrameResult) -> Iterable[Passed]:
        """See `Counts`."""
        if self.start_ns is None and result.origin != "skipped":
            self.start_ns = result.captured_at_ns - round(result.pts_s * NS_PER_S)
        for event in self._rules.update(result):
            at_s = (event.at_ns - (self.start_ns or 0)) / NS_PER_S
            if event.happening == "cross" and event.direction:
                yield Passed(event.rule, event.direction, at_s)
            elif event.happening in ("enter", "leave") and event.phase in ("begin", "once"):
                yield Passed(event.rule, event.happening, at_s)


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


def compare(found: Sequence[Passed], truth: Sequence[Passed]) -> dict[str, Any]:
    """Matches of one camera: each true passage with the nearest found one of its rule and way within MATCH_S."""
    from scipy.optimize import linear_sum_assignment

    hits, false, missed, off_s = 0, 0, 0, []
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
        off_s += [float(apart[i, k]) for i, k in pairs if true[k].wanted]
        counts["error"] += abs(len(ours) - unasked - sum(one.wanted for one in true))
        counts["true"] += sum(one.wanted for one in true)
    return {"hits": hits, "false": false, "missed": missed, "off_s": off_s, **counts}


def total(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all cameras together."""
    parts = list(parts)
    hits, false, missed = (sum(part[key] for part in parts) for key in ("hits", "false", "missed"))
    off_ms = sorted(1000 * off for part in parts for off in part["off_s"])
    return {
        "f1": 2 * hits / max(1, 2 * hits + false + missed),
        "false": false,
        "missed": missed,
        "count_error": sum(part.get("error", 0) for part in parts) / max(1, sum(part.get("true", 0) for part in parts)),
        "true": sum(part.get("true", 0) for part in parts),
        "off_ms": {
            "median": statistics.median(off_ms) if off_ms else None,
            "p95": off_ms[int(0.95 * (len(off_ms) - 1))] if off_ms else None,
        },
    }


def main() -> None:
    """Play, count, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 2, 3, 5, 8])
    parser.add_argument("--cameras", nargs="+", default=list(SAMPLES), choices=SAMPLES)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="Keep what was published in this folder, and take it from there.")
    options = parser.parse_args()
    choose_log_level("error")
    grounds = {name: read_ground_truth(ROOT / "samples/ground_truth" / name) for name in options.cameras}
    truths = {name: true_passages(ground) for name, ground in grounds.items()}
    results: dict[str, Any] = {}
    for stride in options.strides:
        played = _played(options.cameras, stride, options.keep)
        for title, counter in COUNTERS.items():
            for kind, ways in {"lines": ("in", "out"), "zones": ("enter", "leave")}.items():
                if kind == "zones" and title.startswith("Ultralytics"):
                    continue
                parts = []
                for name, ground in grounds.items():
                    one = counter(ground.sequence.picture_wh)
                    found = [passed for result in played[name] for passed in one.update(result) if passed.way in ways]
                    parts.append(compare(found, [true for true in truths[name] if true.way in ways]))
                results[f"{kind}, stride {stride}, {title}"] = total(parts)
        if options.cost:
            results[f"cost, stride {stride}"] = cost(played)
    _print(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def cost(played: dict[str, list[FrameResult]], repeats: int = 5) -> dict[str, Any]:
    """Share of a core that 96 zones of 12 cameras take at 300 frames a second; the median of some runs."""
    rng, zones = random.Random(3), {}
    for number in range(ZONES):
        (x, y), (wide, high) = (
            (rng.uniform(0, 0.6), rng.uniform(0, 0.6)),
            (rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4)),
        )
        corners = [[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]]
        zones[f"zone{number}"] = {"polygon": corners, "when": ["enter", "leave", "dwell > 2s", "count > 3 for 1s"]}
    rules = Rules.model_validate({"zones": zones})
    frames = [frame for frames in played.values() for frame in frames]
    bodies = {name: [encode(frame) for frame in frames] for name, frames in played.items()}
    took: list[float] = []
    for _ in range(repeats):
        judges = {name: CameraRules(rules) for name in played}
        begin_s = time.thread_time()
        for name, messages in bodies.items():
            for body in messages:
                judges[name].update(decode(frames[0].topic, body))
        took.append(time.thread_time() - begin_s)
    frame_us = 1e6 * statistics.median(took) / len(frames)
    boxes = sum(len(frame.tracks) for frame in frames) / len(frames)
    return {"frame_us": frame_us, "boxes": boxes, "core_percent": 300 * frame_us / 1e4}


def _played(cameras: Sequence[str], stride: int, keep: Path | None) -> dict[str, list[FrameResult]]:
    """What is published of all samples at a stride."""
    import msgspec

    kept = keep / f"stride-{stride}.msgpack" if keep else None
    if kept and kept.exists():
        return msgspec.msgpack.decode(kept.read_bytes(), type=dict[str, list[FrameResult]])
    fleet = {
        "model": {"path": str(ROOT / "samples/model/demo_openvino_model"), "nms_iou": 0.5},
        "defaults": {"stride": stride, "pace": "fastest"},
        "cameras": {name: {"url": str(ROOT / f"samples/{name}.mp4")} for name in cameras},
    }
    import tempfile

    import yaml

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fleet.yaml"
        file.write_text(yaml.safe_dump(fleet), encoding="utf-8")
        played = play(load_fleet(file), lambda _: None)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.msgpack.encode(played))
    return played


def _print(results: dict[str, Any]) -> None:
    table = Table("", "F1", "false", "missed", "count error", "of", "off ms, median", "p95")
    for name, told in results.items():
        if "frame_us" in told:
            print(
                f"{name}: {told['frame_us']:.0f} µs a frame of {told['boxes']:.1f} boxes, {told['core_percent']:.1f} %"
            )
            continue
        off = [f"{value:.0f}" if value is not None else "" for value in told["off_ms"].values()]
        table.add_row(
            name,
            f"{told['f1']:.3f}",
            str(told["false"]),
            str(told["missed"]),
            f"{100 * told['count_error']:.1f} %",
            str(told["true"]),
            *off,
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
