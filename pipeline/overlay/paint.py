"""Lines, boxes and words on pictures: the only place that draws with OpenCV.

Every line has a dark edge and every word a ground of its own colour, so that both are seen on snow and by night.
Widths and letters grow with the picture's shorter side, down to what can still be read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry import WidthHeight
from pipeline.overlay.labels import Area, place
from pipeline.overlay.trails import Trail, Trails
from pipeline.redact import printable
from pipeline.wire import FrameResult, TrackedBox

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8 BGR."""
ColourBy = Literal["track", "class"]
Colour = tuple[int, int, int]
Point = tuple[int, int]

COLOURS: tuple[Colour, ...] = (
    (255, 160, 40),
    (40, 130, 255),
    (100, 205, 70),
    (190, 100, 250),
    (215, 205, 30),
    (60, 210, 250),
    (255, 125, 150),
    (70, 90, 245),
    (160, 235, 170),
    (210, 170, 255),
)
"""BGR; all bright enough for black letters."""
_DARK, _LETTERS = (25, 25, 25), (0, 0, 0)
_SKIPPED, _UNKNOWN = (0, 190, 255), (190, 190, 190)
_FONT = cv2.FONT_HERSHEY_DUPLEX
_SHORT_SIDE_PX = 720
"""A picture whose shorter side has so many pixels gets lines of 2 px and letters of 14 px height."""


@dataclass(frozen=True, slots=True)
class _Pen:
    """How thick and how large.

    Attributes:
        line: Width of lines, px.
        letters: OpenCV's scale of letters.
        pad: Around words, px.
    """

    line: int
    letters: float
    pad: int

    @classmethod
    def fitting(cls, picture: Pixels) -> _Pen:
        scale = min(picture.shape[:2]) / _SHORT_SIDE_PX
        return cls(round(1 + scale), max(0.4, 0.5 * scale), max(2, round(4 * scale)))


@dataclass(frozen=True, slots=True)
class _Scale:
    """From the source picture to the one that is drawn on.

    Attributes:
        xy: Pixels of this for one of that, by axis.
        wh: Size of the picture that is drawn on, px.
    """

    xy: tuple[float, float]
    wh: WidthHeight

    @classmethod
    def of(cls, picture: Pixels, result: FrameResult) -> _Scale:
        high, wide = picture.shape[:2]
        return cls((wide / max(1, result.frame_wh[0]), high / max(1, result.frame_wh[1])), (wide, high))

    def point(self, x: float, y: float) -> Point:
        """Where to draw it; what lies far outside is drawn just outside, as OpenCV counts in 32 bits."""
        (wide, high), (scale_x, scale_y) = self.wh, self.xy
        return round(min(max(x * scale_x, -wide), 2 * wide)), round(min(max(y * scale_y, -high), 2 * high))


def draw(
    picture: Pixels,
    result: FrameResult,
    *,
    trails: Trails | None = None,
    colour_by: ColourBy = "track",
    caption: bool = False,
) -> Pixels:
    """The picture with the frame's boxes on it; it is drawn on in place and returned: give a copy to keep it.

    Args:
        picture: (H, W, 3) uint8 BGR, contiguous, upright; of another size than the frame, boxes are scaled.
        result: What is known of the frame.
        trails: Of this camera; this frame is added to them, and they are drawn.
        colour_by: What has a colour of its own: each object, or each class.
        caption: Also write which frame it is, and what stands behind its boxes.
    """
    pen = _Pen.fitting(picture)
    scale = _Scale.of(picture, result)
    if trails is not None:
        _draw_trails(picture, trails.follow(result), scale, pen, colour_by)
    areas = [scale.point(*box.xyxy[:2]) + scale.point(*box.xyxy[2:]) for box in result.tracks]
    for box, area in zip(result.tracks, areas, strict=True):
        colour = _colour(box, colour_by)
        if box.origin == "detected":
            _solid(picture, area, colour, pen)
        else:
            _dashed(picture, area, colour, pen)
    _draw_labels(picture, result.tracks, areas, pen, colour_by)
    if result.origin == "skipped":
        why = f" ({result.filled_because})" if result.filled_because else ""
        _mark(picture, f"{_place(result)}  SKIPPED{why}", _SKIPPED, pen)
    elif caption:
        _corner(picture, f"{_place(result)}  {result.origin}", _UNKNOWN, pen)
    return picture


def draw_note(picture: Pixels, words: str) -> Pixels:
    """The picture of a frame of which nothing is known, marked with `words`; in place, as `draw`."""
    _mark(picture, words, _UNKNOWN, _Pen.fitting(picture))
    return picture


def _place(result: FrameResult) -> str:
    minutes, seconds = divmod(max(0.0, result.pts_s), 60)
    return f"{result.camera_id}  {minutes:.0f}:{seconds:06.3f}  #{result.frame_id}"


