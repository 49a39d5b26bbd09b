"""Average precision: of boxes made up here, on data sets, and of the sample model on its recordings."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import yaml

from pipeline.camera.resize import Resizer
from pipeline.config import load_fleet
from pipeline.config.values import Model
from pipeline.detect import PAD_GREY
from pipeline.detections import Detections
from pipeline.errors import EvaluationError
from pipeline.evaluate.precision import Truth
from pipeline.levers.accuracy import accuracy
from pipeline.levers.dataset import exam_of as exam_of_dataset
from pipeline.levers.dataset import read_dataset
from pipeline.levers.detecting import Seen, detect_all, exam_by
from pipeline.levers.pictures import Exam, Picture, laid, picture_file
from pipeline.levers.recordings import exam_of, frames_of, grounds_of, spread, write_pictures
from tests.float_model import SAMPLE

SAMPLES = SAMPLE.parents[1]
NEAR, FAR, OTHER = (10, 10, 60, 90), (200, 40, 230, 100), (300, 200, 420, 260)

DATA = Path(os.environ.get("CAMFLEET_DATA", Path(__file__).parents[2] / "shared" / "data"))
needs_data = pytest.mark.skipif(not (DATA / "coco").is_dir(), reason=f"no labelled pictures in {DATA}")


def never() -> av.VideoFrame:
    raise AssertionError("nobody looks at the picture")


def truth(*objects: tuple[tuple[int, ...], int, bool]) -> Truth:
    return Truth(
        np.array([xyxy for xyxy, _, _ in objects], np.float32).reshape(-1, 4),
        np.array([class_id for _, class_id, _ in objects], np.int32),
        np.array([asked for _, _, asked in objects], bool),
    )


def exam(*truths: Truth) -> Exam:
    return Exam((Picture("one", never),) * len(truths), truths, ("person", "car"), "made up")


def seen(*pictures: list[tuple[tuple[int, ...], float, int]], names: tuple[str, ...] = ("person", "car")) -> Seen:
    found = tuple(
        Detections(
            np.array([xyxy for xyxy, _, _ in boxes], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in boxes], np.float32),
            np.array([class_id for _, _, class_id in boxes], np.int32),
        )
        for boxes in pictures
    )
    return Seen(found, names)


def test_accuracy_of_perfect_boxes_is_whole() -> None:
    asked = exam(truth((NEAR, 0, True), (FAR, 1, True)), truth((OTHER, 1, True)))
    got = accuracy(asked, seen([(NEAR, 0.9, 0), (FAR, 0.5, 1)], [(OTHER, 0.7, 1)]))
    assert (got.map50, got.map50_95, got.pictures, got.objects) == (100, 100, 2, 3)
    assert {name: one.objects for name, one in got.classes.items()} == {"person": 1, "car": 2}


def test_accuracy_of_a_model_with_other_ids_goes_by_names() -> None:
    asked = exam(truth((NEAR, 0, True), (FAR, 1, True)))
    got = accuracy(asked, seen([(NEAR, 0.9, 2), (FAR, 0.5, 0), (OTHER, 0.9, 1)], names=("car", "dog", "person")))
    assert got.map50_95 == 100, "and what the pictures do not ask for is no mistake"


def test_accuracy_missed_and_displaced_objects_cost() -> None:
    asked = exam(truth((NEAR, 0, True), (OTHER, 1, True)))
    shifted = (310, 200, 430, 260)
    got = accuracy(asked, seen([(shifted, 0.9, 1)]))
    assert got.classes["person"].ap50_95 == 0
    assert got.classes["car"].ap50 == 100 and 0 < got.classes["car"].ap50_95 < 100
    assert got.map50 == 50


def test_accuracy_a_box_of_another_class_is_wrong() -> None:
    assert accuracy(exam(truth((NEAR, 0, True))), seen([(NEAR, 0.9, 1)])).map50 == 0


def test_accuracy_what_is_not_asked_for_is_neither_wanted_nor_false() -> None:
    asked = exam(truth((NEAR, 0, True), (FAR, 0, False)))
    right = [(NEAR, 0.5, 0)]
    assert accuracy(asked, seen(right)).map50_95 == 100
    assert accuracy(asked, seen([*right, (FAR, 0.9, 0)])).map50_95 == 100
    assert accuracy(asked, seen([*right, (OTHER, 0.9, 0)])).map50_95 == 50


def test_accuracy_of_nothing_found_is_zero() -> None:
    got = accuracy(exam(truth((NEAR, 0, True))), seen([]))
    assert (got.map50, got.map50_95) == (0, 0)
    assert list(got.classes) == ["person"]


def test_accuracy_without_anything_asked_is_told() -> None:
    with pytest.raises(EvaluationError, match="no object on them"):
        accuracy(exam(truth((NEAR, 0, False))), seen([(NEAR, 0.9, 0)]))


def test_accuracy_of_a_model_that_knows_other_things_is_told() -> None:
    with pytest.raises(EvaluationError, match="the model knows none of it: it knows dog"):
        accuracy(exam(truth((NEAR, 0, True))), seen([(NEAR, 0.9, 0)], names=("dog",)))


def test_exam_only_asks_for_the_classes_named() -> None:
    asked = exam(truth((NEAR, 0, True), (FAR, 1, True))).only(["car"])
    assert asked.objects == 1
    assert list(accuracy(asked, seen([(FAR, 0.9, 1)])).classes) == ["car"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two pictures 200×100 with labels, one without, and its YAML."""
    for part in ("images/val", "labels/val", "images/train"):
        (tmp_path / "set" / part).mkdir(parents=True)
    for name in ("a", "b", "c"):
        cv2.imwrite(str(tmp_path / f"set/images/val/{name}.png"), np.zeros((100, 200, 3), np.uint8))
    (tmp_path / "set/labels/val/a.txt").write_text("0 0.5 0.5 0.2 0.4\n1 0.1 0.1 0.1 0.1\n")
    (tmp_path / "set/labels/val/b.txt").write_text("1 0.2 0.2 0.4 0.2 0.4 0.6 0.2 0.6\n")
    file = tmp_path / "data.yaml"
    file.write_text(yaml.safe_dump({"path": "set", "train": "images/train", "val": "images/val", "names": ["p", "c"]}))
    return file


