"""Which `high_score` and `birth_score` suit the detectors people use: HOTA by pair, and what a score is worth.

    .venv/bin/python scripts/bench_scores.py [--pairs 0.3:0.4 0.5:0.6] [--strides 1 3] [--fill predict]

Columns, each HOTA at the strides asked for, every frame scored:

- `mot17`: second halves of MOT17-02, 05, 10, 11, YOLOX-x detections, ground truth;
- `demo`: the demo's model on the six samples, all classes together, ground truth;
- `26n`, `11n`: YOLO26n and YOLO11n INT8 on the real recordings, people and vehicles. Nobody has drawn boxes there. What
  one model is scored against is what the other one saw for long: tracked on every frame from low scores, for at least
  `LEAST_S`, and at least once from `--least-best`. `ids` are its tracks at the first stride, and how many of them have
  boxes on less than half a second.

The second table is the share of detections that are right by score, and how much is found from there on, on 64 labelled
pictures of COCO (same class, IoU 0.5).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import pairwise

import numpy as np
from footage import ROOT, data_folder
from labelled_pictures import judge
from recorded_detections import detect_recording
from rich.console import Console
from rich.table import Table

from pipeline.config.values import Model
from pipeline.detections import Tracks
from pipeline.evaluate.ground_truth import read_ground_truth
from pipeline.evaluate.mot import FrameTruth, Sequence, read_sequence
from pipeline.evaluate.score import score
from pipeline.evaluate.tracking import Setup, track
from pipeline.track.fill import FillMode
from pipeline.track.tracker import TrackerConfig

PAIRS = ["0.3:0.4", "0.4:0.5", "0.5:0.5", "0.45:0.55", "0.5:0.6", "0.55:0.6"]
MOT17 = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-11")
MODELS = {"26n": "yolo26n", "11n": "yolo11n"}
VIDEOS = ("town_people", "street_vehicles", "corridor_person", "road_person", "retail_people")
PEOPLE_AND_VEHICLES = 8
"""COCO's classes below this."""
LEAST_S, SHORT_S = 1.0, 0.5
BANDS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.01]


def main() -> None:
    """Measure every pair on every detector, then the scores themselves."""
    options = _options()
    sets = _sets(options.least_best)
    table = Table("high", "birth", *sets, *(f"ids {name}" for name in MODELS), title=f"HOTA, strides {options.strides}")
    for pair in options.pairs:
        high, birth = map(float, pair.split(":"))
        runs = {name: _runs(sequences, high, birth, options) for name, sequences in sets.items()}
        hota = (" ".join(f"{value:.1f}" for value, _ in found) for found in runs.values())
        table.add_row(f"{high:g}", f"{birth:g}", *hota, *(_lives(runs[name][0][1], sets[name]) for name in MODELS))
    worth = Table("score", *MODELS, title="COCO: right in the band / of all from here on / found from here on")
    judged = [judge(data_folder() / "coco", _model(name, input_wh=(640, 640))) for name in MODELS]
    for low, high in pairwise(BANDS):
        worth.add_row(f"{low:g}", *(found.cell(low, high) for found in judged))
    console = Console(width=140)
    console.print(table, worth)


def _sets(least_best: float) -> dict[str, list[Sequence]]:
    sets = {"mot17": [read_sequence(data_folder() / "mot17" / name, second_half=True) for name in MOT17]}
    sets["demo"] = _samples()
    footage = {name: _footage(name) for name in MODELS}
    for name, other in (("26n", "11n"), ("11n", "26n")):
        truths = [_lasting(sequence, least_best) for sequence in footage[other]]
        sets[name] = [replace(s, truth=truth) for s, truth in zip(footage[name], truths, strict=True)]
    return sets


def _runs(
    sequences: list[Sequence], high: float, birth: float, options: argparse.Namespace
) -> list[tuple[float, list[list[Tracks]]]]:
    """HOTA and boxes at each stride."""
    found = []
    for stride in options.strides:
        config = TrackerConfig(clip=False, high_score=high, birth_score=birth)
        boxes = [track(s, Setup(stride, FillMode(options.fill), tracker=config)).tracks for s in sequences]
        found.append((score(sequences, boxes)[0].hota, boxes))
    return found


def _lives(boxes: list[list[Tracks]], sequences: list[Sequence]) -> str:
    """How many tracks there are, and how many of them are short."""
    counts = [np.unique(np.concatenate([t.track_id for t in b]), return_counts=True)[1] for b in boxes]
    short = sum(int((count < SHORT_S * s.fps).sum()) for count, s in zip(counts, sequences, strict=True))
    return f"{sum(map(len, counts))} ({short} short)"


def _model(name: str, **changes: object) -> Model:
    folder = data_folder() / "models" / f"{MODELS[name]}_int8_openvino_model"
    return Model.model_validate({"path": str(folder), "backend": "openvino", **changes})


def _footage(name: str) -> list[Sequence]:
    found = []
    for stem in VIDEOS:
        (recording,) = (data_folder() / "videos").glob(f"{stem}*")
        wh, fps, seen = detect_recording(recording, _model(name))
        kept = tuple(frame[frame.class_id < PEOPLE_AND_VEHICLES] for frame in seen)
        found.append(Sequence(stem, wh, fps, (), kept))
    return found


def _samples() -> list[Sequence]:
    model = Model(path=str(ROOT / "samples" / "model" / "demo_openvino_model"), backend="openvino", nms_iou=0.5)
    found = []
    for recording in sorted((ROOT / "samples").glob("*.mp4")):
        ground = read_ground_truth(ROOT / "samples" / "ground_truth" / recording.stem).of_class(None)
        found.append(replace(ground, detections=tuple(detect_recording(recording, model)[2])))
    return found


def _lasting(sequence: Sequence, least_best: float) -> tuple[FrameTruth, ...]:
    """The objects that a detector saw for long, and well at least once."""
    config = TrackerConfig(high_score=0.2, birth_score=0.25)
    frames = track(sequence, Setup(1, FillMode.INTERPOLATE, tracker=config)).tracks
    ids, scores = (np.concatenate([getattr(t, name) for t in frames]) for name in ("track_id", "score"))
    long = {i for i in np.unique(ids) if (ids == i).sum() >= LEAST_S * sequence.fps}
    lasting = [i for i in long if scores[ids == i].max() >= least_best]
    truth = []
    for tracks in (t[np.isin(t.track_id, lasting)] for t in frames):
        xyxy, ones = tracks.xyxy.astype(np.float64), np.ones(len(tracks), np.int64)
        truth.append(FrameTruth(tracks.track_id, np.hstack([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]]), ones, ones))
    return tuple(truth)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="+", default=PAIRS, metavar="HIGH:BIRTH")
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--fill", choices=["predict", "interpolate"], default="predict")
    parser.add_argument("--least-best", type=float, default=0.5, help="a lasting object was once seen this well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
