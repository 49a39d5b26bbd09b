"""Frames of a recording, upright and small, as a page can hold them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.camera.orientation import UPRIGHT, Orientation, told_orientation
from pipeline.errors import RehearsalError
from pipeline.privacy import Cover
from pipeline.rehearse.take import Clip

WIDEST_PX, QUALITY = 640, 78
"""Forty kilobytes a picture: forty of them are a page that can still be sent by mail."""


def jpegs(clip: Clip, frames: Sequence[int], mounted: Orientation, covers: Sequence[Cover] = ()) -> Mapping[int, str]:
    """Frames of a recording as JPEG in base64, by their numbers; those that cannot be decoded are left out.

    Args:
        clip: The recording.
        frames: Numbers of the frames.
        mounted: How its camera is mounted: `rotate` and `mirror` of the fleet file.
        covers: What nobody gets to see of it; their masks are painted.

    Raises:
        RehearsalError: It cannot be read any more.
    """
    wanted = sorted(set(frames))
    found: dict[int, str] = {}
    try:
        with av.open(str(clip.file)) as container:
            stream = container.streams.video[0]
            tick = stream.time_base or Fraction(1, 90_000)
            origin_s: float | None = None
            for frame in container.decode(stream):
                # The first picture that is shown has time 0 here, whatever the file calls it.
                origin_s = float(frame.pts * tick) if frame.pts is not None else 0.0
                break
            for number in wanted:
                frame_found = _decoded(container, stream, (origin_s or 0.0) + float(clip.times_s[number]), clip.fps)
                if frame_found is not None:
                    found[number] = _jpeg(frame_found, mounted, covers)
    except (av.FFmpegError, OSError) as error:
        raise RehearsalError(f"{clip.file}: its pictures cannot be read: {error}") from error
    return found


def _decoded(container: Any, stream: Any, at_s: float, fps: float) -> av.VideoFrame | None:
    """The frame that is shown at a time."""
    container.seek(round(max(0.0, at_s) / stream.time_base), stream=stream, backward=True)
    for frame in container.decode(stream):
        if frame.pts is not None and float(frame.pts * stream.time_base) > at_s - 0.5 / fps:
            assert isinstance(frame, av.VideoFrame)
            return frame
    return None


def _jpeg(frame: av.VideoFrame, mounted: Orientation, covers: Sequence[Cover]) -> str:
    pixels = _upright(frame, told_orientation(frame).then(mounted))
    height, width = pixels.shape[:2]
    for cover in covers:
        cover.mask(pixels, (width, height))
    if width > WIDEST_PX:
        size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return base64.b64encode(coded.tobytes()).decode()


def _upright(frame: av.VideoFrame, orientation: Orientation) -> NDArray[np.uint8]:
    pixels = np.array(frame.to_ndarray(format="bgr24"), np.uint8)
    if orientation == UPRIGHT:
        return pixels
    width, height = orientation.upright_wh((frame.width, frame.height))
    upright = np.empty((height, width, 3), np.uint8)
    orientation.make_upright(pixels, upright)
    return upright