def _colour(of: TrackedBox | Trail, colour_by: ColourBy) -> Colour:
    return COLOURS[(of.track_id if colour_by == "track" else of.class_id) % len(COLOURS)]


def _solid(picture: Pixels, area: Area, colour: Colour, pen: _Pen) -> None:
    start, end = area[:2], area[2:]
    cv2.rectangle(picture, start, end, _DARK, pen.line + 2, cv2.LINE_AA)
    cv2.rectangle(picture, start, end, colour, pen.line, cv2.LINE_AA)


def _dashed(picture: Pixels, area: Area, colour: Colour, pen: _Pen) -> None:
    left, top, right, bottom = area
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    dashes = [dash for start, end in itertools.pairwise(corners) for dash in _dashes(start, end, 5 * pen.line + 3)]
    for width, ink in ((pen.line + 2, _DARK), (pen.line, colour)):
        for start, end in dashes:
            cv2.line(picture, start, end, ink, width, cv2.LINE_AA)


def _dashes(start: Point, end: Point, length: int) -> list[tuple[Point, Point]]:
    """An odd number of equal pieces, every second one, so that corners are closed."""
    count = max(1, round(math.dist(start, end) / length)) // 2 * 2 + 1
    points = np.linspace(start, end, count + 1).round().astype(int).tolist()
    return [((a[0], a[1]), (b[0], b[1])) for a, b in zip(points[::2], points[1::2], strict=True)]


def _draw_labels(
    picture: Pixels, boxes: Sequence[TrackedBox], areas: Sequence[Area], pen: _Pen, colour_by: ColourBy
) -> None:
    """Nearest objects first: they stand lowest in the picture, and hide the others, too."""
    order = sorted(range(len(boxes)), key=lambda number: -areas[number][3])
    words = [printable(_words(boxes[number])) for number in order]
    sizes = [_size_wh(one, pen) for one in words]
    picture_wh = (picture.shape[1], picture.shape[0])
    for number, text, at in zip(order, words, place([areas[n] for n in order], sizes, picture_wh), strict=True):
        _write(picture, text, at, _colour(boxes[number], colour_by), pen)


def _words(box: TrackedBox) -> str:
    return f"{box.class_name} {box.track_id}" + (f" {box.labels}" if box.attributes else "")


def _size_wh(words: str, pen: _Pen) -> WidthHeight:
    (width, height), below = cv2.getTextSize(words, _FONT, pen.letters, 1)
    return width + 2 * pen.pad, height + below + 2 * pen.pad


def _write(picture: Pixels, words: str, at: Area, ground: Colour, pen: _Pen) -> None:
    left, top, right, bottom = at
    _, below = cv2.getTextSize(words, _FONT, pen.letters, 1)
    cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), ground, cv2.FILLED)
    cv2.putText(
        picture, words, (left + pen.pad, bottom - pen.pad - below), _FONT, pen.letters, _LETTERS, 1, cv2.LINE_AA
    )


def _corner(picture: Pixels, words: str, ground: Colour, pen: _Pen) -> None:
    """Words at the bottom left, since cameras write their own time at the top; smaller where they do not fit."""
    width, height = _size_wh(words, pen)
    if width > picture.shape[1]:
        pen = replace(pen, letters=pen.letters * picture.shape[1] / width)
        width, height = _size_wh(words, pen)
    bottom = picture.shape[0]
    _write(picture, words, (0, bottom - height, width, bottom), ground, pen)


def _mark(picture: Pixels, words: str, colour: Colour, pen: _Pen) -> None:
    """Words, and a dashed frame around the whole picture."""
    edge = 2 * pen.line
    inside = (edge, edge, picture.shape[1] - 1 - edge, picture.shape[0] - 1 - edge)
    _dashed(picture, inside, colour, replace(pen, line=2 * pen.line))
    _corner(picture, words, colour, pen)


def _draw_trails(picture: Pixels, trails: Sequence[Trail], scale: _Scale, pen: _Pen, colour_by: ColourBy) -> None:
    """All at once: their colours on a copy, how much of them is seen in a mask, and both blended where they are."""
    trails = [trail for trail in trails if len(trail.points) > 1]
    if not trails:
        return
    ink, mask = picture.copy(), np.zeros(picture.shape[:2], np.uint8)
    for trail in trails:
        points = [scale.point(x, y) for x, y, _ in trail.points]
        for (start, end), (_, _, age) in zip(itertools.pairwise(points), trail.points, strict=False):
            if start == end:
                continue
            cv2.line(ink, start, end, _colour(trail, colour_by), pen.line + 4)
            cv2.line(mask, start, end, round(230 * (1 - age)), pen.line + 1, cv2.LINE_AA)
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return
    part = (slice(y, y + height), slice(x, x + width))
    share = mask[part].astype(np.float32) / 255
    picture[part] = cv2.blendLinear(ink[part], np.ascontiguousarray(picture[part]), share, 1 - share)
