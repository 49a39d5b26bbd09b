"""How well crossings of lines and entries into zones are counted, at several strides, beside other libraries' counters.

    .venv/bin/python scripts/bench_rules.py
    .venv/bin/python scripts/bench_rules.py --of samples --strides 1 5 --cameras gate yard --json out.json
    .venv/bin/python scripts/bench_rules.py --of mot17
    .venv/bin/python scripts/bench_rules.py --of burst

Of the samples, of which the exact truth is known, run as a fleet once for each stride (`pace: fastest`); of MOT17 (the
second halves of the sequences in CAMFLEET_DATA/mot17, whose detections are tracked as the worker does); and of the
samples over RTSP under the first burst of configs/scenarios/six-by-25.yaml, before, in, and after it.

Lines and zones are laid over each picture by the same shares. What crosses is known from the truth alone: the middle of
the lower edge of an object's box changes sides and stays there for 0.2 s; crossings of objects that are hidden or tiny
at that moment are neither wanted nor false.

Beside it: supervision's `LineZone` and `PolygonZone` and Ultralytics' `ObjectCounter`, fed with the same published
boxes and track ids, with the same point of the box where they can be told. Times may be 1 s apart.

With --cost also what judging 96 zones of 12 cameras takes at 300 frames a second, reading the messages included, by the
processor's time.

Told: F1; the error of counts, the sum over rules and directions of |counted - true| / true; how far off the time of
a crossing is, in the median and in 95 of 100, of all and of the objects that pass quicker than 1/32 of the picture's
width a second; and the share of true times within twice the error that an event tells.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from passages.burst import under_burst
from passages.compare import compare, total
from passages.counters import COUNTERS
from passages.played import SAMPLES, Played, mot17, samples
from passages.truth import true_passages
from rich.console import Console
from rich.table import Table

from pipeline.config.rules import Rules
from pipeline.logs import choose_log_level
from pipeline.rules import CameraRules
from pipeline.wire import FrameResult, decode, encode

ZONES = 8
"""Of a camera; 12 cameras have 96 then."""
KINDS = {"lines": ("in", "out"), "zones": ("enter", "leave")}


def main() -> None:
    """Play, count, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=["samples", "mot17", "burst"], default="samples")
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 2, 3, 5, 8])
    parser.add_argument("--cameras", nargs="+", default=list(SAMPLES), choices=SAMPLES)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="Keep what was published in this folder, and take it from there.")
    options = parser.parse_args()
    choose_log_level("error")
    results: dict[str, Any] = {}
    for title, played in _scenes(options):
        results |= judge(title, played)
        if options.cost:
            results[f"cost, {title}"] = cost({name: list(one.results) for name, one in played.items()})
    _print(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _scenes(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Played]]]:
    if options.of == "burst":
        yield from under_burst(options.keep)
    for stride in options.strides if options.of != "burst" else ():
        played = mot17(stride) if options.of == "mot17" else samples(options.cameras, stride, options.keep)
        yield f"stride {stride}", played


def judge(title: str, played: Mapping[str, Played]) -> dict[str, Any]:
    """The figures of every counter, of lines and of zones."""
    truths = {name: true_passages(one.recording) for name, one in played.items()}
    results: dict[str, Any] = {}
    for counter_title, counter in COUNTERS.items():
        found = {name: _counted(counter, one) for name, one in played.items()}
        for kind, ways in KINDS.items():
            if kind == "zones" and counter_title.startswith("Ultralytics"):
                continue
            parts = [
                compare(
                    [one for one in found[name] if one.way in ways and played[name].judges(one.at_s)],
                    [one for one in truths[name] if one.way in ways and played[name].judges(one.at_s)],
                )
                for name in played
            ]
            results[f"{kind}, {title}, {counter_title}"] = total(parts)
    return results


def _counted(counter: Any, played: Played) -> list[Any]:
    one = counter(played.recording.picture_wh)
    return [passed for result in played.results for passed in one.update(result)]


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


def _print(results: dict[str, Any]) -> None:
    table = Table("", "F1", "false", "missed", "count error", "of", "off ms", "p95", "quick ms", "p95", "in 2 σ")
    for name, told in results.items():
        if "frame_us" in told:
            print(
                f"{name}: {told['frame_us']:.0f} µs a frame of {told['boxes']:.1f} boxes, {told['core_percent']:.1f} %"
            )
            continue
        off = [*told["off_ms"].values(), *told["quick_off_ms"].values()]
        sure = told["within_2_sigma"]
        table.add_row(
            name,
            f"{told['f1']:.3f}",
            str(told["false"]),
            str(told["missed"]),
            f"{100 * told['count_error']:.1f} %",
            str(told["true"]),
            *(f"{value:.0f}" if value is not None else "" for value in off),
            f"{100 * sure:.0f} %" if sure is not None else "",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
