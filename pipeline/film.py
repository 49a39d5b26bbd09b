"""Pictures into a recording that any player opens: H.264, with the times they had."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from pipeline.errors import RenderError

_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
SUFFIXES = tuple(_FORMATS)
_BT709, _LIMITED = 1, 1
"""ITU-T H.273: colours of high definition, in video range; said in the file, so that players need not guess."""
SMALL: Mapping[str, str] = {"preset": "veryfast", "crf": "20"}
"""How x264 encodes where there is time."""
QUICK: Mapping[str, str] = {"preset": "superfast", "tune": "zerolatency", "crf": "20", "threads": "1"}
"""And in a camera's process: no pictures are held back, which of 4K would take half a gigabyte, and no threads are
begun, for which its memory may not do."""


class Film:
    """A recording that is written beside `path` and becomes it when all went well; else nothing of it stays."""

    def __init__(self, path: Path, fps: float, tick: Fraction, options: Mapping[str, str] = SMALL) -> None:
        """Begin.

        Args:
            path: Ends in one of `SUFFIXES`; what is there is replaced at the end.
            fps: Frames a second, for players that want to know.
            tick: The unit of the pictures' times, s.
            options: Of the encoder.

        Raises:
            RenderError: It cannot be written.
        """
        self._path, self._fps, self._tick = path, Fraction(fps).limit_denominator(1001), tick
        self._options = dict(options)
        self._swscale = VideoReformatter()
        self._partial = _beside(path)
        self._stream: Any = None
        self._first: int | None = None
        self._last = -1
        options = {"movflags": "faststart"} if path.suffix.lower() == ".mp4" else {}
        try:
            self._container = av.open(str(self._partial), "w", format=_FORMATS[path.suffix.lower()], options=options)
        except (OSError, av.FFmpegError) as error:
            raise self._refused(error) from None

    def add(self, picture: NDArray[np.uint8], ticks: int) -> None:
        """Append a picture.

        Args:
            picture: (H, W, 3) uint8 BGR; all of one size.
            ticks: When it is shown, later than the one before; the first one is shown at once, whenever that was.

        Raises:
            RenderError: It cannot be written.
        """
        height, width = picture.shape[:2]
        if width % 2 or height % 2:
            # H.264 has one colour for four pixels.
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._swscale.reformat(
            av.VideoFrame.from_ndarray(picture, format="bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            threads=1,
        )
        self._first = ticks if self._first is None else self._first
        self._last = max(ticks - self._first, self._last + 1)
        frame.pts, frame.time_base = self._last, self._tick
        frame.colorspace, frame.color_range = _BT709, _LIMITED
        try:
            if self._stream is None:
                self._stream = self._begin(frame.width, frame.height)
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.FFmpegError) as error:
            raise self._refused(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._finish(whole=kind is None and self._stream is not None)
        finally:
            self._partial.unlink(missing_ok=True)

    def _finish(self, *, whole: bool) -> None:
        try:
            if whole:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if whole:
                self._partial.replace(self._path)
        except (OSError, av.FFmpegError) as error:
            if whole:
                raise self._refused(error) from None

    def _begin(self, width: int, height: int) -> Any:
        stream = self._container.add_stream("libx264", rate=self._fps, options=self._options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = self._tick
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        return stream

    def _refused(self, error: Exception) -> RenderError:
        return RenderError(f"{self._path} cannot be written: {getattr(error, 'strerror', None) or error}")


def _beside(path: Path) -> Path:
    """A name of its own in the same folder."""
    return next(
        name for number in itertools.count() if not (name := path.with_name(f".{path.stem}.{number}.part")).exists()
    )
