"""What a camera's tracks will do until the detector looks again.

Whatever stays the same until then is worked out once, so that a skipped frame costs a dozen array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.detections import Origin, Tracks
from pipeline.geometry import WidthHeight
from pipeline.track import kalman
from pipeline.track.rows import Floats, Rows


@dataclass(frozen=True, slots=True)
class Outlook:
    """N tracks that may have boxes after the last update.

    Attributes:
        at_s: Stream time of that update, s.
        mean: (4, N): their boxes then, xyxy px.
        velocity: (4, N): how they change, px/s.
        covariance: (3, N), see `kalman`.
        until_s: (N,): when a track is shown for the last time, stream time, s.
        seen_at: (N,): when it was detected last, stream time, s.
        known: What does not change: `track_id`, `score`, `class_id`, `origin` and velocities as they are to be shown.
        limits: (4, 1): right and lower edge of the picture, px, twice.
        clip: Whether to cut boxes off there.
    """

    at_s: float
    mean: Floats
    velocity: Floats
    covariance: Floats
    until_s: Floats
    seen_at: Floats
    known: Tracks
    limits: Floats
    clip: bool

    @classmethod
    def of(cls, rows: Rows, at_s: float, until_s: Floats, picture_wh: WidthHeight, *, clip: bool) -> Outlook:
        """From an update at `at_s`; `until_s` is (N,) as above. Later changes of `rows` do not reach it."""
        shown = rows.shown & ~rows.ended
        chosen, count = rows[shown], int(np.count_nonzero(shown))
        known = Tracks(
            track_id=chosen.track_id,
            xyxy=np.zeros((count, 4), np.float32),
            score=chosen.score.astype(np.float32),
            class_id=chosen.class_id,
            origin=np.full(count, Origin.PREDICTED, np.uint8),
            since_detected_s=np.zeros(count, np.float32),
            uncertainty_px=np.zeros(count, np.float32),
            velocity_px_s=chosen.velocity.T.astype(np.float32),
            uncertainty_px_s=np.sqrt(chosen.covariance[2]).astype(np.float32),
        )
        limits = np.array((*picture_wh, *picture_wh), np.float64)[:, None]
        mean, velocity, covariance = chosen.mean, chosen.velocity, chosen.covariance
        return cls(at_s, mean, velocity, covariance, until_s[shown], chosen.seen_at, known, limits, clip)

    def at(self, at_s: float) -> Tracks:
        """The objects at `at_s`, stream time after the update, s; those that have left the picture are left out."""
        ahead_s = at_s - self.at_s
        boxes = self.mean + self.velocity * ahead_s
        inside = np.minimum(np.maximum(boxes, 0.0), self.limits)
        extends = inside[2:] > inside[:2]
        keep = extends[0] & extends[1]
        keep &= self.until_s >= at_s
        var = kalman.position_var(self.covariance, self.mean[3] - self.mean[1], ahead_s)
        tracks = Tracks(
            track_id=self.known.track_id.copy(),
            xyxy=(inside if self.clip else boxes).T.astype(np.float32),
            score=self.known.score.copy(),
            class_id=self.known.class_id.copy(),
            origin=self.known.origin.copy(),
            since_detected_s=(at_s - self.seen_at).astype(np.float32),
            uncertainty_px=np.sqrt(var).astype(np.float32),
            velocity_px_s=self.known.velocity_px_s.copy(),
            uncertainty_px_s=self.known.uncertainty_px_s.copy(),
        )
        return tracks if keep.all() else tracks[keep]
