from __future__ import annotations

import pytest

from pipeline.detect.shape import buckets, input_for, smallest
from pipeline.geometry import Letterbox, WidthHeight


@pytest.mark.parametrize(
    ("own", "cameras", "expected"),
    [
        pytest.param((640, 640), [], (640, 384), id="cameras-unknown-are-16:9"),
        pytest.param((640, 640), [(1280, 720), (640, 360)], (640, 384), id="16:9"),
        pytest.param((1280, 1280), [(1280, 720)], (1280, 736), id="16:9-of-a-larger-model"),
        pytest.param((640, 640), [(640, 480)], (640, 480), id="4:3"),
        pytest.param((640, 640), [(640, 480), (1920, 1080)], (640, 480), id="the-higher-of-two"),
        pytest.param((640, 640), [(720, 1280)], (384, 640), id="upright"),
        pytest.param((640, 640), [(720, 1280), (1280, 720)], (640, 640), id="upright-and-flat"),
        pytest.param((640, 640), [(5000, 50)], (640, 32), id="a-strip"),
        pytest.param((960, 544), [(640, 480)], (960, 544), id="a-model-made-for-a-shape-keeps-it"),
    ],
)
def test_input_for_cameras(own: WidthHeight, cameras: list[WidthHeight], expected: WidthHeight) -> None:
    assert input_for(own, cameras, 32) == expected


@pytest.mark.parametrize("camera", [(1280, 720), (854, 480), (640, 480), (704, 576), (480, 640), (3000, 1000)])
def test_input_for_cameras_shows_each_as_large_as_the_square_would(camera: WidthHeight) -> None:
    chosen = input_for((640, 640), [camera, (1280, 720)], 32)
    assert Letterbox.fit(camera, chosen).content_wh >= Letterbox.fit(camera, (640, 640)).content_wh


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (3, (1, 2, 3)),
        (4, (1, 2, 4)),
        (6, (1, 2, 4, 6)),
        (16, (1, 2, 4, 8, 16)),
        (17, (1, 2, 4, 8, 16, 17)),
    ],
)
def test_buckets_double_up_to_the_most(most: int, expected: tuple[int, ...]) -> None:
    assert buckets(most) == expected


def test_smallest_bucket_that_holds_the_count() -> None:
    assert [smallest((1, 2, 4, 6), count) for count in range(1, 7)] == [1, 2, 4, 4, 6, 6]
    assert smallest((8,), 1) == 8
