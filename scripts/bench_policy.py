"""What `stride: {policy: content}` is worth: HOTA at the same number of detections, shared out in three ways.

    .venv/bin/python scripts/bench_policy.py
    .venv/bin/python scripts/bench_policy.py --fill interpolate --phases 0 1 2 3 --json out.json

Lively and quiet sequences are played together as the cameras of one fleet, on a virtual clock, through the worker's own
controller, tracker and filling (`pipeline.evaluate.sharing`). Lively: the second halves of MOT17-02, 05, 10 and 11 with
their ground truth. Quiet: two pieces of 15 s each of a corridor and of a road, for which nobody has drawn boxes; there
the reference is what the tracker makes of a detection on every frame, so HOTA tells what is lost by looking seldom.

`strides` gives all the same stride; `equal` and `content` are the controller's policies, at as many detections.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from footage import data_folder
from recorded_detections import detect_recording
from rich.console import Console
from rich.table import Table

from pipeline.config.values import Model
from pipeline.evaluate.mot import FrameTruth, Sequence, read_sequence
from pipeline.evaluate.score import score
from pipeline.evaluate.sharing import Share, share_out
from pipeline.track.fill import FillMode, filling
from pipeline.track.tracker import Tracker, TrackerConfig

LIVELY = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-11")
QUIET = (("corridor_person", 0), ("corridor_person", 60), ("road_person", 0), ("road_person", 15))
PIECE_S = 15
STRIDES = (3, 4, 5, 6, 8)
POLICIES = ("strides", "equal", "content")


@dataclass(frozen=True)
class Outcome:
    """Of one way of sharing: frames detected, HOTA of all sequences together, and of each."""

    detected: float
    hota: float
    sequences: dict[str, float]


def main() -> None:
    """Play every way at every budget, and print what came out."""
    options = _options()
    cameras = _lively() | _quiet()
    found = {policy: {stride: _outcome(cameras, policy, stride, options) for stride in STRIDES} for policy in POLICIES}
    _print(found, options)
    if options.json:
        told = {policy: {k: vars(v) for k, v in outcomes.items()} for policy, outcomes in found.items()}
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _outcome(
    cameras: dict[str, tuple[Sequence, TrackerConfig]], policy: str, stride: int, options: argparse.Namespace
) -> Outcome:
    print(f"{policy}, one of {stride} …", file=sys.stderr, flush=True)
    runs = [_run(cameras, policy, stride, phase, options) for phase in options.phases]
    return Outcome(
        statistics.median(run.detected for run in runs),
        statistics.median(run.hota for run in runs),
        {name: statistics.median(run.sequences[name] for run in runs) for name in cameras},
    )


def _run(
    cameras: dict[str, tuple[Sequence, TrackerConfig]],
    policy: str,
    stride: int,
    phase: int,
    options: argparse.Namespace,
) -> Outcome:
    way = {"strides": "fixed", "equal": "equal", "content": "content"}[policy]
    share = Share(stride, way, options.most, FillMode(options.fill), phase=phase)  # type: ignore[arg-type]
    shared = share_out(cameras, share)
    sequences = [sequence for sequence, _ in cameras.values()]
    combined, single = score(sequences, [shared.tracks[name] for name in cameras])
    each = {name: scores.hota for name, scores in zip(cameras, single, strict=True)}
    return Outcome(sum(shared.detected.values()), combined.hota, each)


def _lively() -> dict[str, tuple[Sequence, TrackerConfig]]:
    sequences = [read_sequence(data_folder() / "mot17" / name, second_half=True) for name in LIVELY]
    return {sequence.name: (sequence, TrackerConfig(clip=False)) for sequence in sequences}


def _quiet() -> dict[str, tuple[Sequence, TrackerConfig]]:
    model = Model(path=str(data_folder() / "models" / "yolo26n_int8_openvino_model"), backend="openvino")
    cameras = {}
    for stem, start_s in QUIET:
        (recording,) = (data_folder() / "videos").glob(f"{stem}*")
        wh, fps, seen = detect_recording(recording, model)
        seen = seen[int(start_s * fps) : int((start_s + PIECE_S) * fps)]
        blank = Sequence(f"{stem}-{start_s}", wh, fps, (), tuple(seen))
        cameras[blank.name] = (replace(blank, truth=_reference(blank)), TrackerConfig())
    return cameras


def _reference(sequence: Sequence) -> tuple[FrameTruth, ...]:
    """What a detection on every frame shows."""
    fill = filling(FillMode.INTERPOLATE, Tracker(TrackerConfig(), sequence.picture_wh), max_delay_s=100.0)
    done = []
    for frame, seen in enumerate(sequence.detections):
        at_s = frame / sequence.fps
        done += fill.detected(frame, seen, at_s, at_s)
    truth = []
    for filled in done + fill.flush():
        xyxy = filled.tracks.xyxy.astype(np.float64)
        ones = np.ones(len(xyxy), np.int64)
        ltwh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
        truth.append(FrameTruth(filled.tracks.track_id, ltwh, ones, ones))
    return tuple(truth)


def _print(found: dict[str, dict[int, Outcome]], options: argparse.Namespace) -> None:
    table = Table(title=f"HOTA, fill {options.fill}, stride at most {options.most}, phases {options.phases}")
    for name in ("one of", *POLICIES, "fewer than strides", "fewer than equal", "quiet: strides", "equal", "content"):
        table.add_column(name, justify="right")
    for stride in STRIDES:
        ways = {policy: found[policy][stride] for policy in POLICIES}
        table.add_row(
            str(stride),
            *(f"{way.hota:.1f} ({way.detected:.0f})" for way in ways.values()),
            *(f"{100 * _saved(ways['content'], found[policy]):.0f} %" for policy in ("strides", "equal")),
            *(f"{_quiet_mean(way):.1f}" for way in ways.values()),
        )
    Console(width=140).print(table)


def _saved(content: Outcome, other: dict[int, Outcome]) -> float:
    """Share of detections that the other way needs more for the same HOTA, between its measured points."""
    points = sorted((outcome.hota, outcome.detected) for outcome in other.values())
    needed = np.interp(content.hota, [hota for hota, _ in points], [detected for _, detected in points])
    return float(1 - content.detected / needed)


def _quiet_mean(outcome: Outcome) -> float:
    return statistics.mean(hota for name, hota in outcome.sequences.items() if not name.startswith("MOT17"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fill", choices=["predict", "interpolate"], default="predict")
    parser.add_argument("--most", type=int, default=25, help="the stride that nobody exceeds")
    parser.add_argument("--phases", type=int, nargs="+", default=[0, 1, 3], help="where the counting of frames begins")
    parser.add_argument("--json", type=Path, help="write the outcomes to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
