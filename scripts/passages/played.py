"""What is published of recordings whose truth is known: the samples, MOT17, and the samples under a burst."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import yaml

from pipeline.config import load_fleet
from pipeline.detections import Origin, Tracks
from pipeline.evaluate.ground_truth import LEAST_VISIBILITY, read_ground_truth
from pipeline.evaluate.mot import FrameTruth, by_frame, first_of, read_rows, read_seqinfo, read_sequence
from pipeline.evaluate.mot import Sequence as Recording
from pipeline.evaluate.play import play
from pipeline.evaluate.tracking import Setup, track
from pipeline.wire import Counts, FrameResult, TrackedBox

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ("gate", "yard", "crossing", "street", "parking", "park")
MOT17 = ("MOT17-02", "MOT17-05", "MOT17-10", "MOT17-11")
PEDESTRIAN, LOOK_LIKE_ONE = 1, (1, 2, 7, 8)
"""MOTChallenge's classes: who walks, rides, stands, or is a picture of somebody."""
DATA = Path(os.environ.get("CAMFLEET_DATA", ROOT.parent / "shared/data"))


@dataclass(frozen=True, slots=True)
class Played:
    """A recording's truth, and what was published of it.

    Attributes:
        recording: Its truth.
        results: Every frame, in their order.
        spans_s: What is judged, s of the recording from and to; all of it without.
    """

    recording: Recording
    results: Sequence[FrameResult]
    spans_s: tuple[tuple[float, float], ...] = ()

    def judges(self, at_s: float) -> bool:
        """Whether this moment is judged."""
        return not self.spans_s or any(first <= at_s < last for first, last in self.spans_s)


def samples(names: Sequence[str], stride: int, keep: Path | None) -> dict[str, Played]:
    """The samples as a fleet, with the demo's model (`pace: fastest`); kept results are taken from `keep`."""
    kept = keep / f"stride-{stride}.msgpack" if keep else None
    if kept and kept.exists():
        results = msgspec.msgpack.decode(kept.read_bytes(), type=dict[str, list[FrameResult]])
    else:
        results = _run(names, stride)
    if kept and not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.msgpack.encode(results))
    grounds = {name: read_ground_truth(ROOT / "samples/ground_truth" / name) for name in names}
    return {name: Played(grounds[name].sequence, results[name]) for name in names}


def mot17(stride: int) -> dict[str, Played]:
    """The second halves of MOT17's sequences, their own detections tracked as the worker does."""
    played = {}
    for name in MOT17:
        folder = DATA / "mot17" / name
        recording = read_sequence(folder, second_half=True)
        tracked = track(recording, Setup(stride))
        results = [_result(recording, number, tracks, stride) for number, tracks in enumerate(tracked.tracks)]
        played[name] = Played(replace(recording, truth=_people(folder, len(recording))), results)
    return played


def _run(names: Sequence[str], stride: int) -> dict[str, list[FrameResult]]:
    fleet = {
        "model": {"path": str(ROOT / "samples/model/demo_openvino_model"), "nms_iou": 0.5},
        "defaults": {"stride": stride, "pace": "fastest"},
        "cameras": {name: {"url": str(ROOT / f"samples/{name}.mp4")} for name in names},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fleet.yaml"
        file.write_text(yaml.safe_dump(fleet), encoding="utf-8")
        return play(load_fleet(file), lambda _: None)


def _people(folder: Path, length: int) -> tuple[FrameTruth, ...]:
    """Who may pass: pedestrians that can be seen are asked for, whoever looks like one is neither wanted nor false."""
    rows = read_rows(first_of(folder, "gt.txt", "gt/gt.txt"), least_columns=9)
    rows = rows[np.isin(rows[:, 7], LOOK_LIKE_ONE)]
    last = read_seqinfo(folder / "seqinfo.ini").length
    return tuple(
        FrameTruth(
            one[:, 1].astype(np.int64),
            one[:, 2:6],
            ((one[:, 6] > 0) & (one[:, 7] == PEDESTRIAN) & (one[:, 8] >= LEAST_VISIBILITY)).astype(np.int64),
            one[:, 7].astype(np.int64),
        )
        for one in by_frame(rows, last - length + 1, last)
    )


def _result(recording: Recording, number: int, tracks: Tracks, stride: int) -> FrameResult:
    """The message that the worker would publish of a frame."""
    at_ns = round(number / recording.fps * 1e9)
    origin = "predicted" if number % stride else "detected"
    return FrameResult(
        fleet="mot17",
        camera_id=recording.name,
        session_id="1",
        frame_id=number,
        pts_s=number / recording.fps,
        captured_at_ns=10**18 + at_ns,
        capture_clock="file",
        published_at_ns=10**18 + at_ns,
        age_ms=0.0,
        frame_wh=recording.picture_wh,
        origin=origin,
        filled_because="stride" if number % stride else None,
        stride=stride,
        lost={},
        counts=Counts(decoded=number + 1, detected=number // stride + 1, filled={}, lost={}),
        latency_ms={},
        tracks=tuple(_box(tracks, i) for i in range(len(tracks))),
    )


def _box(tracks: Tracks, i: int) -> TrackedBox:
    left, top, right, bottom = (float(edge) for edge in tracks.xyxy[i])
    a, b, c, d = (float(speed) for speed in tracks.velocity_px_s[i])
    return TrackedBox(
        track_id=int(tracks.track_id[i]),
        class_id=0,
        class_name="person",
        score=float(tracks.score[i]),
        xyxy=(left, top, right, bottom),
        origin=Origin(int(tracks.origin[i])).name.lower(),  # type: ignore[arg-type]
        since_detected_ms=1000 * float(tracks.since_detected_s[i]),
        uncertainty_px=float(tracks.uncertainty_px[i]),
        velocity_px_s=(a, b, c, d),
        uncertainty_px_s=float(tracks.uncertainty_px_s[i]),
    )
