"""Single steps done again, one at a time, with what the fleet itself works on: what threads share is split by these.

They run after the measurement and while the fleet goes on, so that they are as dear as there (cold caches, cores that
share theirs), in threads that stand back behind everything of the fleet (`priority`). What is counted is
the thread's CPU time, which does not grow while it waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

import msgspec
import numpy as np

from pipeline.bench.decode import measure_decode
from pipeline.bench.figures import CameraCost
from pipeline.config.camera import Camera
from pipeline.config.values import Fleet
from pipeline.detections import Detections
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.plan import camera_plan
from pipeline.profile.figures import Alone
from pipeline.track.drift import WatchedTracker
from pipeline.track.tracker import Tracker
from pipeline.wire import CameraState, FrameResult, encode
from pipeline.worker.channel import tracker_config

MOST_OPENED = 6
"""Cameras that are opened a second time, spread over the kinds there are; one after another, because several at once
compete with the detector's threads although they stand back."""
LAYS = 50


def repeat_steps(messages: list[FrameResult], fleet: Fleet, input_wh: WidthHeight) -> Alone:
    """What the worker's steps take, ms of CPU time each; blocks for a second at most.

    Args:
        messages: Heard from the fleet.
        fleet: Whose cameras.
        input_wh: The model's input, px.
    """
    update_s, predict_s = _track(messages, fleet)
    encode_s = [_spent_s(lambda message=message: encode(message)) for message in messages]  # type: ignore[misc]
    frame_wh = messages[-1].frame_wh if messages else (0, 0)
    return Alone(
        boxes=round(_mean([len(message.tracks) for message in messages]), 1),
        update_ms=_ms(update_s),
        predict_ms=_ms(predict_s),
        encode_ms=_ms(encode_s),
        lay_ms=_ms(_lay(frame_wh, input_wh)) if messages else 0.0,
    )


def measure_cameras(
    cameras: Mapping[str, Camera],
    states: Mapping[str, CameraState],
    input_wh: WidthHeight,
    seconds: float,
    done: Callable[[CameraCost], None],
) -> dict[str, CameraCost]:
    """What receiving, decoding and resizing cost, for each camera that could be opened a second time; blocks.

    Args:
        cameras: By name.
        states: What each said of itself: cameras of one codec and size are taken for alike.
        input_wh: The model's input, px.
        seconds: How long each is measured.
        done: Called with each as it is known; for progress.
    """
    chosen = [cameras[camera_id] for camera_id in choose(cameras, states)]
    if not chosen:
        return {}
    costs = measure_decode(chosen, input_wh, seconds, done, at_once=1)
    return {cost.camera_id: cost for cost in costs}


def choose(cameras: Mapping[str, Camera], states: Mapping[str, CameraState]) -> list[str]:
    """Which are opened again: at most `MOST_OPENED` of those that can be, each kind's turn in turn."""
    able = [name for name in cameras if name in states and cameras[name].url.kind in ("network", "file")]
    ranked = [
        (rank, name)
        for _, alike in groupby(
            sorted(able, key=lambda name: kind_of(states[name])), lambda name: kind_of(states[name])
        )
        for rank, name in enumerate(alike)
    ]
    chosen = {name for _, name in sorted(ranked)[:MOST_OPENED]}
    return [name for name in able if name in chosen]


def kind_of(state: CameraState) -> tuple[str, WidthHeight]:
    """What makes cameras alike: codec and picture size."""
    return state.codec, state.frame_wh


def mean_cost(costs: Iterable[CameraCost]) -> CameraCost | None:
    """The mean of those that are known; None of none."""
    known = [cost for cost in costs if not cost.error]
    if not known:
        return None
    return msgspec.structs.replace(
        known[0],
        decode_ms=_mean([cost.decode_ms for cost in known]),
        receive_ms=_mean([cost.receive_ms for cost in known]),
        scale_ms=_mean([cost.scale_ms for cost in known]),
    )


def _track(messages: list[FrameResult], fleet: Fleet) -> tuple[list[float], list[float]]:
    """Each session's messages through a tracker of its own: seconds of each update, and of each prediction."""
    update_s, predict_s = list[float](), list[float]()
    by_session: dict[tuple[str, str], list[FrameResult]] = {}
    for message in messages:
        by_session.setdefault((message.camera_id, message.session_id), []).append(message)
    for (camera_id, _), frames in by_session.items():
        plan = camera_plan(fleet.cameras[camera_id])
        watches = WatchedTracker if plan.stride.by_content else Tracker
        tracker = watches(tracker_config(plan), frames[0].frame_wh)
        for frame in frames:
            at_s = frame.pts_s
            if frame.origin == "detected":
                found = _detections(frame)
                update_s.append(_spent_s(lambda: tracker.update(found, at_s)))  # noqa: B023  called at once
            elif update_s:
                predict_s.append(_spent_s(lambda: tracker.predict(at_s)))  # noqa: B023  called at once
    return update_s, predict_s


def _detections(frame: FrameResult) -> Detections:
    """What the detector may have seen: the boxes that it is behind."""
    seen = np.array([box.origin == "detected" for box in frame.tracks], np.bool_)
    return Detections(frame.boxes, frame.scores, frame.class_ids)[seen]


def _lay(frame_wh: WidthHeight, input_wh: WidthHeight) -> list[float]:
    """A picture's copy into a lane's input."""
    width, height = Letterbox.fit(frame_wh, input_wh).content_wh
    source = np.zeros((height, width, 3), np.uint8)
    target = np.zeros((input_wh[1], input_wh[0], 3), np.uint8)

    def lay() -> None:
        target[:height, :width] = source

    return [_spent_s(lay) for _ in range(LAYS)]


def _spent_s(step: Callable[[], object]) -> float:
    began_s = time.thread_time()
    step()
    return time.thread_time() - began_s


def _ms(times_s: list[float]) -> float:
    return round(1000 * _mean(times_s), 4)


def _mean(values: list[float] | list[int]) -> float:
    return float(np.mean(values)) if values else 0.0
