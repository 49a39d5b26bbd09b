"""How the times of a camera's two streams go together.

The problem: what is detected in the small stream is to be shown from the large one, at the same moment. Each stream has
its own encoder and its own way, so their pictures of one moment arrive up to seconds apart.

The policy: where the camera sends RTCP sender reports on both and its clock is believed, both tell their capture by one
clock, and there is nothing to find out. Elsewhere the pictures themselves tell: each key frame of the large stream is
compared with the pictures of the small one that came within `REACH_S`, both reduced to a few pixels and without what
does not move, and the offset at which all of them together are most alike is taken. A scene in which nothing moves
tells nothing, and then the error is not known. The error that is told is by how much parts of the key frames disagree,
and half a frame more.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.clock import NS_PER_S
from pipeline.wire import AlignedBy

REACH_S = 3.0
THUMB_WH = (64, 36)
ENOUGH = 6
"""Key frames until what they say together is believed; the latest `MOST` count."""
MOST = 24
CLEARLY = 0.1
"""By how much less alike, as a correlation, pictures must be that are farther than `BESIDE_S` from the best: what moves
to and fro, or not at all, looks alike at many times."""
BESIDE_S = 0.5
_STEP_S = 0.01
_OFFSETS_S = np.arange(-REACH_S, REACH_S + _STEP_S / 2, _STEP_S)
_KEPT_S = 2 * REACH_S + 2
_PARTS = 3

Thumb = NDArray[np.float32]
"""Brightness of a picture at `THUMB_WH`, a row of so many pixels."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """From the time of the stream that is kept to that of the stream that is detected.

    Attributes:
        by: One clock of the camera's for both, the pictures themselves, or nothing but their arrival.
        offset_ns: To be added to the kept stream's time.
        error_ms: How far this may be off, nineteen times of twenty; None where that is not known.
    """

    by: AlignedBy
    offset_ns: int = 0
    error_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    at_ns: int
    thumb: Thumb


def thumb_of(luma: NDArray[np.uint8]) -> Thumb:
    """What is compared of a picture; `luma` is (H, W) uint8."""
    return cv2.resize(luma, THUMB_WH, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()


class ContentAligner:
    """Finds pictures of one stream in the other. Thread-safe: each stream has a thread."""

    def __init__(self) -> None:
        self._detected: deque[_Seen] = deque()
        self._waiting: deque[_Seen] = deque()
        self._curves: deque[NDArray[np.float32]] = deque(maxlen=MOST)
        self._found = Alignment("arrival")
        self._lock = threading.Lock()

    @property
    def alignment(self) -> Alignment:
        """As far as it is known."""
        return self._found

    @property
    def is_settled(self) -> bool:
        """Whether there is no hurry to see more."""
        return len(self._curves) == MOST and self._found.by == "content"

    def see_detected(self, thumb: Thumb, at_ns: int) -> None:
        """A picture of the small stream, at its wall time."""
        with self._lock:
            self._detected.append(_Seen(at_ns, thumb))
            while self._detected[0].at_ns < at_ns - _KEPT_S * NS_PER_S:
                self._detected.popleft()
            while self._waiting and self._waiting[0].at_ns + REACH_S * NS_PER_S < at_ns:
                self._compare(self._waiting.popleft())

    def see_kept(self, thumb: Thumb, at_ns: int) -> None:
        """A key frame of the large stream, at its own wall time."""
        with self._lock:
            self._waiting.append(_Seen(at_ns, thumb))

    def forget(self) -> None:
        """One of the streams begins anew: what is known holds no more."""
        with self._lock:
            self._detected.clear()
            self._waiting.clear()
            self._curves.clear()
            self._found = Alignment("arrival")

    def _compare(self, kept: _Seen) -> None:
        """How alike a key frame is to what came so much later or earlier, added to what others have said."""
        near = [seen for seen in self._detected if abs(seen.at_ns - kept.at_ns) <= REACH_S * NS_PER_S]
        later_s = np.array([(seen.at_ns - kept.at_ns) / NS_PER_S for seen in near])
        if len(near) < 10 or later_s[-1] - later_s[0] < REACH_S:
            return
        alike = _correlations(kept.thumb, np.stack([seen.thumb for seen in near]))
        self._curves.append(np.interp(_OFFSETS_S, later_s, alike).astype(np.float32))
        self._found = _best(self._curves, float(np.median(np.diff(later_s))))


def _best(curves: Sequence[NDArray[np.float32]], frame_s: float) -> Alignment:
    """The offset at which all key frames together are most alike, if it is one, and how far parts of them disagree."""
    if len(curves) < ENOUGH:
        return Alignment("arrival")
    whole = np.mean(curves, axis=0)
    best = int(whole.argmax())
    beside = np.abs(_OFFSETS_S - _OFFSETS_S[best]) <= BESIDE_S
    if beside.all() or whole[best] - whole[~beside].max() < CLEARLY:
        return Alignment("arrival")
    parts = [np.mean(list(curves)[part::_PARTS], axis=0) for part in range(_PARTS)]
    apart_s = np.std([_OFFSETS_S[beside][part[beside].argmax()] for part in parts], ddof=1)
    error_s = 2 * float(apart_s) / math.sqrt(_PARTS) + frame_s / 2
    return Alignment("content", round(_OFFSETS_S[best] * NS_PER_S), error_s * 1000)


def _correlations(thumb: Thumb, others: NDArray[np.float32]) -> NDArray[np.float32]:
    """How alike what moves is in `thumb` and in each of `others` (N, pixels), -1 to 1."""
    still = others.mean(axis=0)
    moved, moves = thumb - still, others - still
    moved -= moved.mean()
    moves -= moves.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(moves, axis=1) * np.linalg.norm(moved)
    found: NDArray[np.float32] = moves @ moved / np.maximum(lengths, 1e-6)
    return found
