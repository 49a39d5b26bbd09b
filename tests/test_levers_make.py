"""Other forms of the sample model: made, loaded as a fleet loads them, and found to see the same."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
import yaml
from openvino import opset13 as ops

from pipeline.config.values import Model
from pipeline.detect import load_detector
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import iou_matrix
from pipeline.levers.make import make_model, named
from pipeline.levers.network import open_source
from pipeline.levers.pictures import Layer, picture_file
from pipeline.levers.quantize import tail
from pipeline.levers.recipe import Recipe
from tests.float_model import SAMPLE, write_float_model

SMALL = (320, 192)


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_float_model(tmp_path_factory.mktemp("float"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four frames of a sample recording."""
    folder = tmp_path_factory.mktemp("pictures")
    video = cv2.VideoCapture(str(SAMPLE.parents[1] / "crossing.mp4"))
    files = []
    for number in range(4):
        video.set(cv2.CAP_PROP_POS_FRAMES, 60 * number)
        _, frame = video.read()
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), frame)
    video.release()
    return files


def found(folder: Path, picture: Path, input_wh: tuple[int, int] | None = None) -> Detections:
    """What a fleet's detector sees with the model in `folder`, in px of the picture."""
    detector = load_detector(Model(path=str(folder), confidence=0.4, nms_iou=0.5, input_wh=input_wh), None)
    letterbox = Layer().lay(picture_file(picture), detector.input(0)[0])
    boxes = detector.detect(0, 1)[0]
    detector.close()
    return Detections(letterbox.to_source(boxes.xyxy), boxes.score, boxes.class_id)


def shared(one: Detections, other: Detections) -> float:
    """The share of the boxes of `one` that `other` has as well, of the same class."""
    overlap = iou_matrix(one.xyxy, other.xyxy) * (one.class_id[:, None] == other.class_id[None, :])
    return float((overlap.max(axis=1, initial=0) > 0.7).mean())


@pytest.mark.parametrize(
    ("recipe", "words", "slug"),
    [
        pytest.param(Recipe(), "as it is", "", id="nothing"),
        pytest.param(Recipe((512, 288)), "512×288", "512x288", id="input"),
        pytest.param(Recipe(precision="f16"), "f16", "f16", id="precision"),
        pytest.param(Recipe((512, 288), "int8"), "512×288 int8", "512x288-int8", id="both"),
    ],
)
def test_recipe_is_told_in_few_words(recipe: Recipe, words: str, slug: str) -> None:
    assert (str(recipe), recipe.slug) == (words, slug)


@pytest.mark.parametrize(
    ("path", "name"),
    [("yolo26n.pt", "yolo26n"), ("a/demo_openvino_model", "demo"), ("m/demo.xml", "demo"), ("x.onnx", "x")],
)
def test_named_leaves_out_the_kind(path: str, name: str) -> None:
    assert named(Path(path)) == name


def test_make_model_f16_is_half_as_large_and_sees_the_same(
    float_model: Path, pictures: Sequence[Path], tmp_path: Path
) -> None:
    made = make_model(float_model, Recipe(precision="f16"), [], tmp_path)
    assert made == tmp_path / "demo-float-f16_openvino_model"
    assert (made / "demo-float.bin").stat().st_size < 0.55 * (float_model / "demo-float.bin").stat().st_size
    before = found(float_model, pictures[0])
    assert len(before) >= 5
    assert shared(before, found(made, pictures[0])) == 1.0
    assert yaml.safe_load((made / "metadata.yaml").read_text())["precision"] == "f16"
    assert open_source(made).precision == "f16"


@pytest.mark.long
def test_make_model_int8_is_a_quarter_and_sees_nearly_the_same(
    float_model: Path, pictures: Sequence[Path], tmp_path: Path
) -> None:
    made = make_model(float_model, Recipe(SMALL, "int8"), pictures, tmp_path)
    described = yaml.safe_load((made / "metadata.yaml").read_text())
    assert described["imgsz"] == [SMALL[1], SMALL[0]]
    assert (described["precision"], described["calibrated_on"]) == ("int8", len(pictures))
    assert (made / "demo-float.bin").stat().st_size < 0.3 * (float_model / "demo-float.bin").stat().st_size
    before = found(float_model, pictures[0], SMALL)
    assert len(before) >= 3
    assert shared(before, found(made, pictures[0])) >= 0.6
    assert open_source(made).precision == "int8"


def test_make_model_smaller_input_of_a_fixed_export_is_cropped(pictures: Sequence[Path], tmp_path: Path) -> None:
    made = make_model(SAMPLE, Recipe((512, 288)), [], tmp_path)
    detector = load_detector(Model(path=str(made)), None)
    assert (detector.input_wh, detector.class_names) == ((512, 288), ("person", "bicycle", "car", "van"))
    detector.close()
    assert shared(found(SAMPLE, pictures[0]), found(made, pictures[0])) >= 0.6
    assert open_source(made).precision == "int8"


