"""A recording, played as a camera would play it, with what was published about each frame drawn on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np

from pipeline.camera.opening import connect
from pipeline.camera.orientation import UPRIGHT, Orientation, told_orientation
from pipeline.camera.picture import Picture
from pipeline.camera.recording import FileReel, RecordingSource
from pipeline.clock import SystemClock
from pipeline.config.camera import Camera
from pipeline.config.privacy import Privacy
from pipeline.config.url import CameraUrl, scheme_of
from pipeline.errors import RenderError
from pipeline.film import SUFFIXES, Film
from pipeline.overlay import ColourBy, Pixels, Trails, draw, draw_note
from pipeline.privacy import Cover
from pipeline.render.choose import Stream, choose, number_of
from pipeline.render.kept import open_kept
from pipeline.render.match import Matcher
from pipeline.wire import FrameResult

_FPS = 25.0
"""Of a recording that says nothing of it."""
_NEAR = 0.45
"""Frames and results belong together that are no further apart than this share of a frame: times are rounded when a
recording is put into another container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be drawn on what.

    Attributes:
        video: The recording.
        results: What was published about it: a path, or the address of a PostgreSQL server; see `open_kept`.
        out: The new recording.
        camera: Which camera's results, where there are several.
        session: Of which session, where there are several.
        by_frame: Match by the numbers of the frames, from the recording's beginning, instead of times.
        mounted: How the camera of the fleet file is mounted: its `rotate` and `mirror`.
        cameras: Of a fleet file whose `privacy` holds, and `rotate` and `mirror` with it, by name; empty for none.
        blur: Classes whose objects are blurred besides.
        trail_s: Length of the trails; 0 for none.
        colour_by: What has a colour of its own.
        caption: Write on each frame which one it is.
        force: Replace `out`.
    """

    video: Path
    results: Path | str = field(repr=False)
    out: Path
    camera: str | None = None
    session: str | None = None
    by_frame: bool = False
    mounted: Orientation = UPRIGHT
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    blur: tuple[str, ...] = ()
    trail_s: float = 2.0
    colour_by: ColourBy = "track"
    caption: bool = True
    force: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was drawn; frames = with_boxes + empty + skipped + without_result.

    Attributes:
        camera_id: Whose results.
        session: Of which session.
        frames: Pictures written.
        with_boxes: Of these, with boxes.
        empty: Of these, looked at and empty.
        skipped: Of these, that no detection stands behind.
        without_result: Of these, without a result.
        unused: Results without a picture.
    """

    camera_id: str
    session: str
    frames: int
    with_boxes: int
    empty: int
    skipped: int
    without_result: int
    unused: int


def render(request: Request, turn: Callable[[int, int | None], None] = lambda done, total: None) -> Rendered:
    """Draw results on a recording; blocks. Memory does not grow with its length.

    Args:
        request: What.
        turn: Called with the number of frames done, and of all, if that is known; for progress.

    Raises:
        PrivacyError: A mask does not fit the recording.
        RenderError: Results and recording do not fit each other, or the new one cannot be written.
        SinkError: What a sink has kept cannot be read.
        SourceError: The recording cannot be played.
    """
    _require_out(request)
    with open_kept(str(request.results)) as kept:
        stream = choose(kept.streams(request.camera), request.camera, request.session)
        return _Rendering(request, stream, kept.frames(stream)).run(turn)