def test_dataset_labels_become_boxes_in_pixels(dataset: Path) -> None:
    asked = exam_of_dataset(read_dataset(dataset))
    assert (asked.class_names, asked.objects, len(asked.pictures)) == (("p", "c"), 3, 3)
    assert asked.truths[0].xyxy.tolist() == [pytest.approx([80, 30, 120, 70]), pytest.approx([10, 5, 30, 15])]
    assert asked.truths[1].xyxy.tolist() == [pytest.approx([40, 20, 80, 60])], "an outline counts as the box around it"
    assert len(asked.truths[2]) == 0
    assert asked.words == "3 pictures of data.yaml"


def test_dataset_without_train_calibrates_on_what_is_judged(dataset: Path) -> None:
    read = read_dataset(dataset)
    assert read.shown == read.judged


def test_dataset_list_of_pictures_is_followed(dataset: Path) -> None:
    (dataset.parent / "set" / "val.txt").write_text("images/val/b.png\n")
    dataset.write_text("path: set\nval: val.txt\nnames: {0: p, 1: c}\n")
    assert [path.name for path in read_dataset(dataset).judged] == ["b.png"]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        pytest.param({"val": "images/none"}, "names no pictures that are there", id="no pictures"),
        pytest.param({"names": {1: "x"}}, "“names” must map 0, 1, 2", id="names"),
        pytest.param({"names": ["p"]}, "has classes outside 0 to 0", id="fewer names than labels"),
    ],
)
def test_dataset_mistake_is_told(dataset: Path, written: dict[str, Any], why: str) -> None:
    values = yaml.safe_load(dataset.read_text()) | written
    dataset.write_text(yaml.safe_dump(values))
    with pytest.raises(EvaluationError, match=why):
        exam_of_dataset(read_dataset(dataset))


@pytest.mark.parametrize("text", ["0 0.5 0.5 0.2", "zero 0 0 0 0", "0 nan 0 0 0"])
def test_dataset_labels_that_are_none_are_told(dataset: Path, text: str) -> None:
    (dataset.parent / "set/labels/val/a.txt").write_text(text)
    with pytest.raises(EvaluationError, match=r"a\.txt holds no YOLO labels"):
        exam_of_dataset(read_dataset(dataset))


