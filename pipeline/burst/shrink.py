"""The beginning of a recording at half its size, for cameras that change their resolution."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from pipeline.burst.encode import add_stream
from pipeline.errors import SourceError

FRAMES = 100
"""Four seconds at 25 fps; it is played in a loop."""
_UNIT_PX = 8
"""What Motion JPEG over RTP counts sides in (RFC 2435 §3.1.5)."""


def shrunk(recording: Path, folder: Path) -> Path:
    """A recording in `folder`, in the same codec, about half as wide and high; blocks while it is made.

    Raises:
        SourceError: It cannot be read, or its codec not be written.
    """
    made = folder / f"{recording.stem}-half.mp4"
    try:
        with av.open(str(recording)) as source, av.open(str(made), "w") as target:
            picture = source.streams.video[0]
            codec = picture.codec_context
            rate = picture.average_rate or Fraction(25)
            stream = add_stream(target, codec.name, (_half(codec.width), _half(codec.height)), rate)
            for number, frame in enumerate(source.decode(picture)):
                if number == FRAMES:
                    break
                small = frame.reformat(stream.width, stream.height, stream.pix_fmt)
                small.pts = number
                small.time_base = 1 / rate
                target.mux(stream.encode(small))
            target.mux(stream.encode(None))
    except (av.FFmpegError, KeyError, StopIteration, IndexError) as error:
        raise SourceError(f"{recording}: no smaller version of it can be made: {error}; give “file”") from error
    return made


def _half(side_px: int) -> int:
    return max(_UNIT_PX, side_px // 2 // _UNIT_PX * _UNIT_PX)
