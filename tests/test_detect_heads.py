from __future__ import annotations

import numpy as np
import pytest

from pipeline.detect.classes import Wanted, select
from pipeline.detect.heads import (
    MAX_BOXES,
    ByValues,
    Classic,
    ClassicRows,
    EndToEnd,
    Labelled,
    WholePicture,
    WithObjectness,
    choose_head,
    suppress,
)
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import iou_matrix

PERSON, CAR = 0, 1


def wanted(confidence: float = 0.25, nms_iou: float = 0.5, of_class: tuple[bool, ...] = (True, True)) -> Wanted:
    return Wanted(confidence, nms_iou, np.array(of_class))


def classic(*columns: tuple[float, float, float, float, float, float]) -> np.ndarray:
    """One picture's output (1, 6, anchors): centre x, centre y, width, height, person's score, car's score."""
    return np.array(columns, np.float32).reshape(-1, 6).T[None]


def found(detections: Detections) -> list[tuple[int, float, list[float]]]:
    return [
        (int(class_id), round(float(score), 3), xyxy.tolist())
        for class_id, score, xyxy in zip(detections.class_id, detections.score, detections.xyxy, strict=True)
    ]


def test_end_to_end_rows_below_confidence_or_unwanted_are_left_out() -> None:
    rows = np.array([[1, 2, 3, 4, 0.9, CAR], [5, 6, 7, 8, 0.8, PERSON], [1, 1, 2, 2, 0.2, CAR]], np.float32)
    assert found(EndToEnd(wanted()).decode(rows[None])[0]) == [(CAR, 0.9, [1, 2, 3, 4]), (PERSON, 0.8, [5, 6, 7, 8])]
    only_cars = EndToEnd(wanted(of_class=(False, True))).decode(rows[None])[0]
    assert found(only_cars) == [(CAR, 0.9, [1, 2, 3, 4])]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param((0.2, 0.8), [(CAR, 0.8, [0, 0, 64, 32])], id="likelihoods"),
        pytest.param((-1.0, 1.0), [(CAR, 0.881, [0, 0, 64, 32])], id="scores become likelihoods"),
        pytest.param((0.6, 0.4), [(PERSON, 0.6, [0, 0, 64, 32])], id="the other class"),
    ],
)
def test_classifier_gives_its_likeliest_class_as_a_box_of_the_whole_input(
    scores: tuple[float, float], expected: list[tuple[int, float, list[float]]]
) -> None:
    head = choose_head((0, 2), 2, wanted(), (64, 32))
    assert isinstance(head, WholePicture)
    output = np.array([scores, scores], np.float32)
    decoded = head.decode(output)
    output[:] = 0
    assert [found(each) for each in decoded] == [expected, expected]


def test_classifier_leaves_out_what_is_unwanted_or_unlikely() -> None:
    output = np.array([[0.3, 0.7]], np.float32)
    assert found(WholePicture(wanted(of_class=(True, False)), (8, 8)).decode(output)[0]) == [
        (PERSON, 0.3, [0, 0, 8, 8])
    ]
    assert found(WholePicture(wanted(confidence=0.8), (8, 8)).decode(output)[0]) == []


def test_end_to_end_result_does_not_change_when_the_output_is_overwritten() -> None:
    output = np.array([[[1, 2, 3, 4, 0.9, CAR]]], np.float32)
    detections = EndToEnd(wanted()).decode(output)[0]
    output[:] = 0
    assert found(detections) == [(CAR, 0.9, [1, 2, 3, 4])]


A = (50, 50, 20, 20)
A_SHIFTED = (52, 50, 20, 20)
"""IoU with A: 18 of 22."""
FAR = (150, 50, 20, 20)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param([], [], id="no-anchors"),
        pytest.param([(*A, 0.2, 0.1)], [], id="below-confidence"),
        pytest.param([(*A, 0.3, 0.9)], [(CAR, 0.9, [40, 40, 60, 60])], id="the-better-class-alone"),
        pytest.param([(*A, 0.6, 0), (*A_SHIFTED, 0.9, 0)], [(PERSON, 0.9, [42, 40, 62, 60])], id="same-class-overlap"),
        pytest.param(
            [(*A, 0.6, 0), (*A_SHIFTED, 0, 0.9)],
            [(CAR, 0.9, [42, 40, 62, 60]), (PERSON, 0.6, [40, 40, 60, 60])],
            id="overlap-of-two-classes-keeps-both",
        ),
        pytest.param(
            [(*A, 0.6, 0), (*FAR, 0.7, 0)],
            [(PERSON, 0.7, [140, 40, 160, 60]), (PERSON, 0.6, [40, 40, 60, 60])],
            id="apart-keeps-both-best-first",
        ),
    ],
)
def test_classic_head_table(columns: list[tuple[float, ...]], expected: list[tuple[int, float, list[float]]]) -> None:
    assert found(Classic(wanted()).decode(classic(*columns))[0]) == expected


