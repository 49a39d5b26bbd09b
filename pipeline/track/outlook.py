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
from pipeline.track.rows import COVARIANCE, KNOWN, MEAN, SEEN_AT, VELOCITY, Floats, Rows, figures_of

# Behind what is known of the tracks.
_LIMITS, _FROM, _UNTIL, _LINES = slice(KNOWN.stop, KNOWN.stop + 4), KNOWN.stop + 4, KNOWN.stop + 5, KNOWN.stop + 6


@dataclass(frozen=True, slots=True)
class Outlook:
    """N tracks, of one camera or of several, that may have boxes after their last update.

    Attributes:
        table: (27, N) float64: what was known of them then, the picture's right and lower edge, twice, the time of the
            update, and until when each is shown.
        names: (3, N) int64, as in `Tracks`.
        clip: Whether to cut boxes off at the picture's edges.
    """

    table: Floats
    names: NDArray[np.int64]
    clip: bool

    def __len__(self) -> int:
        count: int = self.table.shape[1]
        return count

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
        if np.count_nonzero(shown) < len(shown):
            rows, until_s = rows[shown], until_s[shown]
        table = np.empty((_LINES, len(rows)))
        table[KNOWN] = rows.table[KNOWN]
        table[_LIMITS] = np.array([[*picture_wh, *picture_wh]]).T
        table[_FROM], table[_UNTIL] = at_s, until_s
        names = np.full((3, len(rows)), Origin.PREDICTED, np.int64)
        names[:2] = rows.names
        return cls(table, names, clip)

    @classmethod
    def together(cls, some: Sequence[Outlook]) -> Outlook:
        """A copy of all of them, one behind the other; all clip, or none."""
        table = np.concatenate([one.table for one in some], axis=1)
        return cls(table, np.concatenate([one.names for one in some], axis=1), some[0].clip)

    def at(self, at_s: Floats) -> tuple[Tracks, NDArray[np.bool_]]:
        """All tracks at `at_s` (N,), stream time after their updates, s, and which of them have boxes there (N,).

        Those that have left the picture have none, and those that have not been seen for too long.
        """
        table = self.table
        ahead_s, mean = at_s - table[_FROM], table[MEAN]
        boxes = table[VELOCITY] * ahead_s
        boxes += mean
        inside = np.minimum(np.maximum(boxes, 0.0), table[_LIMITS])
        extends = inside[2:] > inside[:2]
        shown = extends[0] & extends[1]
        shown &= table[_UNTIL] >= at_s
        var = kalman.position_var(table[COVARIANCE], mean[3] - mean[1], ahead_s)
        figures = figures_of(table, var, at_s - table[SEEN_AT])
        figures[:4] = inside if self.clip else boxes
        return Tracks(self.names, figures), shown


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
    at_s = np.repeat([frame.at_s for frame in frames], counts)
    tracks, shown = Outlook.together([frame.outlook for frame in frames]).at(at_s)
    if np.count_nonzero(shown) < len(shown):
        tracks = tracks[shown]
        ends = [0, *shown.cumsum().tolist()]
        ends = [ends[end] for end in accumulate(counts)]
    return [tracks[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
