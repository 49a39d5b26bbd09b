"""Streaming accuracy: at each moment the newest boxes that a consumer holds, against the truth of that very moment.

Latency and accuracy in one number (Li, Wang, Ramanan: Towards Streaming Perception, ECCV 2020, arXiv:2005.10420): boxes
that were right and come late are wrong here, and so are those that are in time and wrong. A moment is the capture of a
frame. Nobody can hold boxes of that frame yet, so even a perfect detector that takes no time is a frame behind, unless
boxes are carried to the present.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.detections import Detections, Tracks
from pipeline.evaluate.ground_truth import GroundTruth
from pipeline.evaluate.play import Heard
from pipeline.evaluate.precision import mean_percent, precision
from pipeline.evaluate.run import as_tracks, require_fit
from pipeline.evaluate.score import score
from pipeline.wire import FrameResult

Held = list[Tracks]
"""What a consumer holds of a camera at each moment; `class_id` counts the ground truth's labels from 1."""


@dataclass(frozen=True, slots=True)
class Streaming:
    """Percent: average precision at IoU 0.5 and over 0.5 to 0.95, mean of the classes; HOTA whatever the class."""

    sap50: float
    sap: float
    shota: float

    def as_dict(self) -> dict[str, float]:
        """The scores under their common names."""
        return {"sAP50": self.sap50, "sAP": self.sap, "sHOTA": self.shota}


@dataclass(frozen=True, slots=True)
class Streamed:
    """A whole run.

    Attributes:
        published: All cameras, boxes as they were published.
        present: All cameras, boxes carried to the moment by their velocity (`FrameResult.at`).
        cameras: Both of each camera.
        detected_hz: Frames detected a second, of all cameras together.
        held_p50_ms: How old the newest boxes are that are held, median over all moments.
        held_p95_ms: What 95 of 100 stay below.
        left_out: Boxes of classes that the ground truth does not know, by name; they count for nothing.
    """

    published: Streaming
    present: Streaming
    cameras: Mapping[str, tuple[Streaming, Streaming]]
    detected_hz: float
    held_p50_ms: float
    held_p95_ms: float
    left_out: Mapping[str, int]


def score_streaming(
    grounds: Mapping[str, GroundTruth], heard: Mapping[str, Sequence[Heard]], settle_s: float
) -> Streamed:
    """What a consumer had of a run, of all cameras in `grounds`; the first `settle_s` seconds count for nothing.

    Raises:
        EvaluationError: A recording and its ground truth do not belong together, no box is of a class that the ground
            truth knows, or it cannot be scored.
    """
    results = {camera_id: [one.result for one in frames] for camera_id, frames in heard.items()}
    left_out = require_fit(grounds, results)
    first = {name: min(round(settle_s * g.sequence.fps), len(g.sequence) - 1) for name, g in grounds.items()}
    views = {name: _View.of(ground, heard[name], first[name]) for name, ground in grounds.items()}
    judged = {name: _from(ground, first[name]) for name, ground in grounds.items()}
    published, of_published = score_held(judged, {name: view.held(carried=False) for name, view in views.items()})
    present, of_present = score_held(judged, {name: view.held(carried=True) for name, view in views.items()})
    ages_ms = np.concatenate([view.ages_ms for view in views.values()])
    p50_ms, p95_ms = np.percentile(ages_ms, (50, 95)) if len(ages_ms) else (np.nan, np.nan)
    return Streamed(
        published,
        present,
        {name: (of_published[name], of_present[name]) for name in grounds},
        sum(_detected_hz(frames) for frames in results.values()),
        float(p50_ms),
        float(p95_ms),
        left_out,
    )


def score_held(grounds: Mapping[str, GroundTruth], held: Mapping[str, Held]) -> tuple[Streaming, dict[str, Streaming]]:
    """Of all cameras together, and of each, what was held at each moment of its ground truth.

    Raises:
        EvaluationError: TrackEval or faster-coco-eval is not installed, or TrackEval refuses the ground truth.
    """
    sequences = [ground.of_class(None) for ground in grounds.values()]
    combined, single = score(sequences, [held[name] for name in grounds])
    of_camera = {
        name: Streaming(*_precisions([ground], [held[name]]), scores.hota)
        for (name, ground), scores in zip(grounds.items(), single, strict=True)
    }
    together = _precisions(list(grounds.values()), [held[name] for name in grounds])
    return Streaming(*together, combined.hota), of_camera


@dataclass(frozen=True, slots=True)
class _View:
    """What a consumer holds of a camera: at each moment the newest frame, or None before the first."""

    moments_ns: NDArray[np.int64]
    newest: Sequence[FrameResult | None]
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, ground: GroundTruth, heard: Sequence[Heard], first: int) -> _View:
        """At each frame of the ground truth from `first` on."""
        moments_ns = _captures_ns(heard, len(ground.sequence))[first:]
        come_ns = [one.at_ns for one in heard]
        indices = [bisect_left(come_ns, moment_ns) - 1 for moment_ns in moments_ns]
        newest = [heard[index].result if index >= 0 else None for index in indices]
        return cls(moments_ns, newest, {label: number for number, label in enumerate(ground.labels, start=1)})

    def held(self, *, carried: bool) -> Held:
        """The boxes; carried to the moment or as they were published."""
        pairs = zip(self.moments_ns.tolist(), self.newest, strict=True)
        shown = (result.at(moment_ns) if result and carried else result for moment_ns, result in pairs)
        return [Tracks.empty() if result is None else as_tracks(result.tracks, self.numbers) for result in shown]

    @property
    def ages_ms(self) -> NDArray[np.float64]:
        """How long before each moment the frame was captured whose boxes are held."""
        pairs = zip(self.moments_ns.tolist(), self.newest, strict=True)
        return np.array([(moment_ns - held.captured_at_ns) / NS_PER_MS for moment_ns, held in pairs if held])


def _captures_ns(heard: Sequence[Heard], frames: int) -> NDArray[np.int64]:
    """When each frame of a recording was due; of those that were lost, by their neighbours."""
    known = [one.result.frame_id for one in heard]
    began_ns = heard[0].result.captured_at_ns
    since_ns = np.interp(np.arange(frames), known, [one.result.captured_at_ns - began_ns for one in heard])
    return began_ns + np.rint(since_ns).astype(np.int64)


def _from(ground: GroundTruth, first: int) -> GroundTruth:
    return replace(ground, sequence=replace(ground.sequence, truth=ground.sequence.truth[first:]))


def _precisions(grounds: Sequence[GroundTruth], held: Sequence[Held]) -> tuple[float, float]:
    """At IoU 0.5, and over 0.5 to 0.95."""
    truths = [ground.on(number) for ground in grounds for number in range(len(ground.sequence))]
    found = [
        Detections(tracks.xyxy, tracks.score, tracks.class_id - np.int32(1)) for frames in held for tracks in frames
    ]
    curves = precision(truths, found, len(grounds[0].labels))
    return mean_percent(curves[0]), mean_percent(curves)


def _detected_hz(results: Sequence[FrameResult]) -> float:
    last = results[-1]
    span_s = (last.captured_at_ns - results[0].captured_at_ns) / NS_PER_S
    return last.counts.detected / span_s if span_s > 0 else 0.0
