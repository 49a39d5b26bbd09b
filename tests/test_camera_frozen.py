from __future__ import annotations

import numpy as np
import pytest

from pipeline.camera.frozen import FROZEN_S, Frozen

FPS = 25
HW = (360, 640)


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, HW, np.uint8)


def shown(numbers: list[int], key_every: int = 1) -> Frozen:
    """A stream of these pictures, 25 a second."""
    frozen = Frozen()
    for index, number in enumerate(numbers):
        frozen.see(picture(number), index / FPS, key_frame=index % key_every == 0)
    return frozen


@pytest.mark.parametrize(
    ("numbers", "is_frozen", "unchanged_s"),
    [
        pytest.param([1], False, 0.0, id="one picture"),
        pytest.param(list(range(100)), False, 0.0, id="each another"),
        pytest.param([1, 2] * 50, False, 0.0, id="two in turn"),
        pytest.param([1, *[2] * FPS], False, 0.96, id="the same for a second"),
        pytest.param([1, *[2] * (3 * FPS + 1)], True, FROZEN_S, id="the same for three seconds"),
        pytest.param([*[2] * 100, 3], False, 0.0, id="moves again"),
    ],
)
def test_frozen_after_the_same_picture_for_long_enough(numbers: list[int], is_frozen: bool, unchanged_s: float):
    seen = shown(numbers)
    assert (seen.frozen, seen.unchanged_s) == (is_frozen, pytest.approx(unchanged_s))


@pytest.mark.parametrize(
    ("key_every", "is_frozen"),
    [pytest.param(1000, False, id="no key frame since"), pytest.param(50, True, id="a key frame shows it again")],
)
def test_frozen_needs_a_key_frame_that_shows_the_same(key_every: int, is_frozen: bool):
    assert shown([1] * 200, key_every).frozen is is_frozen


def test_frozen_sees_a_small_object_move_in_a_still_scene():
    frozen, still = Frozen(), picture(0)
    for index in range(200):
        moved = still.copy()
        moved[100:116, index : index + 16] = 255
        assert not frozen.see(moved, index / FPS)


def test_frozen_ignores_what_lies_between_the_rows_of_a_plane():
    frozen = Frozen()
    for index in range(100):
        plane = np.full((HW[0], HW[1] + 32), index, np.uint8)
        plane[:, : HW[1]] = picture(0)
        frozen.see(plane[:, : HW[1]], index / FPS)
    assert frozen.frozen


@pytest.mark.parametrize("hw", [(1, 1), (90, 160), (2160, 3840)])
def test_frozen_takes_any_size(hw: tuple[int, int]):
    frozen = Frozen(after_s=0.0)
    assert [frozen.see(np.zeros(hw, np.uint8), at_s) for at_s in (0.0, 1.0)] == [False, True]
