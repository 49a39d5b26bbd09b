"""What a rehearsal hears: every frame as a row and its boxes as rows, and every event with when it came."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.burst.listen import Book
from pipeline.burst.listen import Heard as HeardFrames
from pipeline.burst.observed import CameraDepartures
from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.detections import Origin
from pipeline.rehearse.take import BOX, Clip, Take
from pipeline.wire import Event, FrameResult, Message
from pipeline.wire.camera import CameraState

BLOCK = 20_000
"""So many boxes are rows of Python before they become rows of NumPy, a fifth of the memory."""
_ORIGINS = {origin.label: int(origin) for origin in Origin}


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """An event, and the wall time at which it was heard."""

    event: Event
    at_ns: int


@dataclass(slots=True)
class _Log:
    """All frames of one camera, in the order of arrival; `frame` of the boxes counts them."""

    captured_ns: list[int] = field(default_factory=list)
    by_rtcp: list[bool] = field(default_factory=list)
    published_ns: list[int] = field(default_factory=list)
    objects: dict[tuple[str, int], int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    frame_wh: tuple[int, int] = (0, 0)
    rows: list[tuple[int, int, int, int, float, tuple[float, ...]]] = field(default_factory=list)
    blocks: list[NDArray[np.void]] = field(default_factory=list)

    def add(self, result: FrameResult) -> None:
        number = len(self.captured_ns)
        self.captured_ns.append(result.captured_at_ns)
        self.by_rtcp.append(result.capture_clock == "rtcp")
        self.published_ns.append(result.published_at_ns)
        self.frame_wh = result.frame_wh
        for box in result.tracks:
            key = (result.session_id, box.track_id)
            self.rows.append(
                (
                    number,
                    self.objects.setdefault(key, len(self.objects)),
                    self.labels.setdefault(box.class_name, len(self.labels)),
                    _ORIGINS[box.origin],
                    box.score,
                    box.xyxy,
                )
            )
        if len(self.rows) >= BLOCK:
            self._pack()

    def boxes(self) -> NDArray[np.void]:
        self._pack()
        return np.concatenate(self.blocks)

    def _pack(self) -> None:
        self.blocks.append(np.array(self.rows, BOX))
        self.rows.clear()


class Ear:
    """What a rehearsal notes of a fleet. `hear` belongs to one thread; `recent` and `count` may be asked from any."""

    def __init__(self, camera_ids: tuple[str, ...]) -> None:
        """Of these cameras."""
        self._book = Book(camera_ids)
        self._logs = {camera_id: _Log() for camera_id in camera_ids}
        self.events: list[HeardEvent] = []
        self.count = 0

    @property
    def frames(self) -> HeardFrames:
        """What is known of all frames but their boxes."""
        return self._book.heard()

    def recent(self) -> tuple[float, float]:
        """Frames a second and the 95th percentile of ages of late, as the fleet says."""
        return self._book.recent()

    def take(self, camera_id: str, clip: Clip, departures: CameraDepartures) -> Take:
        """What was heard of a camera, by the frames of its recording."""
        log = self._logs[camera_id]
        zero_ns = int(departures.presented_ns[0]) - round(clip.lead_s * NS_PER_S) if len(departures.left_ns) else 0
        frame = clip.frame_at((_presented_ns(log, departures) - zero_ns) / NS_PER_S)
        published_ns = np.zeros(clip.frames, np.int64)
        known = frame >= 0
        published_ns[frame[known]] = np.array(log.published_ns, np.int64)[known]
        boxes = log.boxes()
        boxes = boxes[known[boxes["frame"]]] if len(boxes) else boxes
        boxes["frame"] = frame[boxes["frame"]] if len(boxes) else 0
        ordered = boxes[np.argsort(boxes["frame"], kind="stable")]
        wh = log.frame_wh if min(log.frame_wh) else clip.picture_wh
        return Take(clip, ordered, log.objects, tuple(log.labels), published_ns, zero_ns, wh)

    def hear(self, message: Message) -> None:
        """Note a message."""
        if isinstance(message, Event):
            self.events.append(HeardEvent(message, time.time_ns()))
        elif isinstance(message, FrameResult | CameraState):
            self._book.hear(message)
            if isinstance(message, FrameResult) and message.camera_id in self._logs:
                self._logs[message.camera_id].add(message)
                self.count += 1


def _presented_ns(log: _Log, departures: CameraDepartures) -> NDArray[np.int64]:
    """(N,) which moment each frame shows, by the camera's clock.

    Before its first sender report was heard, a frame has the time of its arrival: it is the last that had left by then.
    """
    captured_ns = np.array(log.captured_ns, np.int64)
    if not len(departures.left_ns) or all(log.by_rtcp):
        return captured_ns
    order = np.argsort(departures.left_ns, kind="stable")
    last = np.searchsorted(departures.left_ns[order], captured_ns + NS_PER_MS, side="right") - 1
    by_arrival = departures.presented_ns[order][np.maximum(last, 0)]
    return np.where(np.array(log.by_rtcp, bool), captured_ns, by_arrival)


def zeros_ns(takes: Mapping[str, Take]) -> dict[str, int]:
    """When each camera's recording began, wall time."""
    return {camera_id: take.zero_ns for camera_id, take in takes.items()}