def test_classic_head_unwanted_best_class_does_not_come_back_as_its_second_best() -> None:
    head = Classic(wanted(of_class=(True, False)))
    assert len(head.decode(classic((*A, 0.6, 0.9)))[0]) == 0


def test_classic_head_of_two_pictures_keeps_them_apart() -> None:
    output = np.concatenate([classic((*A, 0.9, 0)), classic((*FAR, 0, 0.8))])
    first, second = Classic(wanted()).decode(output)
    assert (found(first), found(second)) == ([(PERSON, 0.9, [40, 40, 60, 60])], [(CAR, 0.8, [140, 40, 160, 60])])


def test_classic_head_gives_at_most_max_boxes_and_the_best_of_them() -> None:
    columns = [(1000 * i, 50, 20, 20, 0.3 + i * 1e-3, 0) for i in range(MAX_BOXES + 100)]
    detections = Classic(wanted()).decode(classic(*columns))[0]
    assert len(detections) == MAX_BOXES
    assert detections.score.min() == pytest.approx(0.3 + 100e-3, abs=1e-6)


def greedy(detections: Detections, most_iou: float) -> list[int]:
    """The textbook's loop."""
    iou = iou_matrix(detections.xyxy, detections.xyxy)
    kept: list[int] = []
    for row in range(len(detections)):
        if all(detections.class_id[k] != detections.class_id[row] or iou[k, row] <= most_iou for k in kept):
            kept.append(row)
    return kept


@pytest.mark.parametrize("most_iou", [0.05, 0.3, 0.7])
@pytest.mark.parametrize("count", [0, 1, 40, 250])
def test_suppress_random_boxes_equals_the_textbook(count: int, most_iou: float) -> None:
    random = np.random.default_rng(count)
    corner = random.uniform(0, 200, (count, 2))
    xyxy = np.concatenate([corner, corner + random.uniform(10, 80, (count, 2))], axis=1).astype(np.float32)
    score = -np.sort(-random.random(count)).astype(np.float32)
    detections = Detections(xyxy, score, random.integers(0, 3, count).astype(np.int32))
    assert suppress(detections, most_iou).tolist() == greedy(detections, most_iou)


ANCHORS = 8400


def rows(*found_rows: tuple[float, ...], total: int = ANCHORS) -> np.ndarray:
    """One picture's output (1, total, columns), the rest of it zeros."""
    output = np.zeros((1, total, len(found_rows[0])), np.float32)
    output[0, : len(found_rows)] = found_rows
    return output


def test_with_objectness_a_score_is_the_product_and_each_object_comes_once() -> None:
    head = choose_head((1, 3 * ANCHORS, 7), 2, wanted(), (640, 640))
    output = rows((*A, 0.9, 0.1, 0.8), (*A_SHIFTED, 0.8, 0.1, 0.8), (*FAR, 0.9, 0.2, 0.1), total=3 * ANCHORS)
    assert found(head.decode(output)[0]) == [(CAR, 0.72, [40, 40, 60, 60])]


def test_one_class_with_objectness_is_not_taken_for_corners_and_a_label() -> None:
    head = choose_head((1, 3 * ANCHORS, 6), 1, wanted(of_class=(True,)), (640, 640))
    output = rows((*A, 0.9, 0.95), (*A_SHIFTED, 0.8, 0.95), total=3 * ANCHORS)
    assert found(head.decode(output)[0]) == [(PERSON, 0.855, [40, 40, 60, 60])]


@pytest.mark.parametrize(("total", "class_count"), [(ANCHORS, 2), (3 * ANCHORS, 1), (ANCHORS, 80), (3 * ANCHORS, 80)])
def test_labelled_rows_of_every_anchor_are_suppressed(total: int, class_count: int) -> None:
    head = choose_head((1, total, 6), class_count, wanted(of_class=(True,) * class_count), (640, 640))
    output = rows((40, 40, 60, 60, 0.9, 0), (42, 40, 62, 60, 0.8, 0), (5, 5, 9, 9, 0.1, 0), total=total)
    assert found(head.decode(output)[0]) == [(PERSON, 0.9, [40, 40, 60, 60])]


@pytest.mark.parametrize("class_count", [2, 3])
def test_classic_rows_are_those_of_classic_columns(class_count: int) -> None:
    head = choose_head((1, ANCHORS, 4 + class_count), class_count, wanted(of_class=(True,) * class_count), (640, 640))
    output = rows((*A, 0.6, 0.3, *(0.0,) * (class_count - 2)), (*FAR, 0.1, 0.7, *(0.0,) * (class_count - 2)))
    assert found(head.decode(output)[0]) == [(CAR, 0.7, [140, 40, 160, 60]), (PERSON, 0.6, [40, 40, 60, 60])]


