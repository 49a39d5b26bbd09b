"""The true age of a frame: from the moment its picture left the camera to its publication."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.clock import NS_PER_MS

TOLERANCE_NS = NS_PER_MS
"""The same picture by the camera's sender reports and by the receiver's arithmetic: they differ by 12 µs at most, two
pictures by no less than 4 ms."""


def true_ages_ms(
    captured_ns: NDArray[np.int64],
    published_ns: NDArray[np.int64],
    presented_ns: NDArray[np.int64],
    left_ns: NDArray[np.int64],
) -> NDArray[np.float64]:
    """(N,) ms from departure to publication of one camera's frames, NaN where the departure is not known.

    After a camera's clock has jumped back, two pictures have the same time: of those that left before the frame was
    published, it is the last.

    Args:
        captured_ns: (N,) capture times by the camera's sender reports, wall time; 0 where they are by another clock.
        published_ns: (N,) wall time.
        presented_ns: (M,) what the camera's sender reports say of each picture, wall time.
        left_ns: (M,) when it left, wall time.
    """
    ages_ms = np.full(len(captured_ns), np.nan)
    if not len(presented_ns):
        return ages_ms
    order = np.lexsort((left_ns, presented_ns))
    presented, left = presented_ns[order], left_ns[order]
    place = np.searchsorted(presented, captured_ns + TOLERANCE_NS, side="right") - 1
    for row in np.flatnonzero((place >= 0) & (captured_ns > 0)):
        at = int(place[row])
        while at >= 0 and captured_ns[row] - presented[at] <= TOLERANCE_NS:
            if left[at] <= published_ns[row]:
                ages_ms[row] = (published_ns[row] - left[at]) / NS_PER_MS
                break
            at -= 1
    return ages_ms
