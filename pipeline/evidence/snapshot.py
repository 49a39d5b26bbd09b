"""The picture that shows an event's object best: large, sharp, certain; taken from coded pictures, decoded once."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.evidence.clip import TICKS_HZ, Clip, Written
from pipeline.evidence.coded import Coded, Stream
from pipeline.evidence.record import Shot
from pipeline.evidence.sights import Box, Sight, by_worth

QUALITY = 90
CROP_PX = 160
"""Objects are compared at this size of their longer side: a small one is not sharper for being small."""
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


def take(film: Film, sights: Sequence[Sight], camera_id: str, file: Path) -> tuple[Shot, bytes] | None:
    """The best of these sights as JPEG, and what it shows; None where the film shows none of them.

    Args:
        film: The camera's.
        sights: The object's, or one without an object.
        camera_id: The camera.
        file: What the picture will be called.

    Raises:
        SinkError: The film cannot be read.
    """
    places = {sight: place for sight in sights if (place := _place(film, sight)) is not None}
    if any(place.moment.error_ms is not None for place in places.values()):
        # Before the two streams are aligned, a second one shows nobody knows which moment.
        places = {sight: place for sight, place in places.items() if place.moment.error_ms is not None}
    sharp: dict[Sight, float] = {}
    best: tuple[Sight, Picture] | None = None
    for ticks, picture in _decoded(film, sorted({place.ticks for place in places.values()})):
        for sight in (one for one, place in places.items() if place.ticks == ticks):
            sharp[sight] = _sharpness(picture, _box_in(picture, sight))
            if by_worth(sharp, sharp) is sight:
                best = sight, picture
    if best is None:
        return None
    sight, picture = best
    height, width = picture.shape[:2]
    box = _box_in(picture, sight)
    ok, jpeg = cv2.imencode(".jpg", presentable(picture, camera_id), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise SinkError(f"a picture of {camera_id} cannot be coded")
    moment = places[sight].moment
    shot = Shot(
        file=file.name,
        at_ns=moment.at_ns,
        frame_id=sight.frame_id,
        session_id=sight.session_id,
        wh=(width, height),
        xyxy=None if box is None else (round(box[0], 1), round(box[1], 1), round(box[2], 1), round(box[3], 1)),
        score=sight.score,
        sharpness=round(sharp[sight], 1),
        error_ms=moment.error_ms,
    )
    return shot, jpeg.tobytes()


def presentable(picture: Picture, camera_id: str) -> Picture:
    """The picture as it may be kept: every snapshot passes here before it is written."""
    return picture


def _place(film: Film, sight: Sight) -> Written | None:
    """The picture that shows it: the very one, or of a second stream the nearest in time."""
    if film.written and film.written[0].moment.aligned_by is None:
        return next((one for one in film.written if one.moment.frame == sight.frame), None)
    in_order = sorted(film.written, key=lambda one: one.ticks)
    if not in_order:
        return None
    zero_ns = in_order[-1].moment.zero_ns
    at_ns = zero_ns + round(sight.pts_s * NS_PER_S) if zero_ns else sight.at_ns
    times = [one.moment.at_ns for one in in_order]
    near = in_order[max(0, bisect_right(times, at_ns) - 1) :][:2]
    best = min(near, key=lambda one: abs(one.moment.at_ns - at_ns))
    step_ns = (times[-1] - times[0]) / max(1, len(times) - 1)
    return best if abs(best.moment.at_ns - at_ns) <= max(step_ns, NS_PER_S / 10) else None


def _decoded(film: Film, wanted: Sequence[int]) -> Iterator[tuple[int, Picture]]:
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
    at = first + round(((frame.pts or 0) - _begins(video)) * _unit_s(video) * TICKS_HZ)
    return min((one.ticks for one in film.written), key=lambda ticks: abs(ticks - at))


def _upright(frame: av.VideoFrame, stream: Stream) -> Picture:
    picture = frame.to_ndarray(format="bgr24")
    if stream.mirrored:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(np.rot90(picture, -stream.turns))


def _box_in(picture: Picture, sight: Sight) -> Box | None:
    """The object in px of a picture that may be larger than the one it was detected in."""
    if sight.xyxy is None:
        return None
    height, width = picture.shape[:2]
    across, down = width / sight.frame_wh[0], height / sight.frame_wh[1]
    left, top, right, bottom = sight.xyxy
    return left * across, top * down, right * across, bottom * down


def _sharpness(picture: Picture, box: Box | None) -> float:
    """The variance of the Laplacian of the object's brightness, at one size; 0 where nothing of it is seen."""
    height, width = picture.shape[:2]
    left, top, right, bottom = (0, 0, width, height) if box is None else (round(side) for side in box)
    crop = picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if min(crop.shape[:2]) < 2:
        return 0.0
    scale = CROP_PX / max(crop.shape[:2])
    size_wh = max(2, round(crop.shape[1] * scale)), max(2, round(crop.shape[0] * scale))
    grey = cv2.cvtColor(cv2.resize(crop, size_wh, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())
