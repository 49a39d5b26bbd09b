from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry import Boxes, Letterbox, areas, clip, iou_matrix

NO_BOXES: Boxes = np.zeros((0, 4), np.float32)

_SIDE_PX = st.integers(16, 4096)
_SIZE_WH = st.tuples(_SIDE_PX, _SIDE_PX)


def boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 4)


@st.composite
def boxes_in(draw: st.DrawFn, picture_wh: tuple[int, int]) -> Boxes:
    """Up to eight boxes inside a picture."""
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        x1, x2 = sorted(draw(st.floats(0, picture_wh[0], width=32)) for _ in range(2))
        y1, y2 = sorted(draw(st.floats(0, picture_wh[1], width=32)) for _ in range(2))
        rows.append((x1, y1, x2, y2))
    return boxes(*rows)


def test_letterbox_no_boxes_stay_no_boxes() -> None:
    fit = Letterbox.fit((1280, 720), (640, 384))
    for mapped in (fit.to_model(NO_BOXES), fit.to_source(NO_BOXES)):
        assert mapped.shape == (0, 4)
        assert mapped.dtype == np.float32


def test_clip_and_areas_and_iou_no_boxes_give_empty_arrays_of_the_right_shape() -> None:
    some = boxes((0, 0, 1, 1), (2, 2, 3, 3))
    assert clip(NO_BOXES, (640, 480)).shape == (0, 4)
    assert areas(NO_BOXES).shape == (0,)
    assert iou_matrix(NO_BOXES, some).shape == (0, 2)
    assert iou_matrix(some, NO_BOXES).shape == (2, 0)
    assert iou_matrix(NO_BOXES, NO_BOXES).shape == (0, 0)


@pytest.mark.parametrize(
    ("src_wh", "dst_wh", "content_wh", "pad_xy"),
    [
        pytest.param((640, 640), (640, 640), (640, 640), (0, 0), id="same size"),
        pytest.param((1280, 720), (640, 640), (640, 360), (0, 140), id="16:9 in a square: bars above and below"),
        pytest.param((1280, 720), (640, 384), (640, 360), (0, 12), id="16:9 in 5:3: thin bars"),
        pytest.param((720, 1280), (640, 640), (360, 640), (140, 0), id="portrait: bars left and right"),
        pytest.param((320, 180), (640, 384), (640, 360), (0, 12), id="a small picture is enlarged"),
        pytest.param((641, 479), (640, 480), (640, 478), (0, 1), id="odd size"),
        pytest.param((4000, 2), (640, 640), (640, 1), (0, 319), id="a strip keeps one line"),
    ],
)
def test_letterbox_fit_places_the_picture_in_the_middle(
    src_wh: tuple[int, int], dst_wh: tuple[int, int], content_wh: tuple[int, int], pad_xy: tuple[int, int]
) -> None:
    fit = Letterbox.fit(src_wh, dst_wh)
    assert (fit.content_wh, fit.pad_xy) == (content_wh, pad_xy)


@pytest.mark.parametrize("src_wh", [(0, 480), (640, -1)], ids=["no width", "negative height"])
def test_letterbox_fit_impossible_size_is_refused(src_wh: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Letterbox.fit(src_wh, (640, 640))


def test_letterbox_to_model_picture_corners_are_content_corners() -> None:
    fit = Letterbox.fit((1920, 1080), (640, 640))
    assert fit.to_model(boxes((0, 0, 1920, 1080))).tolist() == [[0, 140, 640, 500]]


def test_letterbox_to_source_box_in_the_padding_is_cut_off_at_the_edge() -> None:
    fit = Letterbox.fit((1280, 720), (640, 640))
    assert fit.to_source(boxes((10, 100, 20, 160))).tolist() == [[20, 0, 40, 40]]


@given(st.data(), _SIZE_WH, _SIZE_WH)
def test_letterbox_to_model_and_back_is_the_same_box(
    data: st.DataObject, src_wh: tuple[int, int], dst_wh: tuple[int, int]
) -> None:
    fit = Letterbox.fit(src_wh, dst_wh)
    there = data.draw(boxes_in(src_wh))
    # A float32 in the model's pixels is off by up to 2⁻²⁴ of the input's side, times the scale on the way back.
    one_step_px = 2**-22 * max(*dst_wh, *src_wh) * max(1.0, *(1 / scale for scale in fit.scale_xy))
    np.testing.assert_allclose(fit.to_source(fit.to_model(there)), there, atol=one_step_px, rtol=0)


@given(_SIZE_WH, _SIZE_WH)
def test_letterbox_fit_any_size_fills_one_axis_and_stays_inside(
    src_wh: tuple[int, int], dst_wh: tuple[int, int]
) -> None:
    fit = Letterbox.fit(src_wh, dst_wh)
    assert any(fit.content_wh[axis] == dst_wh[axis] for axis in (0, 1))
    for axis in (0, 1):
        right_pad = dst_wh[axis] - fit.content_wh[axis] - fit.pad_xy[axis]
        assert 0 <= fit.pad_xy[axis] <= right_pad <= fit.pad_xy[axis] + 1


def test_clip_box_outside_has_no_area_left() -> None:
    inside = clip(boxes((-10, -10, 5, 5), (700, 10, 800, 20)), (640, 480))
    assert inside.tolist() == [[0, 0, 5, 5], [640, 10, 640, 20]]
    assert areas(inside).tolist() == [25, 0]


def test_areas_inverted_box_is_zero() -> None:
    assert areas(boxes((0, 0, 2, 3), (5, 0, 1, 3))).tolist() == [6, 0]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param((0, 0, 10, 10), 1.0, id="itself"),
        pytest.param((5, 0, 15, 10), 1 / 3, id="half over half"),
        pytest.param((0, 0, 5, 10), 0.5, id="half of it"),
        pytest.param((10, 0, 20, 10), 0.0, id="touching"),
        pytest.param((20, 20, 30, 30), 0.0, id="apart on both axes"),
        pytest.param((5, 5, 5, 5), 0.0, id="a point"),
    ],
)
def test_iou_matrix_pair_is_intersection_over_union(other: tuple[float, float, float, float], expected: float) -> None:
    assert iou_matrix(boxes((0, 0, 10, 10)), boxes(other))[0, 0] == pytest.approx(expected)


def test_iou_matrix_two_points_are_zero_and_not_nan() -> None:
    assert iou_matrix(boxes((1, 1, 1, 1)), boxes((1, 1, 1, 1))).tolist() == [[0.0]]


@given(boxes_in((640, 480)), boxes_in((640, 480)))
def test_iou_matrix_any_boxes_are_symmetric_and_between_0_and_1(a: Boxes, b: Boxes) -> None:
    iou = iou_matrix(a, b)
    assert iou.shape == (len(a), len(b))
    assert iou.dtype == np.float32
    assert np.all((iou >= 0) & (iou <= 1 + 1e-5))
    np.testing.assert_allclose(iou, iou_matrix(b, a).T, rtol=1e-5)
