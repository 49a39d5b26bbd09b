"""How well the loss that a fleet estimates for itself (`pipeline.track.loss`) tells the true one.

    .venv/bin/python scripts/bench_loss.py                     # the six samples, the demo's model: the test
    .venv/bin/python scripts/bench_loss.py --on mot17          # what its constants were chosen on
    .venv/bin/python scripts/bench_loss.py --fill interpolate --json out.json
    .venv/bin/python scripts/bench_loss.py --share 4 --max-loss 2   # what giving way by it brings

Each camera is detected once on every frame; then its detections are shown to the tracker at strides 1 to 8, every phase
of each: what a stride of s does to a recording of 12 s is seen s times over, which is a camera-minute from stride 5 on.
True is HOTA at stride 1 minus HOTA at stride s, the mean over phases; estimated is the mean of what the tracker says at
the end of each. `within` counts camera and stride pairs whose estimate is within a point of the truth; stride 1 loses
nothing by definition, so the share is told without it, too.

With `--share N` there is one detection for N frames of all cameras together, on a virtual clock through the worker's
own controller: what each camera loses with equal shares, and where the promise decides who gives way.
"""

from __future__ import annotations

import argparse
import json
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from footage import ROOT, data_folder
from recorded_detections import detect_recording
from rich.console import Console
from rich.table import Table

from pipeline.config.values import Model
from pipeline.evaluate.ground_truth import read_ground_truth
from pipeline.evaluate.mot import Sequence, read_sequence
from pipeline.evaluate.score import count, hota
from pipeline.evaluate.sharing import Share, share_out
from pipeline.track.drift import WatchedTracker
from pipeline.track.fill import Filled, Filling, FillMode, filling
from pipeline.track.tracker import TrackerConfig

MOT17 = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-11")
PIECE_S = 12.0
"""MOT17's sequences are cut into pieces about as long as the samples."""
STRIDES = range(1, 9)
NEAR = 1.0
"""Points of HOTA within which an estimate is right."""
MAX_DELAY_S = 0.3


@dataclass(frozen=True)
class Run:
    """One camera at one stride and phase."""

    camera: str
    stride: int
    hota: float
    estimate: float


@dataclass(frozen=True)
class Pair:
    """One camera at one stride: what it lost, and what was estimated, points of HOTA; means over phases."""

    camera: str
    stride: int
    true: float
    estimated: float

    @property
    def near(self) -> bool:
        """Whether the estimate is right."""
        return abs(self.true - self.estimated) <= NEAR


def main() -> None:
    """Run every camera at every stride and phase, and print both losses."""
    options = _options()
    cameras = samples() if options.on == "samples" else mot17()
    if options.share:
        _print_shared(cameras, options)
        return
    pairs = pairs_of(runs_of(cameras, FillMode(options.fill), options.phases, options.jobs))
    _print(pairs, options)
    if options.json:
        told = {"on": options.on, "fill": options.fill, "pairs": [asdict(pair) | {"near": pair.near} for pair in pairs]}
        options.json.write_text(json.dumps(told | _shares(pairs), indent=2) + "\n", encoding="utf-8")


def samples() -> list[tuple[Sequence, TrackerConfig]]:
    """The sample recordings, all classes together, as the demo's model sees them."""
    model = Model(path=str(ROOT / "samples" / "model" / "demo_openvino_model"), backend="openvino", nms_iou=0.5)
    found = []
    for recording in sorted((ROOT / "samples").glob("*.mp4")):
        truth = read_ground_truth(ROOT / "samples" / "ground_truth" / recording.stem).of_class(None)
        found.append((replace(truth, detections=tuple(detect_recording(recording, model)[2])), TrackerConfig()))
    return found


def mot17() -> list[tuple[Sequence, TrackerConfig]]:
    """Pieces of MOT17, whole sequences."""
    whole = [read_sequence(data_folder() / "mot17" / name, second_half=False) for name in MOT17]
    return [(piece, TrackerConfig(clip=False)) for sequence in whole for piece in _pieces(sequence)]


def _pieces(sequence: Sequence) -> list[Sequence]:
    count = max(1, round(len(sequence) / sequence.fps / PIECE_S))
    bounds = [len(sequence) * number // count for number in range(count + 1)]
    return [
        replace(
            sequence,
            name=f"{sequence.name}/{number}",
            truth=sequence.truth[begin:end],
            detections=sequence.detections[begin:end],
            pictures=(),
        )
        for number, (begin, end) in enumerate(pairwise(bounds))
    ]


def runs_of(cameras: list[tuple[Sequence, TrackerConfig]], fill: FillMode, most_phases: int, jobs: int) -> list[Run]:
    """Every camera at every stride, and at so many phases of each."""
    asked = [
        (sequence, config, stride, phase, fill)
        for sequence, config in cameras
        for stride in STRIDES
        for phase in sorted({int(phase) for phase in np.linspace(0, stride, min(stride, most_phases), endpoint=False)})
    ]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(_run, asked, chunksize=8))


