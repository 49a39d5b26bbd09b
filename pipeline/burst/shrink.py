"""The beginning of a recording at half its size, for cameras that change their resolution."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from pipeline.errors import SourceError

FRAMES = 100
"""Four seconds at 25 fps; it is played in a loop."""
_ENCODERS = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg", "mpeg4": "mpeg4"}


def shrunk(recording: Path, folder: Path) -> Path:
    """A recording in `folder`, in the same codec, half as wide and high; blocks while it is made.

    Raises:
        SourceError: It cannot be read, or its codec not be written.
    """
    made = folder / f"{recording.stem}-half.mp4"
    try:
        with av.open(str(recording)) as source, av.open(str(made), "w") as target:
            picture = source.streams.video[0]
            codec = picture.codec_context
            rate = round(float(picture.average_rate or 25))
            stream = target.add_stream(_ENCODERS[codec.name], rate=rate)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = codec.width // 4 * 2, codec.height // 4 * 2
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "ultrafast", "g": "25", "bf": "0"} if codec.name in ("h264", "hevc") else {}
            for number, frame in enumerate(source.decode(picture)):
                if number == FRAMES:
                    break
                small = frame.reformat(stream.width, stream.height, "yuv420p")
                small.pts = number
                small.time_base = Fraction(1, rate)
                target.mux(stream.encode(small))
            target.mux(stream.encode(None))
    except (av.FFmpegError, KeyError, StopIteration, IndexError) as error:
        raise SourceError(f"{recording}: no smaller version of it can be made: {error}; give “file”") from error
    return made