def test_dataset_without_labels_says_what_else_there_is(dataset: Path) -> None:
    for file in (dataset.parent / "set/labels/val").iterdir():
        file.unlink()
    with pytest.raises(EvaluationError, match=r"no picture has labels.*--reference"):
        exam_of_dataset(read_dataset(dataset))


def test_picture_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(EvaluationError, match=r"a\.png cannot be read"):
        laid(picture_file(tmp_path / "a.png"), (64, 64))


def test_laid_picture_is_what_a_camera_process_makes_of_it(tmp_path: Path) -> None:
    with av.open(str(SAMPLES / "gate.mp4")) as video:
        frame = next(video.decode(video=0))
    content = np.empty((180, 320, 3), np.uint8)
    Resizer().resize_into(frame, content)
    picture = laid(Picture("gate", lambda: frame), (320, 192))
    assert (picture[6:186] == content).all()
    assert (picture[:6] == PAD_GREY).all() and (picture[186:] == PAD_GREY).all()


@pytest.fixture
def town(tmp_path: Path) -> Any:
    """Two of the sample recordings as a fleet."""
    file = tmp_path / "town.yaml"
    cameras = "".join(f"  {name}: {{url: {SAMPLES / name}.mp4}}\n" for name in ("gate", "park"))
    file.write_text(f"model: {{path: {SAMPLE}, nms_iou: 0.5}}\ncameras:\n{cameras}")
    return load_fleet(file)


def test_sample_model_on_its_recordings_is_as_good_as_its_card_says(town: Any) -> None:
    grounds = grounds_of(town)
    assert grounds is not None
    shots = frames_of(town, 8)
    asked = exam_of(shots, grounds)
    done: list[int] = []
    got = accuracy(asked, detect_all(town.model, asked.pictures, done.append))
    assert sorted(done) == list(range(1, 17))
    assert got.map50 > 75 and got.map50_95 > 50
    assert set(got.classes) <= {"person", "bicycle", "car", "van"}


def test_model_judged_by_its_own_boxes_is_whole(town: Any) -> None:
    pictures = [shot.picture for shot in frames_of(town, 3)]
    asked = exam_by(town.model, pictures, "its own", lambda done: None)
    assert asked.by_model and asked.objects > 5
    assert accuracy(asked, detect_all(town.model, pictures, lambda done: None)).map50_95 == pytest.approx(100, abs=0.1)


def test_spread_takes_frames_from_beginning_to_end(town: Any) -> None:
    numbers = [shot.number for shot in spread(town.cameras["gate"], 5)]
    assert len(numbers) == 5 and numbers[0] == 0 and numbers[-1] >= 240
    assert len(spread(town.cameras["gate"], 1000)) == 300


def test_written_pictures_are_upright(town: Any, tmp_path: Path) -> None:
    camera = town.cameras["gate"].model_copy(update={"rotate": 90})
    (path,) = write_pictures(spread(camera, 1), tmp_path)
    assert cv2.imread(str(path)).shape == (640, 360, 3)


def test_fleet_without_recordings_says_what_to_do(town: Any) -> None:
    camera = town.cameras["gate"]
    live = camera.model_copy(update={"url": type(camera.url).parse("rtsp://127.0.0.1:1/x")})
    with pytest.raises(EvaluationError, match="camfleet record"):
        frames_of(town.model_copy(update={"cameras": {"gate": live}}))


def test_recording_longer_than_its_ground_truth_is_told(town: Any) -> None:
    grounds = grounds_of(town)
    assert grounds is not None
    short = replace(
        grounds["gate"], sequence=replace(grounds["gate"].sequence, truth=grounds["gate"].sequence.truth[:9])
    )
    with pytest.raises(EvaluationError, match="do not belong together"):
        exam_of(spread(town.cameras["gate"], 3), {"gate": short})


@needs_data
def test_real_model_on_pictures_of_coco_is_as_good_as_known() -> None:
    dataset = read_dataset(DATA / "coco" / "coco64.yaml")
    asked = exam_of_dataset(dataset)
    model = Model(path=str(DATA / "models" / "yolo26n_int8_openvino_model"), input_wh=(640, 640))
    got = accuracy(asked, detect_all(model, asked.pictures, lambda done: None))
    assert (got.pictures, len(asked.class_names)) == (64, 80)
    assert 42 < got.map50_95 < 52 and 55 < got.map50 < 75
