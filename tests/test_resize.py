from __future__ import annotations

import sys
import tracemalloc

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from pipeline.camera.resize import Resizer

LIMITED, FULL = 1, 2
Rgb = NDArray[np.uint8]


def scene(wh: tuple[int, int]) -> Rgb:
    """Smooth colours with a few hard edges, as pictures have."""
    width, height = wh
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    rgb = np.stack([60 + 120 * x, 60 + 120 * y, 160 - 100 * x * y], axis=-1)
    rgb[height // 4 : height // 2, width // 3 : width // 2] = (200, 60, 40)
    rgb[height // 2 :, width // 2 : width // 2 + width // 8] = (40, 180, 60)
    return np.asarray(rgb.round(), np.uint8)


def frame_of(rgb: Rgb, pix_fmt: str, color_range: int | None = None) -> av.VideoFrame:
    wanted = color_range or (FULL if "j" in pix_fmt else LIMITED)
    frame = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(rgb, format="rgb24"),
        format=pix_fmt,
        dst_colorspace=Colorspace.ITU601,
        src_color_range="JPEG",
        dst_color_range="JPEG" if wanted == FULL else "MPEG",
    )
    frame.color_range = wanted
    return frame


def resized(frame: av.VideoFrame, wh: tuple[int, int]) -> Rgb:
    out = np.zeros((wh[1], wh[0], 3), np.uint8)
    Resizer().resize_into(frame, out)
    return out


def reference(rgb: Rgb, wh: tuple[int, int]) -> Rgb:
    """By swscale's area filter, in RGB."""
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return np.asarray(VideoReformatter().reformat(frame, *wh, "rgb24", interpolation="AREA").to_ndarray(), np.uint8)


def mean_difference(a: Rgb, b: Rgb) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


FORMATS = [
    "yuv420p",
    "yuvj420p",
    "yuv422p",
    "yuvj422p",
    "yuv444p",
    "nv12",
    "nv21",
    "yuv420p10le",
    "rgb24",
    "bgr0",
    "yuyv422",
]


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_resize_any_pixel_format_keeps_picture_and_colours(pix_fmt: str) -> None:
    rgb = scene((640, 360))
    assert mean_difference(resized(frame_of(rgb, pix_fmt), (320, 180)), reference(rgb, (320, 180))) < 3.5


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_resize_full_range_told_by_the_frame_alone_gives_the_same_colours(pix_fmt: str) -> None:
    rgb = scene((320, 180))
    limited = resized(frame_of(rgb, pix_fmt, LIMITED), (160, 90))
    full = resized(frame_of(rgb, pix_fmt, FULL), (160, 90))
    assert mean_difference(limited, full) < 1.5


@pytest.mark.parametrize("level", [0, 128, 255])
def test_resize_gray_is_gray(level: int) -> None:
    rgb = np.full((90, 160, 3), level, np.uint8)
    frame = VideoReformatter().reformat(av.VideoFrame.from_ndarray(rgb, format="rgb24"), format="gray")
    frame.color_range = 0
    assert np.abs(resized(frame, (80, 45)).astype(int) - level).max() <= 2


@pytest.mark.parametrize(
    ("src_wh", "dst_wh"),
    [
        pytest.param((1280, 720), (640, 360), id="half"),
        pytest.param((1920, 1080), (640, 360), id="third"),
        pytest.param((1920, 1080), (320, 180), id="sixth"),
        pytest.param((854, 480), (640, 360), id="three-quarters"),
        pytest.param((640, 360), (640, 360), id="same"),
        pytest.param((320, 180), (640, 360), id="double"),
        pytest.param((360, 640), (202, 360), id="portrait"),
        pytest.param((321, 181), (320, 180), id="odd-source"),
        pytest.param((640, 360), (321, 181), id="odd-target"),
        pytest.param((640, 360), (320, 181), id="odd-height"),
        pytest.param((640, 360), (321, 180), id="odd-width"),
    ],
)
def test_resize_any_size_agrees_with_swscale(src_wh: tuple[int, int], dst_wh: tuple[int, int]) -> None:
    rgb = scene(src_wh)
    assert mean_difference(resized(frame_of(rgb, "yuv444p"), dst_wh), reference(rgb, dst_wh)) < 2.0


@pytest.mark.parametrize("dst_wh", [(320, 180), (161, 91), (640, 360), (40, 23)])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("pix_fmt", ["nv12", "nv21"])
def test_resize_chroma_in_pairs_gives_what_chroma_in_planes_does(
    pix_fmt: str, color_range: int, dst_wh: tuple[int, int]
) -> None:
    planar = frame_of(scene((320, 180)), "yuv420p", color_range)
    paired = planar.reformat(format=pix_fmt)
    paired.color_range = color_range
    assert np.abs(resized(paired, dst_wh).astype(int) - resized(planar, dst_wh)).max() <= 1


@pytest.mark.parametrize("dst_wh", [(1, 1), (1, 200), (3, 2)])
def test_resize_tiny_target_gives_the_mean_colour(dst_wh: tuple[int, int]) -> None:
    rgb = np.full((120, 160, 3), (200, 100, 50), np.uint8)
    assert np.abs(resized(frame_of(rgb, "yuv420p"), dst_wh).astype(int) - (200, 100, 50)).max() <= 4


def test_resize_shrinking_much_does_not_alias() -> None:
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resized(frame_of(stripes, "yuv444p"), (320, 180)).astype(int) - 127).max() < 12


def test_resize_fills_all_of_a_picture_and_nothing_else() -> None:
    memory = np.full((62, 100, 3), 7, np.uint8)
    Resizer().resize_into(frame_of(scene((320, 180)), "yuv420p"), memory[1:61].reshape(60, 100, 3))
    assert (memory[0] == 7).all() and (memory[61] == 7).all()
    assert memory[1:61].min() > 7


def test_resize_sizes_may_change_from_picture_to_picture() -> None:
    resizer, rgb = Resizer(), scene((320, 180))
    for wh in [(160, 90), (80, 45), (161, 91), (160, 90)]:
        out = np.zeros((wh[1], wh[0], 3), np.uint8)
        resizer.resize_into(frame_of(rgb, "yuv420p"), out)
        assert mean_difference(out, reference(rgb, wh)) < 3.0


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "nv12", "rgb24"])
def test_resize_keeps_nothing_of_a_picture(pix_fmt: str) -> None:
    resizer, out = Resizer(), np.zeros((90, 160, 3), np.uint8)
    frame = frame_of(scene((320, 180)), pix_fmt)
    holders = sys.getrefcount(frame)
    resizer.resize_into(frame, out)
    assert sys.getrefcount(frame) == holders
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(50):
        resizer.resize_into(frame, out)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000
