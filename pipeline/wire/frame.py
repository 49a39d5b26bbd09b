"""What is known of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec.structs import replace

from pipeline.clock import NS_PER_MS
from pipeline.extras import require
from pipeline.wire.base import CameraMessage, published
from pipeline.wire.box import TrackedBox
from pipeline.wire.values import SCHEMA, CaptureClock, Count, FrameOrigin, Number

if TYPE_CHECKING:
    import numpy as np
    import supervision
    from numpy.typing import NDArray


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a session's frames so far: decoded = detected + filled + the sum of lost.

    Attributes:
        decoded: Frames decoded, this one included.
        detected: Frames the detector ran on.
        filled: Frames it did not run on, by reason: `stride`, `replaced`, `stale`, `corrupt`, ….
        lost: Frames that were never published, by cause.
    """

    decoded: Count
    detected: Count
    filled: dict[str, Count]
    lost: dict[str, Count]


class FrameHeader(CameraMessage, frozen=True, kw_only=True):
    """What is known of one decoded frame besides its objects.

    Attributes:
        session_id: One unbroken stream of a camera; a reconnect opens a new one.
        session: The camera's own number of that stream; a worker that was started again in its midst goes on with the
            same number and another `session_id`.
        frame_id: Counts a session's decoded frames, from 0.
        pts_s: The stream's own time of the frame, seconds.
        captured_at_ns: Wall time of the capture, ns since 1970-01-01 UTC.
        capture_clock: Where `captured_at_ns` comes from.
        published_at_ns: Wall time of the publication, ns since 1970-01-01 UTC.
        age_ms: From capture to publication by the monotonic clock: what the latency goal speaks of.
        frame_wh: Width and height of the source picture, px.
        origin: `detected`: the detector ran on this frame. `predicted`, `interpolated`: it did not and the tracker
            filled in. `skipped`: it did not, and there is no detection young enough to fill in from.
        filled_because: Why the detector did not run; None where it did.
        detection_age_ms: From the capture of the newest detected frame of this session to the publication of this one;
            None before the first.
        stride: Every how many frames the detector is offered one.
        lost: Frames lost since the last message of this camera, by cause.
        counts: Totals of the session.
        latency_ms: Milliseconds by stage, which add up to the age: `capture`, `decode`, `slot`, `detect`, `publish`;
            a frame without a detection has no `slot` and no `detect`.
    """

    session_id: str
    session: Count = 0
    frame_id: Count
    pts_s: Number
    captured_at_ns: Count
    capture_clock: CaptureClock
    published_at_ns: Count
    age_ms: Number
    frame_wh: tuple[Count, Count]
    origin: FrameOrigin
    filled_because: str | None
    detection_age_ms: Number | None = None
    stride: Count
    lost: dict[str, Count]
    counts: Counts
    latency_ms: dict[str, Number]


@published
class FrameResult(FrameHeader, frozen=True, kw_only=True):
    """What is known of one decoded frame.

    The arrays are made anew each time they are asked for, row i of each for `tracks[i]`.

    Attributes:
        tracks: The objects in the frame.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "detections"

    tracks: tuple[TrackedBox, ...]
    schema: int = SCHEMA

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 4) float32: left, top, right, bottom in pixels of the source picture."""
        import numpy as np

        return np.array([box.xyxy for box in self.tracks], np.float32).reshape(-1, 4)

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,) float32 in 0..1, of the last detection."""
        import numpy as np

        return np.array([box.score for box in self.tracks], np.float32)

    @property
    def class_ids(self) -> NDArray[np.int32]:
        """(N,) int32: indices into the model's class names."""
        import numpy as np

        return np.array([box.class_id for box in self.tracks], np.int32)

    @property
    def track_ids(self) -> NDArray[np.int64]:
        """(N,) int64, from 1; they mean something within (camera_id, session_id) only."""
        import numpy as np

        return np.array([box.track_id for box in self.tracks], np.int64)

    def at(self, time_ns: int) -> FrameResult:
        """What this frame says of a later moment, such as `time.time_ns()`: its objects, carried there.

        Each box moves on by its velocity, is `predicted` and less certain; those that have left the picture are left
        out, and those that were last detected more than a second before. What is said of the frame itself stays. Before
        its capture nothing else is known than on the frame.

        Args:
            time_ns: Wall time of the machine that asks, ns since 1970-01-01 UTC. Where that is not the fleet's, the two
                clocks have to agree.
        """
        ahead_ms = self.age_ms + (time_ns - self.published_at_ns) / NS_PER_MS
        if ahead_ms <= 0:
            return self
        boxes = [box.carried(ahead_ms, self.frame_wh) for box in self.tracks]
        return replace(self, tracks=tuple([box for box in boxes if box is not None]))

    def to_dict(self) -> dict[str, Any]:
        """What JSON and databases take: the keys of the wire, with lists, dicts, numbers and texts."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_supervision(self) -> supervision.Detections:
        """The objects as `supervision` has them, for its annotators, zones and the like.

        `xyxy`, `confidence`, `class_id` and `tracker_id` are the arrays above; `data` has `class_name`, `origin` and
        `since_detected_ms`, each (N,). A skipped frame gives none, as an empty one does: look at `origin` first.

        Raises:
            PipelineError: It is not installed.
        """
        require("supervision", "to_supervision()")
        import numpy as np
        from supervision import Detections

        return Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.class_ids,
            tracker_id=self.track_ids,
            data={
                "class_name": np.array([box.class_name for box in self.tracks], np.str_),
                "origin": np.array([box.origin for box in self.tracks], np.str_),
                "since_detected_ms": np.array([box.since_detected_ms for box in self.tracks], np.float32),
            },
        )
