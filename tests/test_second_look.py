"""Second looks in a fleet file, with real models, and in a fleet that runs."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from pipeline import Fleet
from pipeline.cli.subscribe import readable
from pipeline.config import load_fleet
from pipeline.config.cascade import SecondLook
from pipeline.config.values import Model
from pipeline.detect import load_detector, load_second
from pipeline.doctor.attributes import look_at_attributes
from pipeline.doctor.finding import Finding
from pipeline.doctor.model import OpenedModel, open_models
from pipeline.errors import ConfigError, DetectorError
from pipeline.look.crop import Crop
from pipeline.overlay.paint import draw
from pipeline.sink.flat import COLUMNS, box_values, frame_values
from pipeline.supervise.changes import compare, keep_fixed
from pipeline.web.records import of_result
from pipeline.wire import Attribute, FrameResult, compact, decode, encode
from pipeline.worker.second import require_classes, second_model
from tests.wire_messages import FRAME

SAMPLES = Path(__file__).parents[1] / "samples"
COLOURS = SAMPLES / "model" / "colour_openvino_model"
DETECTOR = SAMPLES / "model" / "demo_openvino_model"
DEADLINE_S = 110


def fleet_file(folder: Path, **body: Any) -> Path:
    file = folder / "fleet.yaml"
    model = {"backend": "stub", "classes": ["car", "person"], "input_wh": [64, 64]}
    file.write_text(yaml.safe_dump({"model": model, "cameras": {"a": {"url": "rtsp://a.example/"}}, **body}))
    return file


@pytest.mark.parametrize(
    ("look", "told"),
    [
        pytest.param({}, "cascade.colour.model: is missing", id="no model"),
        pytest.param(
            {"model": {"path": "there/is/none"}},
            "cascade.colour.model.path: there is no model “there/is/none”",
            id="path",
        ),
        pytest.param({"model": {"backend": "stub"}, "off": ["car"]}, "cascade.colour.off: ", id="unknown key"),
        pytest.param(
            {"model": {"backend": "stub", "devices": ["a", "b"]}}, "cascade.colour.model: has “devices”", id="devices"
        ),
        pytest.param(
            {"model": {"backend": "stub"}, "better": 1}, "cascade.colour.better: found “1", id="never satisfied"
        ),
        pytest.param(
            {"model": {"backend": "stub", "options": {"a": [1]}}}, "cascade.colour.model.options.a: ", id="options"
        ),
    ],
)
def test_mistake_in_a_second_look_names_file_line_and_key(tmp_path: Path, look: dict[str, Any], told: str):
    with pytest.raises(ConfigError) as caught:
        load_fleet(fleet_file(tmp_path, cascade={"colour": look}))
    assert told in str(caught.value)
    assert re.search(r"fleet\.yaml:\d+:\d+: cascade\.colour\.", str(caught.value))


def test_second_model_is_looked_up_beside_the_fleet_file(tmp_path: Path):
    shutil.copytree(COLOURS, tmp_path / "models" / "colours")
    fleet = load_fleet(fleet_file(tmp_path, cascade={"colour": {"model": {"path": "models/colours"}}}))
    assert fleet.cascade["colour"].model.path == str((tmp_path / "models" / "colours").resolve())


def test_second_looks_stay_as_they_are_while_a_fleet_runs(tmp_path: Path):
    old = load_fleet(fleet_file(tmp_path))
    new = load_fleet(fleet_file(tmp_path, cascade={"colour": {"model": {"backend": "stub"}}}))
    assert compare(old, new).kept == ("cascade",)
    assert keep_fixed(old, new).cascade == {}


def test_one_class_may_stand_without_a_list():
    assert SecondLook.model_validate({"model": {"backend": "stub"}, "of": "car"}).of == ("car",)


def test_class_that_the_detector_does_not_know_is_told():
    look = SecondLook(model=Model(backend="stub"), of=("car", "lorry"))
    with pytest.raises(
        DetectorError, match=r"cascade\.colour\.of: the detector knows no class “lorry”; it knows car, van"
    ):
        require_classes({"colour": look}, ("car", "van"))


def test_classifier_is_no_detector_and_says_where_it_belongs():
    with pytest.raises(DetectorError, match=r"classifies pictures and finds no boxes; .* under “cascade”"):
        load_detector(Model(path=str(COLOURS)), None)


def test_check_opens_every_second_model_and_tells_what_it_knows(tmp_path: Path):
    cascade = {
        "colour": {"model": {"path": str(COLOURS)}, "of": ["car"]},
        "none": {"model": {"backend": "stub"}, "of": ["cra"]},
    }
    detector, colour, none = open_models(load_fleet(fleet_file(tmp_path, cascade=cascade)))
    assert isinstance(detector, OpenedModel)
    assert isinstance(colour, OpenedModel)
    assert (colour.about, colour.input_wh, colour.max_batch, len(colour.class_names)) == (
        "cascade.colour",
        (32, 32),
        8,
        9,
    )
    assert isinstance(none, Finding)
    assert "the detector knows no class “cra”" in none.found


@pytest.mark.parametrize(
    ("cascade", "told"),
    [
        pytest.param({}, "“colour”; expected one of those: there is no `cascade` at all", id="no cascade"),
        pytest.param({"make": 0}, "“colour”; expected one of those: make", id="others"),
        pytest.param({"color": 0}, "“colour”; did you mean “color”?", id="spelling"),
    ],
)
@pytest.mark.parametrize("section", ["zones", "lines"])
def test_rule_that_asks_for_what_no_second_look_gives_names_line_and_key(
    tmp_path: Path, section: str, cascade: dict[str, int], told: str
):
    pytest.importorskip("shapely")
    shape = {} if section == "zones" else {"points": [[0, 0], [1, 1]]}
    camera = {"url": "rtsp://a.example/", section: {"gate": {**shape, "attributes": {"colour": "red"}}}}
    looks = {name: {"model": {"backend": "stub"}} for name in cascade}
    with pytest.raises(ConfigError) as caught:
        load_fleet(fleet_file(tmp_path, cascade=looks, cameras={"a": camera}))
    assert told in str(caught.value)
    assert re.search(rf"fleet\.yaml:\d+:\d+: cameras\.a\.{section}\.gate\.attributes\.colour: ", str(caught.value))


def test_check_tells_of_labels_that_the_second_model_never_says(tmp_path: Path):
    pytest.importorskip("shapely")
    zone = {"attributes": {"colour": ["red", "bleu", "mauve"], "make": "any"}}
    looks = {name: {"model": {"backend": "stub"}} for name in ("colour", "make")}
    file = fleet_file(tmp_path, cascade=looks, cameras={"a": {"url": "rtsp://a.example/", "zones": {"yard": zone}}})
    labels = ["red", "blue"]
    opened = OpenedModel(
        about="cascade.colour", name="c", device="CPU", backend="stub", input_wh=(8, 8), max_batch=1, lanes=1,
        class_names=labels, kept=labels,
    )  # fmt: skip
    found = list(look_at_attributes(load_fleet(file), [opened]))
    assert [finding.words for finding in found] == [
        "cameras.a.zones.yard.attributes.colour: cascade.colour never says “bleu”; did you mean “blue”?",
        "cameras.a.zones.yard.attributes.colour: cascade.colour never says “mauve”; it says red, blue",
    ], "of a model that cannot be opened nothing is known"


@pytest.fixture(scope="module")
def colours() -> Any:
    detector = load_second(Model(path=str(COLOURS)), 2)
    detector.warm_up()
    yield second_model("colour", SecondLook(model=Model(path=str(COLOURS)), of=("car", "van")), detector)
    detector.close()


def painted(rgb: tuple[int, int, int], side: int) -> Crop:
    """Something like a vehicle of that colour on a road."""
    pixels = np.full((side, side, 3), 120, np.uint8)
    cv2.rectangle(pixels, (side // 10, side // 3), (9 * side // 10, 3 * side // 4), rgb, -1)
    return Crop(0, pixels, (0, 0), float(side * side))


def test_classifier_sees_crops_of_every_size_together_in_any_lane(colours: Any):
    assert (colours.second.max_batch, colours.second.lanes) == (8, 2)
    crops = [painted((200, 40, 40), 31), painted((50, 120, 200), 64), painted((200, 40, 40), 200)]
    for lane in (0, 1):
        found = colours.look(lane, crops)
        told = [colours.second.labels[int(each.class_id[0])] for each in found]
        assert (told[0], told[1], told[2]) == ("red", "blue", "red")
        for crop, each in zip(crops, found, strict=True):
            side = crop.pixels.shape[0]
            np.testing.assert_allclose(each.xyxy, [[0, 0, side, side]], atol=0.01)


def with_attributes() -> FrameResult:
    from msgspec.structs import replace

    known = {"colour": Attribute(label="red", score=0.9), "plate": Attribute(label="B", score=0.7, xyxy=(1, 2, 3, 4))}
    return replace(FRAME, tracks=(replace(FRAME.tracks[0], attributes=known),))


def test_attributes_travel_in_both_forms_and_cost_nothing_where_there_are_none():
    frame = with_attributes()
    assert decode(frame.topic, encode(frame)) == frame
    assert compact(frame).expand().tracks[0].attributes == frame.tracks[0].attributes
    assert b"attributes" not in encode(FRAME)
    assert FRAME.tracks[0].attributes == {}


def test_attributes_are_shown_to_people_and_kept_in_tables():
    frame = with_attributes()
    assert "person#3(red, B)" in readable(frame)
    assert b'"l":{"3":{"colour":"red","plate":"B"}}' in of_result(frame)
    row = dict(zip(COLUMNS, (*frame_values(frame), *box_values(frame)[0]), strict=True))
    assert (
        row["attributes"] == '{"colour":{"label":"red","score":0.9},"plate":{"label":"B","score":0.7,"xyxy":[1,2,3,4]}}'
    )
    assert dict(zip(COLUMNS, (*frame_values(FRAME), *box_values(FRAME)[0]), strict=True))["attributes"] is None
    plain, told = (draw(np.zeros((720, 1280, 3), np.uint8), each) for each in (FRAME, frame))
    assert (plain != told).any()


def test_fleet_tells_the_colours_of_vehicles(tmp_path: Path):
    cascade = {"colour": {"model": {"path": str(COLOURS)}, "of": ["car", "van"]}}
    body = {
        "model": {"path": str(DETECTOR), "nms_iou": 0.5},
        "cascade": cascade,
        "cameras": {"yard": {"url": str(SAMPLES / "yard.mp4"), "loop": True}},
        "publish": {"bind": "tcp://127.0.0.1:0"},
    }
    seen: dict[str, int] = {}
    until_s = time.monotonic() + DEADLINE_S
    with Fleet(fleet_file(tmp_path, **body), control=False) as fleet, fleet.results(timeout_s=DEADLINE_S) as results:
        for result in results:
            for box in result.tracks:
                if attribute := box.attributes.get("colour"):
                    assert box.class_name in ("car", "van")
                    seen[attribute.label] = seen.get(attribute.label, 0) + 1
            if sum(seen.values()) >= 20 or time.monotonic() > until_s:
                break
    assert sum(seen.values()) >= 20