def test_make_model_again_replaces_what_was_there(tmp_path: Path) -> None:
    made = make_model(SAMPLE, Recipe(SMALL), [], tmp_path)
    (made / "old").touch()
    assert make_model(SAMPLE, Recipe(SMALL), [], tmp_path) == made
    assert sorted(file.suffix for file in made.iterdir()) == [".bin", ".xml", ".yaml"]
    assert [folder.name for folder in tmp_path.iterdir()] == [made.name]


def write_open_model(folder: Path) -> Path:
    """A network that leaves batch and size open, with the classic head of one class: no boxes worth reading."""
    picture = ops.parameter([-1, 3, -1, -1], np.float32)
    folder.mkdir()
    made = ops.convolution(picture, np.zeros((5, 3, 8, 8), np.float32), [8, 8], [0, 0], [0, 0], [1, 1])
    ov.save_model(ov.Model([made], [picture]), folder / "open.xml")
    (folder / "metadata.yaml").write_text("names: {0: thing}\nimgsz: [640, 640]\n")
    return folder


def test_make_model_of_an_open_export_settles_the_size_and_leaves_the_batch_open(tmp_path: Path) -> None:
    source = write_open_model(tmp_path / "open_openvino_model")
    made = open_source(make_model(source, Recipe((512, 288)), [], tmp_path))
    assert (made.input_wh, made.batch) == ((512, 288), None)
    untouched = open_source(make_model(source, Recipe(precision="f16"), [], tmp_path))
    assert (untouched.input_wh, untouched.picture_wh) == (None, (640, 640))


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        pytest.param(Recipe(precision="int8"), "is INT8 already", id="int8 of int8"),
        pytest.param(Recipe(precision="f16"), "is INT8 already.*make f16 of the .pt", id="f16 of int8"),
        pytest.param(Recipe(precision="f32"), "is INT8 already.*make f32 of the .pt", id="f32 of int8"),
        pytest.param(Recipe((640, 360)), "multiples of 32 px, such as 640x352", id="no multiple"),
        pytest.param(Recipe((1280, 736)), "640x384 and can only be made smaller", id="larger"),
    ],
)
def test_make_model_of_what_cannot_be_is_told_in_one_sentence(recipe: Recipe, why: str, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=why) as told:
        make_model(SAMPLE, recipe, [], tmp_path)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_make_model_int8_without_pictures_is_refused_with_the_reason(float_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"needs pictures to be calibrated on.*can crater.*--data"):
        make_model(float_model, Recipe(precision="int8"), [], tmp_path)
    assert not list(tmp_path.iterdir())


def test_make_model_f32_of_f16_is_told(float_model: Path, tmp_path: Path) -> None:
    halved = make_model(float_model, Recipe(precision="f16"), [], tmp_path)
    with pytest.raises(DetectorError, match="16-bit weights"):
        make_model(halved, Recipe(precision="f32"), [], tmp_path)


@pytest.mark.parametrize(
    ("name", "why"),
    [("nowhere.xml", "there is no"), ("gpu.engine", "was built for one GPU"), ("notes.txt", "expected a .pt")],
)
def test_make_model_of_no_model_is_told(name: str, why: str, tmp_path: Path) -> None:
    if name != "nowhere.xml":
        (tmp_path / name).write_text("")
    with pytest.raises(DetectorError, match=why):
        make_model(tmp_path / name, Recipe(SMALL), [], tmp_path / "out")


def test_open_source_of_no_model_names_it_and_no_key_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "half.xml").write_text("")
    for name in ("away.onnx", "half.xml", ""):
        with pytest.raises(DetectorError) as told:
            open_source(tmp_path / name)
        assert str(tmp_path / name).removesuffix(".xml") in str(told.value) and "model.path" not in str(told.value)


def test_make_model_never_replaces_its_own_source(tmp_path: Path) -> None:
    source = tmp_path / "demo_openvino_model"
    shutil.copytree(SAMPLE, source)
    for path in (source, source / "demo.xml"):
        with pytest.raises(DetectorError, match="is the model itself"):
            make_model(path, Recipe(), [], tmp_path)
    assert (source / "demo.bin").is_file()


def test_tail_is_what_follows_the_last_convolutions(float_model: Path) -> None:
    network = open_source(float_model).network
    names = set(tail(network))
    kinds = {op.get_type_name() for op in network.get_ordered_ops() if op.get_friendly_name() in names}
    assert "Sigmoid" in kinds, "of the scores"
    assert not kinds & {"Convolution", "Swish", "MaxPool"}
    assert 5 <= len(names) <= 60
