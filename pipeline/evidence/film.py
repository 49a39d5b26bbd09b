"""Coded pictures of a camera as a film, in memory or in a file, from which pictures are decoded."""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SinkError
from pipeline.evidence.clip import TICKS_HZ, Clip, Written
from pipeline.evidence.coded import Coded, Stream

MOST_DECODED = 750
"""Pictures: half a minute; a camera with a key frame in ten seconds must not cost more for its snapshots."""

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR, upright."""


@dataclass(frozen=True, slots=True)
class Film:
    """What pictures can be taken from.

    Attributes:
        source: A clip's file, or one in memory.
        stream: Its pictures.
        written: When each is shown, in the order of decoding.
    """

    source: Path | io.BytesIO
    stream: Stream
    written: Sequence[Written]


def film_of(pictures: Sequence[Coded]) -> Film:
    """A film in memory.

    Raises:
        SinkError: The pictures cannot be put into one.
    """
    out = io.BytesIO()
    clip = Clip(out, pictures)
    clip.close()
    return Film(io.BytesIO(out.getvalue()), clip.stream, clip.written)


def decoded(film: Film, wanted: Sequence[int]) -> Iterator[tuple[int, Picture]]:
    """The pictures that are shown at these times, each group of pictures decoded once, from its key frame."""
    if not wanted:
        return
    if isinstance(film.source, io.BytesIO):
        film.source.seek(0)
    try:
        with av.open(str(film.source) if isinstance(film.source, Path) else film.source, "r") as container:
            video = container.streams.video[0]
            video.codec_context.thread_count = 1
            first, left = min(one.ticks for one in film.written), MOST_DECODED
            for group in _groups(film, wanted):
                container.seek(_begins(video) + round((group[0] - first) / TICKS_HZ / _unit_s(video)), stream=video)
                for frame in container.decode(video):
                    left -= 1
                    at = _shown_at(frame, film, first, video)
                    if at in group:
                        yield at, _upright(frame, film.stream)
                    if at >= group[-1] or left <= 0:
                        break
    except (av.FFmpegError, OSError) as error:
        raise SinkError(f"no picture can be taken from a clip: {error.strerror}") from None


def every(film: Film) -> Iterator[tuple[Written, Picture]]:
    """All pictures in the order in which they are shown, and which each is.

    Raises:
        SinkError: They cannot be decoded.
    """
    assert isinstance(film.source, io.BytesIO), "what is decoded as a whole lies in memory"
    film.source.seek(0)
    in_order = sorted(film.written, key=lambda one: one.ticks)
    times = [one.ticks for one in in_order]
    try:
        with av.open(film.source, "r") as container:
            video = container.streams.video[0]
            video.codec_context.thread_count = 1
            for frame in container.decode(video):
                at = times[0] + _since_first(frame, video)
                later = min(bisect_left(times, at), len(times) - 1)
                place = min((max(0, later - 1), later), key=lambda one: abs(times[one] - at))
                yield in_order[place], _upright(frame, film.stream)
    except (av.FFmpegError, OSError) as error:
        raise SinkError(f"its pictures cannot be decoded: {error.strerror}") from None


def _groups(film: Film, wanted: Sequence[int]) -> list[list[int]]:
    """Times by the key frame from which they are decoded."""
    keys = sorted(one.ticks for one in film.written if one.key)
    found: dict[int, list[int]] = {}
    for ticks in wanted:
        found.setdefault(bisect_right(keys, ticks), []).append(ticks)
    return list(found.values())


def _unit_s(video: av.VideoStream) -> float:
    assert video.time_base is not None
    return float(video.time_base)


def _begins(video: av.VideoStream) -> int:
    """Where its first picture is shown: MP4 begins later by what pictures are out of order."""
    return video.start_time or 0


def _shown_at(frame: av.VideoFrame, film: Film, first: int, video: av.VideoStream) -> int:
    """Which of the film's pictures it is, by its time: files round to their own units."""
    at = first + _since_first(frame, video)
    return min((one.ticks for one in film.written), key=lambda ticks: abs(ticks - at))


def _since_first(frame: av.VideoFrame, video: av.VideoStream) -> int:
    """When it is shown, 1/90000 s from the beginning."""
    return round(((frame.pts or 0) - _begins(video)) * _unit_s(video) * TICKS_HZ)


def _upright(frame: av.VideoFrame, stream: Stream) -> Picture:
    picture = frame.to_ndarray(format="bgr24")
    if stream.mirrored:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(np.rot90(picture, -stream.turns))
