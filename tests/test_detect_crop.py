"""Square exports brought to other sizes: a small head made here, where every cell can be followed, and real models."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from pipeline.config.values import Model
from pipeline.detect import load_detector
from pipeline.detect.openvino_crop import NotCroppable, crop
from pipeline.geometry import Letterbox, iou_matrix

DATA = Path(os.environ.get("CAMFLEET_DATA", Path(__file__).parents[2] / "shared" / "data"))
needs_data = pytest.mark.skipif(not (DATA / "models").is_dir(), reason=f"no real models in {DATA}; set CAMFLEET_DATA")

SIDE = 64
MAPS = [(8, 8), (4, 4), (2, 2)]
CELLS = sum(height * width for height, width in MAPS)


def centres() -> np.ndarray[Any, Any]:
    return np.concatenate(
        [np.stack(np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)).reshape(2, -1) for h, w in MAPS], 1
    )[np.newaxis].astype(np.float32)


def strides() -> np.ndarray[Any, Any]:
    return np.repeat(np.array([8, 16, 32], np.float32), [h * w for h, w in MAPS])[np.newaxis, np.newaxis]


def square_export(
    grid: np.ndarray[Any, Any] | None = None, tie: Callable[[Any], Any] = lambda value: value
) -> ov.Model:
    """A YOLO's head without its body: for each cell x, y of its centre in px, and the mean of its pixels."""
    picture = ops.parameter((1, 3, SIDE, SIDE), np.float32)
    means = []
    for height, width in MAPS:
        side = SIDE // width
        pooled = ops.avg_pool(picture, [side, side], [0, 0], [0, 0], [side, side], exclude_pad=True)
        means.append(ops.reshape(pooled, np.array([1, 3, height * width]), special_zero=False))
    grey = ops.reduce_mean(ops.concat(means, 2), np.array(1), keep_dims=True)
    points = ops.multiply(ops.constant(centres() if grid is None else grid), ops.constant(strides()))
    return ov.Model([tie(ops.concat([points, grey], 1))], [picture])


def rows(network: ov.Model, picture: np.ndarray[Any, Any]) -> set[tuple[float, ...]]:
    """One a cell: x, y, mean."""
    found = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([picture])[0]
    return {tuple(row) for row in np.round(found[0].T.astype(float), 3).tolist()}


@pytest.mark.parametrize("to_wh", [(64, 32), (32, 64), (32, 32)], ids=["lower", "narrower", "both"])
def test_crop_gives_every_cell_that_is_left_its_own_place_and_pixels(to_wh: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).random((1, 3, SIDE, SIDE), np.float32)
    whole = rows(square_export(), picture)
    part = rows(crop(square_export(), to_wh, 32), picture[:, :, : to_wh[1], : to_wh[0]])
    assert part == {(x, y, mean) for x, y, mean in whole if x < to_wh[0] and y < to_wh[1]}
    assert len(part) == CELLS * to_wh[0] * to_wh[1] // SIDE**2


@pytest.mark.parametrize("to_wh", [(96, 64), (64, 96), (96, 96), (96, 32)], ids=["wider", "higher", "both", "wide"])
def test_crop_to_more_than_the_network_s_own_size_adds_cells_of_the_same_grid(to_wh: tuple[int, int]) -> None:
    width, height = max(to_wh[0], SIDE), max(to_wh[1], SIDE)
    picture = np.random.default_rng(2).random((1, 3, height, width), np.float32)
    known = {row for row in rows(square_export(), picture[:, :, :SIDE, :SIDE]) if row[1] < to_wh[1]}
    grown = rows(crop(square_export(), to_wh, 32), picture[:, :, : to_wh[1], : to_wh[0]])
    assert known <= grown
    assert len(grown) == CELLS * to_wh[0] * to_wh[1] // SIDE**2


