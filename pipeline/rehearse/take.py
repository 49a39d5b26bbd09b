"""What one run, or the truth, shows of a camera: boxes by the frames of its recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.clock import NS_PER_S
from pipeline.detections import Tracks
from pipeline.geometry import Boxes, WidthHeight
from pipeline.replay.recording import Recording
from pipeline.rtsp.rtp import CLOCK_HZ

BOX = np.dtype(
    [
        ("frame", "i4"),
        ("object", "i4"),
        ("label", "i2"),
        ("origin", "u1"),
        ("score", "f4"),
        ("xyxy", "f4", (4,)),
    ]
)
"""A box: number of its frame, of its object, of its class; how it came to be (`Origin`); score; px of the picture."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording as it is played.

    Attributes:
        file: What is played.
        times_s: (F,) when each frame is shown, ascending from 0.
        lead_s: When the first picture that is sent is shown: 0, but where the recording begins with a later one.
        picture_wh: Size as it is coded, px.
    """

    file: Path
    times_s: NDArray[np.float64]
    lead_s: float
    picture_wh: WidthHeight

    @classmethod
    def read(cls, file: Path) -> Clip:
        """Look through a recording; nothing is decoded.

        Raises:
            ReplayError: It cannot be replayed.
        """
        recording = Recording(file)
        try:
            shown = [unit.pts for unit in recording.access_units()]
            wh = recording.size_wh
        finally:
            recording.close()
        times_s = (np.sort(np.array(shown, np.int64)) - min(shown)) / CLOCK_HZ
        return cls(file, times_s, (shown[0] - min(shown)) / CLOCK_HZ, wh)

    @property
    def frames(self) -> int:
        """How many it has."""
        return len(self.times_s)

    @property
    def fps(self) -> float:
        """Frames a second, in the mean."""
        return (self.frames - 1) / float(self.times_s[-1]) if self.frames > 1 and self.times_s[-1] > 0 else 25.0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.times_s[-1]) + 1 / self.fps

    def frame_at(self, at_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """(N,) the frame that is nearest to each time; -1 where none is within half a frame."""
        after = np.clip(np.searchsorted(self.times_s, at_s), 1, max(1, self.frames - 1))
        before = after - 1
        after = np.minimum(after, self.frames - 1)
        nearer = np.abs(self.times_s[after] - at_s) < np.abs(self.times_s[before] - at_s)
        found = np.where(nearer, after, before)
        return np.where(np.abs(self.times_s[found] - at_s) <= 0.5 / self.fps, found, -1)


@dataclass(frozen=True, slots=True)
class Take:
    """A camera in one run, or in truth.

    Attributes:
        clip: Its recording.
        boxes: (N,) of dtype BOX, in order of their frames.
        objects: Number of each object, by what it is called in events: session and track.
        labels: What `label` is an index of.
        published_ns: (F,) int64 wall time at which each frame's boxes were published; 0 where they never were.
        zero_ns: Wall time of the frame that is shown first.
        frame_wh: Size of the upright picture, px.
        edges: (F + 1,) where the boxes of each frame begin, and where those of the last one end.
    """

    clip: Clip
    boxes: NDArray[np.void]
    objects: Mapping[tuple[str, int], int]
    labels: tuple[str, ...]
    published_ns: NDArray[np.int64]
    zero_ns: int
    frame_wh: WidthHeight
    edges: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        edges = np.searchsorted(self.boxes["frame"], np.arange(self.clip.frames + 1))
        object.__setattr__(self, "edges", edges)

    def on(self, frame: int) -> NDArray[np.void]:
        """(K,) the boxes of a frame."""
        return self.boxes[self.edges[frame] : self.edges[frame + 1]]

    def path(self, key: tuple[str, int], around_s: float, within_s: float) -> dict[int, Boxes]:
        """Where an object is on each frame about a time: (4,) float32 by frame; nothing of one that is not known."""
        number = self.objects.get(key)
        if number is None:
            return {}
        first, last = np.searchsorted(self.clip.times_s, (around_s - within_s, around_s + within_s))
        own = self.boxes[self.edges[first] : self.edges[last]]
        own = own[own["object"] == number]
        return dict(zip(own["frame"].tolist(), own["xyxy"], strict=True))

    def tracks(self, frame: int, numbers: Mapping[str, int]) -> Tracks:
        """A frame's boxes for scoring, `class_id` by `numbers` of the classes' names; others are left out."""
        found = self.on(frame)
        wanted = np.array([numbers.get(label, 0) for label in self.labels], np.int32)
        class_id = wanted[found["label"]] if len(self.labels) else np.zeros(0, np.int32)
        found, class_id = found[class_id > 0], class_id[class_id > 0]
        nothing = np.zeros(len(found), np.float32)
        return Tracks.of(
            track_id=found["object"].astype(np.int64) + 1,
            xyxy=np.ascontiguousarray(found["xyxy"]).reshape(-1, 4),
            score=found["score"].astype(np.float32),
            class_id=class_id,
            origin=found["origin"].astype(np.uint8),
            since_detected_s=nothing,
            uncertainty_px=nothing,
            velocity_px_s=np.zeros((len(found), 4), np.float32),
            uncertainty_px_s=nothing,
        )

    @property
    def captured_ns(self) -> NDArray[np.int64]:
        """(F,) wall time at which each frame was captured, or would have been."""
        return self.zero_ns + np.rint(self.clip.times_s * NS_PER_S).astype(np.int64)