def _run(asked: tuple[Sequence, TrackerConfig, int, int, FillMode]) -> Run:
    sequence, config, stride, phase, fill = asked
    tracker = WatchedTracker(config, sequence.picture_wh)
    at_work: Filling[int] = filling(fill, tracker, MAX_DELAY_S)
    done: list[Filled[int]] = []
    for frame, detections in enumerate(sequence.detections):
        at_s = frame / sequence.fps
        finished = at_work.expire(at_s)
        if (frame + phase) % stride:
            finished += at_work.skipped(frame, at_s, at_s)
        else:
            finished += at_work.detected(frame, detections, at_s, at_s)
        for filled in finished:
            tracker.loss.show(filled.origin, filled.unseen_s)
        done += finished
    done += at_work.flush()
    return Run(sequence.name, stride, hota([count(sequence, [one.tracks for one in done])]), tracker.loss.points or 0.0)


def pairs_of(runs: list[Run]) -> list[Pair]:
    """What each stride cost each camera."""
    found: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        found.setdefault((run.camera, run.stride), []).append(run)
    scored = {at: statistics.mean(run.hota for run in of) for at, of in found.items()}
    estimate = {at: statistics.mean(run.estimate for run in of) for at, of in found.items()}
    return [
        Pair(camera, stride, scored[camera, 1] - scored[camera, stride], estimate[camera, stride])
        for camera, stride in found
    ]


def _shares(pairs: list[Pair]) -> dict[str, float]:
    """Percent of pairs that are near, of all strides and of those above 1; and points they are off."""
    above = [pair for pair in pairs if pair.stride > 1]
    off = [abs(pair.true - pair.estimated) for pair in above]
    return {
        "within_percent": round(100 * statistics.mean(pair.near for pair in pairs), 1),
        "within_percent_above_1": round(100 * statistics.mean(pair.near for pair in above), 1),
        "mean_off": round(statistics.mean(off), 2),
        "worst_off": round(max(off), 2),
    }


def _print(pairs: list[Pair], options: argparse.Namespace) -> None:
    title = f"points of HOTA lost, {options.on}, fill {options.fill}: true / estimated"
    table = Table("camera", *(f"stride {stride}" for stride in STRIDES if stride > 1), title=title)
    for camera in dict.fromkeys(pair.camera for pair in pairs):
        own = [pair for pair in pairs if pair.camera == camera and pair.stride > 1]
        table.add_row(camera, *(f"{'' if pair.near else '*'}{pair.true:.1f} / {pair.estimated:.1f}" for pair in own))
    console = Console(width=140)
    console.print(table)
    told = _shares(pairs)
    console.print(
        f"within {NEAR:g} point: {told['within_percent']:g} % of {len(pairs)}; without stride 1 "
        f"{told['within_percent_above_1']:g} %; off by {told['mean_off']:g} on average, {told['worst_off']:g} at most"
    )


def _print_shared(cameras: list[tuple[Sequence, TrackerConfig]], options: argparse.Namespace) -> None:
    named = {sequence.name: (sequence, config) for sequence, config in cameras}
    best = _shared(named, Share(1, "fixed", fill=FillMode(options.fill)))
    ways = {
        "equal": _shared(named, Share(options.share, "equal", fill=FillMode(options.fill))),
        "promise": _shared(
            named, Share(options.share, "equal", fill=FillMode(options.fill), max_loss=options.max_loss)
        ),
    }
    table = Table("camera", *ways, title=f"points of HOTA lost (frames detected), one detection for {options.share}")
    for name in named:
        lost = (f"{best[name][0] - way[name][0]:.1f} ({way[name][1]})" for way in ways.values())
        table.add_row(name, *lost)
    worst = (max(best[name][0] - way[name][0] for name in named) for way in ways.values())
    mean = (statistics.mean(best[name][0] - way[name][0] for name in named) for way in ways.values())
    detected = (sum(detected for _, detected in way.values()) for way in ways.values())
    table.add_row("most", *(f"{lost:.1f}" for lost in worst))
    table.add_row("mean", *(f"{lost:.1f} ({frames})" for lost, frames in zip(mean, detected, strict=True)))
    Console(width=140).print(table)


def _shared(named: dict[str, tuple[Sequence, TrackerConfig]], share: Share) -> dict[str, tuple[float, int]]:
    """HOTA and detections of each camera, means over three phases."""
    runs = [share_out(named, replace(share, phase=phase)) for phase in (0, 1, 3)]
    return {
        name: (
            statistics.mean(hota([count(sequence, run.tracks[name])]) for run in runs),
            round(statistics.mean(run.detected[name] for run in runs)),
        )
        for name, (sequence, _) in named.items()
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=["samples", "mot17"], default="samples")
    parser.add_argument("--fill", choices=["predict", "interpolate", "none"], default="predict")
    parser.add_argument("--phases", type=int, default=8, help="phases of each stride, at most")
    parser.add_argument("--share", type=int, default=0, metavar="N", help="one detection for N frames, shared")
    parser.add_argument("--max-loss", type=float, default=2.0, help="what is promised with --share")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write the pairs to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
