"""Pictures made upright, in every way a recording or a fleet file can say."""

from __future__ import annotations

import shutil
import struct
import subprocess
from itertools import product
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.camera.orientation import UPRIGHT, Orientation, told_orientation
from pipeline.camera.resize import Resizer
from tests.camera_media import Clip

EVERY = [Orientation(turns, mirrored) for turns in range(4) for mirrored in (False, True)]


def arrow() -> np.ndarray:
    picture = np.zeros((48, 80, 3), np.uint8)
    picture[:24, :40], picture[:24, 40:] = (200, 40, 40), (40, 200, 40)
    picture[24:, :40] = (40, 40, 200)
    return picture


def upright(picture: np.ndarray, orientation: Orientation) -> np.ndarray:
    return np.rot90(picture[:, ::-1] if orientation.mirrored else picture, -orientation.turns)


@pytest.mark.parametrize(("one", "two"), list(product(EVERY, EVERY)))
def test_two_orientations_are_one(one: Orientation, two: Orientation) -> None:
    assert (upright(upright(arrow(), one), two) == upright(arrow(), one.then(two))).all()


@pytest.mark.parametrize("orientation", EVERY)
def test_a_picture_is_made_upright_while_it_is_scaled(orientation: Orientation) -> None:
    frame = av.VideoFrame.from_ndarray(arrow(), format="rgb24").reformat(format="yuv420p")
    expected = upright(cv2.resize(arrow(), (40, 24), interpolation=cv2.INTER_AREA), orientation)
    out = np.zeros(expected.shape, np.uint8)
    Resizer().resize_into(frame, out, orientation)
    assert np.abs(out.astype(int) - expected).mean() < 6
    assert orientation.upright_wh((80, 48)) == (2 * out.shape[1], 2 * out.shape[0])


@pytest.mark.parametrize(
    ("matrix", "orientation"),
    [
        ((1, 0, 0, 1), UPRIGHT),
        ((0, 1, -1, 0), Orientation(1)),
        ((-1, 0, 0, -1), Orientation(2)),
        ((0, -1, 1, 0), Orientation(3)),
        ((-1, 0, 0, 1), Orientation(0, True)),
        ((1, 0, 0, -1), Orientation(2, True)),
        ((0, 1, 1, 0), Orientation(3, True)),
        ((0, -1, -1, 0), Orientation(1, True)),
    ],
)
def test_a_recording_says_which_side_is_up(matrix: tuple[int, ...], orientation: Orientation, tmp_path: Path) -> None:
    """The matrix is that of the track's header (tkhd), written into a recording byte by byte."""
    file = Clip(frames=3).write(tmp_path / "a.mp4")
    data, (a, b, c, d) = bytearray(file.read_bytes()), (one << 16 for one in matrix)
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    file.write_bytes(data)
    with av.open(str(file)) as container:
        frame = next(container.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        assert told_orientation(frame) == orientation


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_ffmpeg_and_we_agree_which_side_is_up(degrees: int, tmp_path: Path) -> None:
    file, turned, shown = Clip(frames=3).write(tmp_path / "a.mp4"), tmp_path / "turned.mp4", tmp_path / "shown.png"
    quiet = ["ffmpeg", "-v", "error", "-y"]
    subprocess.run([*quiet, "-i", file, "-c", "copy", "-metadata:s:v", f"rotate={degrees}", turned], check=True)
    subprocess.run([*quiet, "-i", turned, "-frames:v", "1", shown], check=True)
    expected = cv2.cvtColor(cv2.imread(str(shown)), cv2.COLOR_BGR2RGB)
    with av.open(str(turned)) as container:
        frame = next(container.decode(video=0))
    assert isinstance(frame, av.VideoFrame)
    out = np.zeros(expected.shape, np.uint8)
    Resizer().resize_into(frame, out, told_orientation(frame))
    assert np.abs(out.astype(int) - expected).mean() < 6
