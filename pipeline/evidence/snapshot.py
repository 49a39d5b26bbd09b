"""The picture that shows an event's object best: large, sharp, certain; taken from coded pictures, decoded once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.evidence.clip import Written
from pipeline.evidence.coded import Moment
from pipeline.evidence.film import Film, Picture, decoded
from pipeline.evidence.record import Shot
from pipeline.evidence.sights import Box, Sight, by_worth

QUALITY = 90
CROP_PX = 160
"""Objects are compared at this size of their longer side: a small one is not sharper for being small."""

Covers = Callable[[Picture, Moment], Picture]
"""Covers a picture of a moment in place, and returns it."""


def take(
    film: Film, sights: Sequence[Sight], camera_id: str, file: Path, cover: Covers | None = None
) -> tuple[Shot, bytes] | None:
    """The best of these sights as JPEG, and what it shows; None where the film shows none of them.

    Args:
        film: The camera's.
        sights: The object's, or one without an object.
        camera_id: The camera.
        file: What the picture will be called.
        cover: Covers what nobody may see; None where there is no such thing.

    Raises:
        SinkError: The film cannot be read, or not be covered.
    """
    places = {sight: place for sight in sights if (place := _place(film, sight)) is not None}
    if any(place.moment.error_ms is not None for place in places.values()):
        # Before the two streams are aligned, a second one shows nobody knows which moment.
        places = {sight: place for sight, place in places.items() if place.moment.error_ms is not None}
    sharp: dict[Sight, float] = {}
    best: tuple[Sight, Picture] | None = None
    for ticks, picture in decoded(film, sorted({place.ticks for place in places.values()})):
        for sight in (one for one, place in places.items() if place.ticks == ticks):
            sharp[sight] = _sharpness(picture, _box_in(picture, sight))
            if by_worth(sharp, sharp) is sight:
                best = sight, picture
    if best is None:
        return None
    sight, picture = best
    height, width = picture.shape[:2]
    box = _box_in(picture, sight)
    moment = places[sight].moment
    ok, jpeg = cv2.imencode(".jpg", presentable(picture, moment, cover), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise SinkError(f"a picture of {camera_id} cannot be coded")
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


def presentable(picture: Picture, moment: Moment, cover: Covers | None) -> Picture:
    """The picture as it may be kept: every snapshot passes here before it is written."""
    return picture if cover is None else cover(picture, moment)


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
