"""Recordings that bursts make for replay: every codec that goes over RTP."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.burst.encode import CODECS, add_stream
from pipeline.burst.shrink import shrunk
from pipeline.errors import SourceError
from pipeline.replay.packetize import media_format
from pipeline.replay.recording import CODECS as SERVED
from pipeline.replay.recording import Recording
from tests.camera_media import Clip

RATE = Fraction(30_000, 1001)


def recorded(path: Path, codec: str, wh: tuple[int, int]) -> Path:
    with av.open(str(path), "w") as container:
        stream = add_stream(container, codec, wh, RATE)
        for number in range(5):
            picture = np.full((wh[1], wh[0], 3), 30 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_every_codec_that_is_served_can_be_written() -> None:
    assert sorted(CODECS) == sorted(SERVED)


@pytest.mark.parametrize("codec", CODECS)
def test_recording_of_any_codec_and_its_smaller_version_can_be_served(codec: str, tmp_path: Path) -> None:
    whole = Recording(recorded(tmp_path / "gate.mp4", codec, (320, 180)))
    half = Recording(shrunk(whole.path, tmp_path))

    assert half.codec == whole.codec == codec
    assert half.size_wh == (160, 88), "sides of Motion JPEG are multiples of 8"
    assert half.rate == whole.rate == RATE
    assert media_format(half).rtpmap == media_format(whole).rtpmap


def test_shrunk_recording_of_a_codec_that_cannot_be_written_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="give “file”"):
        shrunk(Clip(codec="ffv1", options=()).write(tmp_path / "x.mkv"), tmp_path)