def _require_out(request: Request) -> None:
    out = request.out
    if out.suffix.lower() not in SUFFIXES:
        raise RenderError(f"{out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if not out.exists():
        return
    files = [request.video, *([] if scheme_of(str(request.results)) else [Path(request.results)])]
    if any(source.exists() and out.samefile(source) for source in files):
        raise RenderError(f"{out} is what is read; give another name to write to")
    if not request.force:
        raise RenderError(f"{out} exists; give --force to replace it")


class _Pulse:
    """Nobody waits for this recording, and nobody ends it."""

    def go_on(self) -> bool:
        return True

    def wait_until(self, due_ns: int) -> bool:
        return True


class _Rendering:
    """One recording on its way."""

    def __init__(self, request: Request, stream: Stream, results: Iterator[FrameResult]) -> None:
        self._request, self._stream, self._results = request, stream, results
        self._trails = Trails(request.trail_s) if request.trail_s else None
        self._mounted, privacy = _as_in_its_fleet(request, stream.camera_id)
        self._cover = Cover(privacy)
        self._orientation: Orientation | None = None
        self._pixels: Pixels | None = None
        self._told: Counter[str] = Counter()

    def run(self, turn: Callable[[int, int | None], None]) -> Rendered:
        camera = Camera(
            camera_id=self._stream.camera_id, url=CameraUrl.parse(str(self._request.video.absolute())), pace="fastest"
        )
        clock = SystemClock()
        container, stream = connect(camera)
        tick = Fraction(stream.time_base or Fraction(1, 90_000))
        reel = FileReel(camera, clock, container, stream)
        fps, total = reel.description.fps or _FPS, stream.frames or None
        within = 0.0 if self._request.by_frame else max(_NEAR / fps, float(tick) / 2)
        matcher = Matcher(self._results, self._place, within)
        with closing(RecordingSource(camera, clock, reel)) as source, Film(self._request.out, fps, tick) as film:
            for number, picture in enumerate(source.pictures(_Pulse())):
                self._show(picture, number, matcher, film, tick)
                turn(number + 1, total)
            self._require_matches()
        return self._rendered(matcher)

    def _place(self, result: FrameResult) -> float:
        return number_of(result) if self._request.by_frame else result.pts_s

    def _show(self, picture: Picture, number: int, matcher: Matcher, film: Film, tick: Fraction) -> None:
        result = matcher.at(number if self._request.by_frame else picture.pts_s)
        if picture.frame is None:
            # What cannot be decoded has a number, and nothing that could be shown.
            return
        pixels = self._upright(picture)
        if result is not None:
            self._require_size(result, pixels)
        elif not self._told.total() - self._told["without"] and picture.pts_s > self._stream.last_s:
            self._require_matches()
        self._told[_kind(result)] += 1
        film.add(self._drawn(pixels, picture.pts_s, result), round(picture.pts_s / tick))

    def _upright(self, picture: Picture) -> Pixels:
        """The picture as the detector saw it."""
        frame = picture.frame
        assert frame is not None
        if self._orientation is None:
            self._orientation = told_orientation(frame).then(self._mounted)
        pixels = cast(Pixels, frame.to_ndarray(format="bgr24"))
        if self._orientation == UPRIGHT:
            return pixels
        width, height = self._orientation.upright_wh((frame.width, frame.height))
        if self._pixels is None or self._pixels.shape != (height, width, 3):
            self._pixels = np.empty((height, width, 3), np.uint8)
        self._orientation.make_upright(pixels, self._pixels)
        return self._pixels

    def _drawn(self, pixels: Pixels, pts_s: float, result: FrameResult | None) -> Pixels:
        self._cover.apply(pixels, (pixels.shape[1], pixels.shape[0]), [] if result is None else [result])
        if result is None:
            return draw_note(pixels, f"{self._stream.camera_id}  {pts_s:.3f} s  NO RESULT")
        return draw(
            pixels, result, trails=self._trails, colour_by=self._request.colour_by, caption=self._request.caption
        )

    def _require_size(self, result: FrameResult, pixels: Pixels) -> None:
        wide, high = pixels.shape[1], pixels.shape[0]
        if result.frame_wh == (wide, high):
            return
        turned = result.frame_wh == (high, wide)
        hint = "give --rotate, as the camera has in its fleet file" if turned else "they are of another recording"
        raise RenderError(
            f"the results are of pictures of {result.frame_wh[0]}×{result.frame_wh[1]}, and {self._request.video} has "
            f"{wide}×{high}; {hint}"
        )

    def _require_matches(self) -> None:
        """Raise where no result has found its picture."""
        if self._told.total() > self._told["without"]:
            return
        if self._request.by_frame:
            raise RenderError(f"no frame of {self._request.video} has the number of a result")
        raise RenderError(
            f"no result is of the time of a frame of {self._request.video}: they are of {self._stream.first_s:.3f} to "
            f"{self._stream.last_s:.3f} s; where both begin at the same frame, give --by-frame"
        )

    def _rendered(self, matcher: Matcher) -> Rendered:
        told = self._told
        return Rendered(
            camera_id=self._stream.camera_id,
            session=self._stream.session,
            frames=told.total(),
            with_boxes=told["boxes"],
            empty=told["empty"],
            skipped=told["skipped"],
            without_result=told["without"],
            unused=matcher.finish(),
        )


def _as_in_its_fleet(request: Request, camera_id: str) -> tuple[Orientation, Privacy]:
    """How a camera is mounted, and what of its pictures is covered."""
    if not request.cameras:
        return request.mounted, Privacy(blur=request.blur)
    camera = request.cameras.get(camera_id)
    if camera is None:
        raise RenderError(
            f"the fleet file has no camera “{camera_id}”, of which the results are; it has "
            f"{', '.join(sorted(request.cameras)[:20])}"
        )
    blur = (*camera.privacy.blur, *request.blur)
    return Orientation(camera.rotate // 90, camera.mirror), camera.privacy.model_copy(update={"blur": blur})


def _kind(result: FrameResult | None) -> str:
    if result is None:
        return "without"
    if result.origin == "skipped":
        return "skipped"
    return "boxes" if result.tracks else "empty"