def test_crop_leaves_the_network_it_was_given_as_it_is() -> None:
    network = square_export()
    crop(network, (64, 32), 32)
    assert list(network.input(0).shape) == [1, 3, SIDE, SIDE]
    assert rows(network, np.ones((1, 3, SIDE, SIDE), np.float32))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        pytest.param(lambda: square_export(centres() + 1), "no grid of anchor points", id="another-grid"),
        pytest.param(
            lambda: square_export(
                tie=lambda rows: ops.matmul(rows, ops.constant(np.eye(CELLS, 2, dtype=np.float32)), False, False)
            ),
            "unknown constant",
            id="cells-on-another-axis",
        ),
        pytest.param(
            lambda: square_export(tie=lambda rows: ops.add(rows, ops.constant(np.ones((1, 1, CELLS), np.float32)))),
            "no grid of anchor points",
            id="a-constant-of-unknown-meaning",
        ),
        pytest.param(
            lambda: square_export(tie=lambda rows: ops.reshape(rows, np.array([3, CELLS // 2, 2]), False)),
            "a layer is tied to 64×64",
            id="a-shape-of-unknown-meaning",
        ),
    ],
)
def test_crop_of_a_network_that_is_tied_by_something_else_is_refused(network: Callable[[], ov.Model], why: str) -> None:
    with pytest.raises(NotCroppable, match=why):
        crop(network(), (64, 32), 32)


@needs_data
@pytest.mark.parametrize("name", ["yolo26n_int8_openvino_model", "yolo11n_int8_openvino_model"])
def test_crop_of_a_real_model_finds_the_same_in_a_wide_picture(name: str) -> None:
    import av

    with av.open(str(DATA / "videos" / "town_people_854x480_25fps.mp4")) as video:
        frame = next(iter(video.decode(video=0)))
        picture = frame.to_ndarray(format="rgb24", width=640, height=360)
    found = {}
    for wh in (640, 640), (640, 384):
        detector = load_detector(Model(path=str(DATA / "models" / name), confidence=0.2, input_wh=wh), None)
        assert detector.input_wh == wh
        letterbox = Letterbox.fit((frame.width, frame.height), wh)
        (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
        detector.input(0)[0, top : top + height, left : left + width] = picture
        boxes = detector.detect(0, 1)[0]
        found[wh] = letterbox.to_source(boxes.xyxy), boxes.score
        detector.close()
    (square, score), (wide, _) = found[640, 640], found[640, 384]
    sure = square[score > 0.5]
    assert len(sure) >= 5
    assert (iou_matrix(sure, wide).max(axis=1) > 0.8).all()


@needs_data
def test_crop_is_what_a_fleet_gets_without_asking() -> None:
    detector = load_detector(Model(path=str(DATA / "models" / "yolo26n_int8_openvino_model")), None)
    assert detector.input_wh == (640, 384)
    detector.close()


def test_crop_makes_the_demo_s_model_larger_and_it_finds_the_same() -> None:
    import av
    import cv2

    samples = Path(__file__).parents[1] / "samples"
    with av.open(str(samples / "parking.mp4")) as video:
        picture = next(iter(video.decode(video=0))).to_ndarray(format="rgb24")
    found = {}
    for wh in (640, 384), (768, 448), (512, 288):
        path = str(samples / "model" / "demo_openvino_model")
        detector = load_detector(Model(path=path, confidence=0.2, nms_iou=0.5, input_wh=wh, lanes=1), None)
        assert detector.input_wh == wh
        letterbox = Letterbox.fit((picture.shape[1], picture.shape[0]), wh)
        (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
        detector.input(0)[0, top : top + height, left : left + width] = cv2.resize(picture, (width, height))
        boxes = detector.detect(0, 1)[0]
        found[wh] = letterbox.to_source(boxes.xyxy), boxes.score
        detector.close()
    own, score = found[640, 384]
    sure = own[score > 0.7]
    assert len(sure) >= 5
    for wh in (768, 448), (512, 288):
        assert (iou_matrix(sure, found[wh][0]).max(axis=1) > 0.7).all()
