"""What boxes carried on at once lose to boxes drawn between two detections, and by what: HOTA on MOT17.

    .venv/bin/python scripts/bench_fill.py [--strides 3 5] [--json]

Second halves of MOT17-02, 05, 10, 11, YOLOX-x detections, the tracker's defaults, every frame scored. `predict` and
`interpolate` are the two fillings. Between them, `placed`: the objects that `predict` shows, each where `interpolate`
has it; `there`: `predict`, and besides what `interpolate` shows that `predict` does not know of yet.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from footage import data_folder
from rich.console import Console
from rich.table import Table

from pipeline.detections import Tracks
from pipeline.evaluate.mot import Sequence, read_sequence
from pipeline.evaluate.score import count, hota
from pipeline.evaluate.tracking import Setup, track
from pipeline.track.fill import FillMode

SEQUENCES = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-11")
WAYS = ("predict", "placed", "there", "interpolate")


def main() -> None:
    """Print HOTA by stride and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strides", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sequences = [read_sequence(data_folder() / "mot17" / name, second_half=True) for name in SEQUENCES]
    scores = {stride: scored(sequences, stride) for stride in options.strides}
    if options.json:
        print(json.dumps(scores, indent=2))
        return
    table = Table("stride", *WAYS, box=None)
    for stride, of_way in scores.items():
        table.add_row(str(stride), *(f"{of_way[way]:.1f}" for way in WAYS))
    Console().print(table)


def scored(sequences: list[Sequence], stride: int) -> dict[str, float]:
    """HOTA of each way, all sequences together."""
    counted: dict[str, list[dict[str, object]]] = {way: [] for way in WAYS}
    for sequence in sequences:
        predicted, between = (
            track(sequence, Setup(stride, fill)).tracks for fill in (FillMode.PREDICT, FillMode.INTERPOLATE)
        )
        pairs = list(zip(predicted, between, strict=True))
        ways = (predicted, [_placed(*pair) for pair in pairs], [_there(*pair) for pair in pairs], between)
        for way, tracks in zip(WAYS, ways, strict=True):
            counted[way].append(count(sequence, tracks))
    return {way: round(hota(parts), 2) for way, parts in counted.items()}


def _placed(predicted: Tracks, between: Tracks) -> Tracks:
    known = np.isin(predicted.track_id, between.track_id)
    return Tracks.together([predicted[~known], between[np.isin(between.track_id, predicted.track_id)]])


def _there(predicted: Tracks, between: Tracks) -> Tracks:
    return Tracks.together([predicted, between[~np.isin(between.track_id, predicted.track_id)]])


if __name__ == "__main__":
    main()
