"""The samples over RTSP, before, in and after a burst: what is published, and the truth of the same moments."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from passages.played import ROOT, Played
from pipeline.burst.lab import Lab, Record
from pipeline.burst.load import load_scenario
from pipeline.burst.plan import Plan
from pipeline.clock import NS_PER_S
from pipeline.evaluate.ground_truth import read_ground_truth
from pipeline.evaluate.mot import Sequence as Recording
from pipeline.wire import CameraState, FrameResult

SCENARIO = ROOT / "configs/scenarios/six-by-25.yaml"
PHASES = 3
"""Six cameras, a burst of eighteen, six again; where cameras are twice as fast, their recordings have another time."""
FITS = 60
"""Detected frames by which it is found out where in its recording a camera is."""
EDGE_S = 1.0
"""Of a phase, at both ends: what passes there belongs to two."""


def under_burst(keep: Path | None) -> Iterator[tuple[str, dict[str, Played]]]:
    """Each phase by its name, with the cameras that were there; kept results are taken from `keep`."""
    plan = load_scenario(SCENARIO)
    plan = replace(plan, scenario=plan.scenario.model_copy(update={"phases": plan.scenario.phases[:PHASES]}))
    spans, results = _run(plan, keep)
    few = {name: count for name, found in results.items() if (count := _detections(found)) <= FITS}
    if few:
        print(f"left out, for the detector came too seldom: {', '.join(f'{name} ({n})' for name, n in few.items())}")
    placed = {
        name: _placed(read_ground_truth(ROOT / "samples/ground_truth" / _shows(plan, name)).sequence, found)
        for name, found in results.items()
        if name not in few
    }
    for name, (begin_s, end_s) in spans.items():
        there = {
            camera_id: replace(
                one, spans_s=((max(begin_s, _wall_s(one.results[0])) - zero_s + EDGE_S, end_s - zero_s - EDGE_S),)
            )
            for camera_id, (zero_s, one) in placed.items()
            if _wall_s(one.results[0]) < begin_s + EDGE_S + plan.scenario.warmup_s
            and _wall_s(one.results[-1]) > begin_s
        }
        yield name, there


def _run(plan: Plan, keep: Path | None) -> tuple[dict[str, tuple[float, float]], dict[str, list[FrameResult]]]:
    """When each phase began and ended, wall s, and every published frame by camera."""
    kept = keep / "burst.msgpack" if keep else None
    form = tuple[dict[str, tuple[float, float]], dict[str, list[FrameResult]]]
    if kept and kept.exists():
        return msgspec.msgpack.decode(kept.read_bytes(), type=form)
    results: dict[str, list[FrameResult]] = defaultdict(list)

    def hear(message: FrameResult | CameraState) -> None:
        if isinstance(message, FrameResult):
            results[message.camera_id].append(message)

    with tempfile.TemporaryDirectory(prefix="burst") as folder:
        record = Lab(plan, Path(folder), print, hear).run()
    found = _spans(record), dict(results)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.msgpack.encode(found))
    return found


def _detections(results: Sequence[FrameResult]) -> int:
    return sum(one.origin == "detected" for one in results)


def _spans(record: Record) -> dict[str, tuple[float, float]]:
    zero_s = record.zero_wall_ns / NS_PER_S - record.zero_s
    return {one.phase.name: (one.start_s + zero_s, one.end_s + zero_s) for one in record.timings}


def _shows(plan: Plan, camera_id: str) -> str:
    """The name of the recording that a camera shows; they take turns."""
    return plan.recordings[plan.camera_ids.index(camera_id) % len(plan.recordings)].stem


def _wall_s(result: FrameResult) -> float:
    return result.captured_at_ns / NS_PER_S


def _placed(recording: Recording, results: Sequence[FrameResult]) -> tuple[float, Played]:
    """When its recording began, wall s, and its frames by the recording's time, over as many turns as there were."""
    first = _first_frame(recording, results)
    zero_s = _wall_s(results[0]) - first / recording.fps
    turns = int((_wall_s(results[-1]) - zero_s) * recording.fps / len(recording)) + 1
    moved = [msgspec.structs.replace(one, pts_s=_wall_s(one) - zero_s) for one in results]
    return zero_s, Played(_over_and_over(recording, turns), moved)


def _first_frame(recording: Recording, results: Sequence[FrameResult]) -> int:
    """Which frame of its recording was published first: that by which the boxes lie best on the truth."""
    detected = [one for one in results if one.origin == "detected" and len(one.tracks)]
    some = detected[:: max(1, len(detected) // FITS)]
    fits = np.zeros(len(recording))
    for one in some:
        later = round((_wall_s(one) - _wall_s(results[0])) * recording.fps)
        on = np.array([_overlap(one.boxes, truth.ltwh) for truth in recording.truth])
        fits += np.roll(on, -later)
    return int(fits.argmax())


def _overlap(xyxy: np.ndarray, ltwh: np.ndarray) -> float:
    """The mean of each box's best IoU with the truth."""
    return float(_ious(xyxy, ltwh).max(axis=1, initial=0.0).mean()) if len(ltwh) else 0.0


def _ious(xyxy: np.ndarray, ltwh: np.ndarray) -> np.ndarray:
    """(N, M) of (N, 4) and (M, 4) boxes."""
    other = np.hstack([ltwh[:, :2], ltwh[:, :2] + ltwh[:, 2:]])
    low, high = np.maximum(xyxy[:, None, :2], other[:, :2]), np.minimum(xyxy[:, None, 2:], other[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    size = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    return both / (size[:, None] + ltwh[:, 2:].prod(axis=1) - both)


def _over_and_over(recording: Recording, turns: int) -> Recording:
    """Many turns of it: who walks out of its last frame is who stands there in the first one of the next turn."""
    end, begin = recording.truth[-1], recording.truth[0]
    overlap = _ious(np.hstack([end.ltwh[:, :2], end.ltwh[:, :2] + end.ltwh[:, 2:]]), begin.ltwh)
    follows = {
        int(begin.object_id[k]): int(end.object_id[overlap[:, k].argmax()])
        for k in range(len(begin.object_id))
        if overlap[:, k].max(initial=0.0) > 0.5
    }
    truth, names, fresh = list(recording.truth), {}, 1_000_000
    for turn in range(1, turns):
        before, names = names, {}
        for object_id in sorted({int(one) for frame in recording.truth for one in frame.object_id}):
            last = follows.get(object_id)
            names[object_id] = before.get(last, last) if last is not None else turn * fresh + object_id
        truth += [
            replace(frame, object_id=np.array([names[int(one)] for one in frame.object_id], np.int64))
            for frame in recording.truth
        ]
    return replace(recording, truth=tuple(truth))
