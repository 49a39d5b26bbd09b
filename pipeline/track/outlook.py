"""What cameras' tracks will do until the detector looks again.

Whatever stays the same until then is worked out once, and frames of many cameras are worked out together: a frame that
was skipped is worth two array operations then, not two dozen, and these cost the same for five boxes and for fifty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Origin, Tracks
from pipeline.geometry import WidthHeight
from pipeline.track import kalman
from pipeline.track.rows import Floats, Rows

# The first twelve lines are as in `Tracks.figures`.
_BOX, _SINCE, _UNCERTAINTY, _VELOCITY, _SHOWN = slice(0, 4), 5, 6, slice(8, 12), slice(0, 12)
_MEAN, _COURSE, _LIMITS = slice(12, 16), slice(16, 20), slice(20, 24)
_FROM, _SEEN_AT, _UNTIL, _LINES = 24, 25, 26, 27


@dataclass(frozen=True, slots=True)
class Outlook:
    """N tracks, of one camera or of several, that may have boxes after their last update.

    Attributes:
        table: (27, N) float64: what is shown and does not change, the boxes at the update, how their variance goes on,
            the picture's edges, the time of the update, when a track was detected last, and until when it is shown.
        names: (3, N) int64, as in `Tracks`.
        clip: Whether to cut boxes off at the picture's edges.
    """

    table: Floats
    names: NDArray[np.int64]
    clip: bool

    def __len__(self) -> int:
        return self.table.shape[1]

    @classmethod
    def of(cls, rows: Rows, at_s: float, until_s: Floats, picture_wh: WidthHeight, *, clip: bool) -> Outlook:
        """From an update at `at_s`, stream time, s. Later changes of `rows` do not reach it.

        Args:
            rows: The tracks.
            at_s: When they were updated.
            until_s: (N,): when each is shown for the last time.
            picture_wh: The picture, px.
            clip: Whether to cut boxes off at its edges.
        """
        shown = rows.shown & ~rows.ended
        if not shown.all():
            rows, until_s = rows[shown], until_s[shown]
        table = np.empty((_LINES, len(rows)))
        mean = rows.mean
        table[_SHOWN] = rows.figures(rows.seen_at)
        table[_MEAN], table[_VELOCITY] = mean, rows.velocity
        table[_COURSE] = kalman.position_course(rows.covariance, mean[3] - mean[1])
        table[_LIMITS] = np.array((*picture_wh, *picture_wh), np.float64)[:, None]
        table[_FROM], table[_SEEN_AT], table[_UNTIL] = at_s, rows.seen_at, until_s
        names = np.full((3, len(rows)), Origin.PREDICTED, np.int64)
        names[:2] = rows.names
        return cls(table, names, clip)

    @classmethod
    def together(cls, some: Sequence[Outlook]) -> Outlook:
        """All of them, one behind the other; all clip, or none."""
        if len(some) == 1:
            return some[0]
        table = np.concatenate([one.table for one in some], axis=1)
        return cls(table, np.concatenate([one.names for one in some], axis=1), some[0].clip)

    def at(self, at_s: Floats) -> tuple[Tracks, NDArray[np.bool_]]:
        """All tracks at `at_s` (N,), stream time after their updates, s, and which of them have boxes there (N,).

        Those that have left the picture have none, and those that have not been seen for too long.
        """
        table = self.table
        ahead_s = at_s - table[_FROM]
        boxes = table[_VELOCITY] * ahead_s
        boxes += table[_MEAN]
        inside = np.minimum(np.maximum(boxes, 0.0), table[_LIMITS])
        extends = inside[2:] > inside[:2]
        shown = extends[0] & extends[1]
        shown &= table[_UNTIL] >= at_s
        var, linear, square, cube = table[_COURSE]
        var = var + ahead_s * (linear + ahead_s * (square + ahead_s * cube))
        figures = table[_SHOWN].astype(np.float32)
        figures[_BOX] = inside if self.clip else boxes
        figures[_SINCE] = at_s - table[_SEEN_AT]
        figures[_UNCERTAINTY] = np.sqrt(var)
        return Tracks(self.names.copy(), figures), shown


@dataclass(frozen=True, slots=True)
class Ahead:
    """The objects of a frame at `at_s`, stream time, s, as they are foreseen; worked out when they are asked for."""

    outlook: Outlook
    at_s: float


def foreseen(frames: Sequence[Ahead]) -> list[Tracks]:
    """The objects on these frames, worked out together."""
    counts = [len(frame.outlook) for frame in frames]
    ends = list(accumulate(counts))
    if not ends or not ends[-1]:
        return [Tracks.empty() for _ in frames]
    at_s = np.repeat(np.array([frame.at_s for frame in frames]), counts)
    tracks, shown = Outlook.together([frame.outlook for frame in frames]).at(at_s)
    if not shown.all():
        tracks = tracks[shown]
        ends = [0, *shown.cumsum().tolist()]
        ends = [ends[end] for end in accumulate(counts)]
    return [tracks[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
