"""HOTA, CLEAR and identity scores by TrackEval, after MOTChallenge's own preprocessing.

TrackEval reads files, so truth and tracks are written to a temporary folder in MOTChallenge's layout. Its dataset class
then removes boxes that match distractors (people on vehicles, statues, reflections) before the metrics see them.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import EvaluationError
from pipeline.extras import require

if TYPE_CHECKING:
    from pipeline.detections import Tracks
    from pipeline.evaluate.mot import Sequence


@dataclass(frozen=True, slots=True)
class Scores:
    """Percent, but for the number of identity switches. HOTA's four are means over its 19 localisation thresholds."""

    hota: float
    det_a: float
    ass_a: float
    loc_a: float
    mota: float
    idf1: float
    idsw: int

    def as_dict(self) -> dict[str, float]:
        """The scores under their common names, rounded to a thousandth."""
        names = {"det_a": "DetA", "ass_a": "AssA", "loc_a": "LocA"}
        return {names.get(name, name.upper()): round(value, 3) for name, value in asdict(self).items()}


def score(sequences: list[Sequence], results: list[list[Tracks]]) -> tuple[Scores, list[Scores]]:
    """The scores of all sequences together, as TrackEval combines them, and of each; `results` has a `Tracks` a frame.

    Raises:
        EvaluationError: TrackEval is not installed, or refuses the ground truth.
    """
    trackeval = _trackeval()
    metrics = [
        trackeval.metrics.HOTA(),
        trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
        trackeval.metrics.Identity({"PRINT_CONFIG": False}),
    ]
    raw: dict[str, list[dict[str, Any]]] = {metric.get_name(): [] for metric in metrics}
    for sequence, tracks in zip(sequences, results, strict=True):
        prepared = _prepared(trackeval, sequence, tracks)
        for metric in metrics:
            raw[metric.get_name()].append(metric.eval_sequence(prepared))
    single = [_scores({name: found[i] for name, found in raw.items()}) for i in range(len(sequences))]
    combined = {m.get_name(): m.combine_sequences(dict(enumerate(raw[m.get_name()]))) for m in metrics}
    return _scores(combined), single


def count(sequence: Sequence, tracks: list[Tracks]) -> dict[str, Any]:
    """What HOTA counts on one sequence; `hota` puts any of them together, so that each is scored once for many ways.

    Raises:
        EvaluationError: TrackEval is not installed, or refuses the ground truth.
    """
    trackeval = _trackeval()
    counted: dict[str, Any] = trackeval.metrics.HOTA().eval_sequence(_prepared(trackeval, sequence, tracks))
    return counted


def hota(counted: list[dict[str, Any]]) -> float:
    """HOTA of these sequences together, percent."""
    combined = _trackeval().metrics.HOTA().combine_sequences(dict(enumerate(counted)))
    return 100 * float(np.mean(combined["HOTA"]))


def _trackeval() -> Any:
    require("evaluate", "scores", "trackeval", error=EvaluationError)
    import trackeval

    return trackeval


def _prepared(trackeval: Any, sequence: Sequence, results: list[Tracks]) -> dict[str, Any]:
    """What TrackEval's metrics take: one sequence after preprocessing."""
    with tempfile.TemporaryDirectory(prefix="camfleet-evaluate-") as folder:
        truth, tracks = (
            Path(folder, "gt", "seq", "gt", "gt.txt"),
            Path(folder, "trackers", "camfleet", "data", "seq.txt"),
        )
        for path, rows in ((truth, _truth_rows(sequence)), (tracks, _track_rows(results))):
            path.parent.mkdir(parents=True)
            np.savetxt(path, rows, fmt=["%d", "%d", *["%.4f"] * 4, "%.4f", "%d"], delimiter=",")
        try:
            dataset = trackeval.datasets.MotChallenge2DBox(
                {
                    "GT_FOLDER": str(Path(folder, "gt")),
                    "TRACKERS_FOLDER": str(Path(folder, "trackers")),
                    "BENCHMARK": "MOT20" if "MOT20" in sequence.name else "MOT17",
                    "SEQ_INFO": {"seq": len(sequence)},
                    "SKIP_SPLIT_FOL": True,
                    "PRINT_CONFIG": False,
                }
            )
            raw = dataset.get_raw_seq_data("camfleet", "seq")
            prepared: dict[str, Any] = dataset.get_preprocessed_seq_data(raw, "pedestrian")
        except trackeval.utils.TrackEvalException as error:
            raise EvaluationError(f"{sequence.name}: TrackEval refuses the ground truth: {error}") from error
    return prepared


def _truth_rows(sequence: Sequence) -> NDArray[np.float64]:
    frames = [
        np.column_stack([np.full(len(t.object_id), k), t.object_id, t.ltwh, t.considered, t.class_id])
        for k, t in enumerate(sequence.truth, start=1)
    ]
    return np.concatenate(frames)


def _track_rows(results: list[Tracks]) -> NDArray[np.float64]:
    frames = []
    for k, tracks in enumerate(results, start=1):
        left_top, sides = tracks.xyxy[:, :2], tracks.xyxy[:, 2:] - tracks.xyxy[:, :2]
        ones = np.ones(len(tracks))
        frames.append(np.column_stack([ones * k, tracks.track_id, left_top, sides, tracks.score, ones]))
    return np.concatenate(frames)


def _scores(found: dict[str, dict[str, Any]]) -> Scores:
    hota, clear, identity = found["HOTA"], found["CLEAR"], found["Identity"]
    mean = {name: 100 * float(np.mean(hota[name])) for name in ("HOTA", "DetA", "AssA", "LocA")}
    return Scores(
        hota=mean["HOTA"],
        det_a=mean["DetA"],
        ass_a=mean["AssA"],
        loc_a=mean["LocA"],
        mota=100 * float(clear["MOTA"]),
        idf1=100 * float(identity["IDF1"]),
        idsw=int(clear["IDSW"]),
    )
