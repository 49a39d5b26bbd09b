"""Camera motion from pictures, and what the tracker makes of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.evaluate.mot import read_sequence
from pipeline.evaluate.tracking import Setup, track
from pipeline.track.gmc import (
    LEAST_SIDE,
    SMALL_HEIGHT,
    SMALL_WIDTH,
    Affine,
    CameraMotion,
    estimate,
    identity,
    read_small,
    scaled,
    shrink,
)
from pipeline.track.tracker import Tracker, TrackerConfig
from tests.test_evaluate import FRAMES, write_sequence


def texture(width: int = 900, height: int = 700) -> NDArray[np.uint8]:
    """Blobs of all sizes, grey."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height // 10, width // 10), np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("shift", [(0, 0), (9, 0), (-14, 6)], ids=["still", "pan", "pan and tilt"])
def test_estimate_moved_window_is_the_move(shift: tuple[int, int]) -> None:
    scene = texture()
    before = scene[100:400, 100:500]
    after = scene[100 - shift[1] : 400 - shift[1], 100 - shift[0] : 500 - shift[0]]
    found = estimate(before, after)
    np.testing.assert_allclose(found[:, 2], shift, atol=0.5)
    np.testing.assert_allclose(found[:, :2], np.eye(2), atol=0.01)


def test_estimate_object_that_moves_by_itself_is_not_the_camera() -> None:
    before = texture(400, 300)
    after = before.copy()
    after[100:200, 120:220] = before[100:200, 108:208]
    np.testing.assert_allclose(estimate(before, after), identity(), atol=0.5)


def test_estimate_colour_pictures_are_as_good_as_grey() -> None:
    scene = np.repeat(texture()[:, :, None], 3, axis=2)
    found = estimate(scene[100:400, 100:500], scene[100:400, 95:495])
    np.testing.assert_allclose(found[:, 2], (5, 0), atol=0.5)


def test_estimate_pictures_with_nothing_in_them_say_nothing() -> None:
    blank = np.full((180, 320), 90, np.uint8)
    np.testing.assert_array_equal(estimate(blank, blank), identity())
    np.testing.assert_array_equal(estimate(texture(320, 180), blank), identity())


def test_scaled_motion_of_the_small_picture_is_that_of_the_large_one() -> None:
    scene = texture()
    before, after = scene[20:620, 20:820], scene[20:620, 8:808]
    small_before, small_after = shrink(before), shrink(after)
    assert small_before.shape == (240, 320)
    found = scaled(estimate(small_before, small_after), 800 / 320)
    np.testing.assert_allclose(found[:, 2], (12, 0), atol=1.0)


COLOURS = [
    pytest.param((255, 0, 0), 76, id="red"),
    pytest.param((0, 255, 0), 150, id="green"),
    pytest.param((0, 0, 255), 29, id="blue"),
]
"""RGB, and the grey of BT.601's weights 0.299, 0.587, 0.114."""


@pytest.mark.parametrize(("rgb", "grey"), COLOURS)
def test_shrink_pure_colour_has_the_grey_of_rgb(rgb: tuple[int, int, int], grey: int) -> None:
    assert np.unique(shrink(np.full((36, 64, 3), rgb, np.uint8))).tolist() == [grey]


@pytest.mark.parametrize(("rgb", "grey"), COLOURS)
def test_read_small_pure_colour_of_a_file_has_the_same_grey(
    rgb: tuple[int, int, int], grey: int, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((36, 64, 3), rgb[::-1], np.uint8))
    assert np.unique(read_small(tmp_path / "colour.png")).tolist() == [grey]


@pytest.mark.parametrize(
    ("wh", "small_wh"),
    [
        pytest.param((1920, 1080), (320, 180), id="wide"),
        pytest.param((1080, 1920), (320, 569), id="upright"),
        pytest.param((640, 384), (320, 192), id="slot"),
        pytest.param((1, 1080), (1, 640), id="a column"),
        pytest.param((1920, 1), (320, 1), id="a row"),
        pytest.param((100, 20_000), (3, 640), id="a strip"),
        pytest.param((2, 2), (2, 2), id="next to nothing"),
    ],
)
def test_shrink_picture_of_any_shape_is_bounded_on_both_sides(wh: tuple[int, int], small_wh: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (wh[1], wh[0], 3), np.uint8)
    small = shrink(picture)
    assert small.shape[::-1] == small_wh
    assert small.shape[1] <= SMALL_WIDTH and small.shape[0] <= SMALL_HEIGHT
    if min(small_wh) < LEAST_SIDE:
        np.testing.assert_array_equal(estimate(small, small), identity())


def test_shrink_upright_picture_in_a_slot_still_tells_the_move() -> None:
    scene = texture()
    before, after = shrink(scene[100:484, 100:316]), shrink(scene[100:484, 94:310])
    np.testing.assert_allclose(estimate(before, after)[:, 2], (6, 0), atol=0.5)


def test_camera_motion_between_pictures_of_two_sizes_is_not_known_and_then_is_again() -> None:
    scene = texture()
    told: list[Affine] = []
    tracker = Tracker(TrackerConfig(), (640, 480))
    tracker.compensate = told.append  # type: ignore[method-assign]
    motion = CameraMotion(tracker, 640)
    motion.see(scene[100:340, 100:420])
    motion.see(scene[100:292, 100:356])  # another model has taken over
    assert told == []
    motion.see(scene[100:292, 94:350])
    assert len(told) == 1
    np.testing.assert_allclose(told[0][:, 2], (15, 0), atol=1.0)


def test_read_small_no_picture_is_told_with_the_file(tmp_path: Path) -> None:
    broken = tmp_path / "000001.jpg"
    broken.write_bytes(b"no jpeg")
    with pytest.raises(OSError, match="000001"):
        read_small(broken)


def test_track_gmc_with_pictures_of_a_still_camera_changes_little(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "walk")
    (folder / "img1").mkdir()
    for frame in range(1, FRAMES + 1):
        cv2.imwrite(str(folder / "img1" / f"{frame:06}.png"), texture(800, 600))
    sequence = read_sequence(folder, second_half=False)
    with_it, without = track(sequence, Setup(3, gmc=True)), track(sequence, Setup(3))
    for a, b in zip(with_it.tracks, without.tracks, strict=True):
        np.testing.assert_array_equal(a.track_id, b.track_id)
        np.testing.assert_allclose(a.xyxy, b.xyxy, atol=1.0)
