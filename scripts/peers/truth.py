"""What a consumer held at the departure of each frame, against what the cameras showed at that moment.

As `camfleet evaluate streaming`, for any system: the newest boxes that were there before a frame left are judged
against that frame's truth, as they were, and carried to that moment by the velocity that the system tells, or else by
that of an object's last two boxes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Origin, Tracks
from pipeline.evaluate.ground_truth import GroundTruth
from pipeline.evaluate.streaming import Streaming, score_held

NS_PER_S = 1_000_000_000
LONGEST_S = 1.0
"""Boxes are carried no further, whoever made them."""
TRACK_ID, FIRST_SPEED = 6, 7


@dataclass(frozen=True, slots=True)
class Held:
    """What a consumer had of a frame.

    Attributes:
        number: The frame's.
        left_ns: When the frame left its camera.
        come_ns: When its boxes were there.
        boxes: (N, 7): left, top, right, bottom, score, class id, track id.
        speeds: (N, 4): px/s of the four edges.
    """

    number: int
    left_ns: int
    come_ns: int
    boxes: NDArray[np.float64]
    speeds: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Streamed:
    """A run: boxes as they came, and carried to the moment; how old those are that are held, ms."""

    published: Streaming
    present: Streaming
    held_p50_ms: float
    held_p95_ms: float


def streamed(answer: dict[str, Any], departures: NDArray[np.int64], grounds: Sequence[GroundTruth]) -> Streamed:
    """The scores of a consumer's answer.

    Args:
        answer: What `Window.write` wrote, boxes included.
        departures: (N, 3) int64: camera, frame number, monotonic ns.
        grounds: What each camera shows, over and over.
    """
    began_ns, until_ns = answer["from_ns"], answer["from_ns"] + round(answer["seconds"] * NS_PER_S)
    judged, as_come, carried, ages_ms = {}, {}, {}, []
    for camera, ground in enumerate(grounds):
        left = _last_departures(departures, camera)
        notes = _noted(answer, camera, left)
        moments = [(number, at_ns) for number, at_ns in left.items() if began_ns <= at_ns < until_ns]
        newest = _newest(notes, [at_ns for _, at_ns in moments])
        length = len(ground.sequence)
        truth = tuple(ground.sequence.truth[number % length] for number, _ in moments)
        judged[str(camera)] = replace(ground, sequence=replace(ground.sequence, truth=truth))
        as_come[str(camera)] = [_tracks(held, None) for held in newest]
        carried[str(camera)] = [_tracks(held, at_ns) for held, (_, at_ns) in zip(newest, moments, strict=True)]
        ages_ms += [(at_ns - held.left_ns) / 1e6 for held, (_, at_ns) in zip(newest, moments, strict=True) if held]
    p50_ms, p95_ms = np.percentile(ages_ms, (50, 95)) if ages_ms else (np.nan, np.nan)
    return Streamed(score_held(judged, as_come)[0], score_held(judged, carried)[0], float(p50_ms), float(p95_ms))


def _last_departures(departures: NDArray[np.int64], camera: int) -> dict[int, int]:
    """When each frame left, in order; of a camera that was opened again, the last time."""
    rows = departures[departures[:, 0] == camera]
    begins = np.flatnonzero(np.diff(rows[:, 1], prepend=np.iinfo(np.int64).max) < 0)
    rows = rows[begins[-1] :] if len(begins) else rows
    return dict(rows[:, 1:].tolist())


def _noted(answer: dict[str, Any], camera: int, left: dict[int, int]) -> list[Held]:
    """What came of one camera, in order of its coming, and never an older frame after a newer one."""
    notes: list[Held] = []
    for (of_camera, number, come_ns, _), rows in zip(answer["rows"], answer["boxes"], strict=True):
        if of_camera != camera or number not in left or (notes and number <= notes[-1].number):
            continue
        table = np.array(rows, np.float64).reshape(len(rows), -1) if rows else np.zeros((0, FIRST_SPEED))
        boxes = table[:, :FIRST_SPEED]
        if rows and table.shape[1] > FIRST_SPEED:
            speeds = table[:, FIRST_SPEED:]
        else:
            speeds = _by_two_boxes(boxes, left[number], notes[-1] if notes else None)
        notes.append(Held(number, left[number], come_ns, boxes, speeds))
    return notes


def _by_two_boxes(boxes: NDArray[np.float64], left_ns: int, before: Held | None) -> NDArray[np.float64]:
    speeds = np.zeros((len(boxes), 4))
    if before is None or left_ns <= before.left_ns:
        return speeds
    _, now, then = np.intersect1d(boxes[:, TRACK_ID], before.boxes[:, TRACK_ID], return_indices=True)
    seconds = (left_ns - before.left_ns) / NS_PER_S
    speeds[now] = (boxes[now, :4] - before.boxes[then, :4]) / seconds
    return speeds


def _newest(notes: list[Held], moments_ns: list[int]) -> list[Held | None]:
    come_ns = [held.come_ns for held in notes]
    indices = [bisect_left(come_ns, moment_ns) - 1 for moment_ns in moments_ns]
    return [notes[index] if index >= 0 else None for index in indices]


def _tracks(held: Held | None, moment_ns: int | None) -> Tracks:
    """The boxes that are held; carried to a moment, if one is given."""
    if held is None:
        return Tracks.empty()
    ahead_s = 0.0 if moment_ns is None else (moment_ns - held.left_ns) / NS_PER_S
    if ahead_s > LONGEST_S:
        return Tracks.empty()
    boxes, count = held.boxes, len(held.boxes)
    return Tracks.of(
        track_id=boxes[:, TRACK_ID].astype(np.int64),
        xyxy=(boxes[:, :4] + held.speeds * ahead_s).astype(np.float32),
        score=boxes[:, 4].astype(np.float32),
        class_id=boxes[:, 5].astype(np.int32) + 1,
        origin=np.full(count, Origin.PREDICTED if ahead_s else Origin.DETECTED, np.uint8),
        since_detected_s=np.zeros(count, np.float32),
        uncertainty_px=np.zeros(count, np.float32),
        velocity_px_s=held.speeds.astype(np.float32),
        uncertainty_px_s=np.zeros(count, np.float32),
    )