@pytest.mark.parametrize("total", [ANCHORS, 3 * ANCHORS])
def test_one_class_with_objectness_whose_class_is_certain_is_not_taken_for_a_label(total: int) -> None:
    head = choose_head((1, total, 6), 1, wanted(of_class=(True,)), (640, 640))
    output = rows((*A, 0.9, 1.0), (*A_SHIFTED, 0.8, 1.0), total=total)
    assert found(head.decode(output)[0]) == [(PERSON, 0.9, [40, 40, 60, 60])]


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1)], ids=["rows", "columns"])
def test_two_classes_whose_scores_are_whole_numbers_are_not_taken_for_labels(axes: tuple[int, int, int]) -> None:
    output = rows((*A, 0.9, 0.0), (*FAR, 0.0, 1.0)).transpose(axes)
    head = choose_head(output.shape, 2, wanted(), (640, 640))
    assert found(head.decode(output)[0]) == [(CAR, 1.0, [140, 40, 160, 60]), (PERSON, 0.9, [40, 40, 60, 60])]


def test_labelled_columns_of_two_classes_are_not_taken_for_scores() -> None:
    output = rows((40, 40, 60, 60, 0.9, 1), (42, 40, 62, 60, 0.8, 1)).transpose(0, 2, 1)
    head = choose_head(output.shape, 2, wanted(), (640, 640))
    assert found(head.decode(output)[0]) == [(CAR, 0.9, [40, 40, 60, 60])]


@pytest.mark.parametrize("shape", [(1, 300, 6), (1, ANCHORS, 6)])
def test_label_without_a_name_says_what_to_do(shape: tuple[int, int, int]) -> None:
    head = choose_head(shape, 3, wanted(of_class=(True,) * 3), (640, 640))
    with pytest.raises(DetectorError, match=r"labels an object 5, but its description names 3 classes; put the"):
        head.decode(rows((40, 40, 60, 60, 0.9, 5), total=shape[1]))


def test_nothing_found_is_nothing_in_every_layout() -> None:
    for shape, count in (
        ((1, 25200, 6), 1),
        ((1, 8400, 6), 2),
        ((1, 25200, 7), 2),
        ((1, 6, 8400), 2),
        ((1, 300, 6), 2),
    ):
        head = choose_head(shape, count, wanted(of_class=(True,) * count), (640, 640))
        assert len(head.decode(np.zeros(shape, np.float32))[0]) == 0


@pytest.mark.parametrize(
    ("shape", "class_count", "head"),
    [
        pytest.param((1, 300, 6), 80, EndToEnd, id="end-to-end"),
        pytest.param((1, 84, 8400), 80, Classic, id="classic"),
        pytest.param((4, 6, 8400), 2, ByValues, id="classic-of-two-classes"),
        pytest.param((1, 8400, 84), 80, ClassicRows, id="classic-as-rows"),
        pytest.param((1, 25200, 85), 80, WithObjectness, id="objectness"),
        pytest.param((1, 8400, 85), 80, WithObjectness, id="objectness-without-anchor-boxes"),
        pytest.param((1, 8400, 6), 80, Labelled, id="labelled"),
        pytest.param((1, 300, 6), 296, EndToEnd, id="end-to-end-of-as-many-classes-as-rows"),
        pytest.param((1, 8500, 84), 80, ClassicRows, id="classic-as-rows-with-p6"),
        pytest.param((1, 25500, 85), 80, WithObjectness, id="objectness-with-p6"),
        pytest.param((1, 34000, 6), 80, Labelled, id="labelled-with-p2"),
    ],
)
def test_choose_head_by_shape(shape: tuple[int, ...], class_count: int, head: type) -> None:
    assert isinstance(choose_head(shape, class_count, wanted(), (640, 640)), head)


@pytest.mark.parametrize(
    ("shape", "class_count"),
    [
        pytest.param((1, 1000), 80, id="classifier-of-other-classes"),
        pytest.param((1, 116, 8400), 80, id="segmentation"),
        pytest.param((1, 84, 8400), 3, id="names-of-another-model"),
        pytest.param((1, 6, 300), 2, id="end-to-end-transposed"),
        pytest.param((1, 7, 25200), 2, id="objectness-transposed"),
    ],
)
def test_choose_head_of_another_kind_of_model_says_what_is_needed(shape: tuple[int, ...], class_count: int) -> None:
    with pytest.raises(DetectorError, match=r"output has shape .* export a detection model"):
        choose_head(shape, class_count, wanted(), (640, 640))


def test_select_unknown_class_suggests_the_near_one_and_lists_all() -> None:
    with pytest.raises(DetectorError, match=r"'persn'; did you mean 'person'\? It knows person, car"):
        select(("person", "car"), ("car", "persn"))


def test_select_keeps_the_asked_classes() -> None:
    assert select(("person", "car", "bus"), ("bus", "person")).tolist() == [True, False, True]
    assert select(("person", "car"), None).tolist() == [True, True]
