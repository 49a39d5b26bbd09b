from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config.values import Model
from pipeline.detect import PAD_GREY, Detector, load, load_detector
from pipeline.detect.stub import ServiceTime, StubDetector
from pipeline.errors import DetectorError
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def plug_in_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_has_cuda", lambda: False)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_has_cuda", lambda: True)


@pytest.fixture
def stub() -> Iterator[StubDetector]:
    detector = StubDetector(input_wh=(640, 384), max_batch=4, lanes=2, class_names=("a", "b"), boxes=3)
    yield detector
    detector.close()


def test_stub_gives_the_same_boxes_inside_the_input_for_each_picture(stub: StubDetector) -> None:
    first, second = stub.detect(0, 2)
    assert first.class_id.tolist() == [0, 1, 0]
    assert first.xyxy.tolist() == second.xyxy.tolist() == stub.detect(1, 1)[0].xyxy.tolist()
    assert first.xyxy.min() >= 0
    assert (first.xyxy.max(axis=0) <= (640, 384, 640, 384)).all()


def test_stub_input_is_grey_and_keeps_what_is_written(stub: StubDetector) -> None:
    assert stub.input(1).shape == (4, 384, 640, 3)
    assert (stub.input(1) == PAD_GREY).all()
    stub.input(1)[2] = 7
    assert (stub.input(1)[2] == 7).all()
    assert (stub.input(0) == PAD_GREY).all()


def test_stub_without_boxes_finds_nothing() -> None:
    assert StubDetector(boxes=0).detect(0, 1)[0].xyxy.shape == (0, 4)


@pytest.mark.parametrize(("count", "expected_s"), [(0, 0.01), (1, 0.012), (8, 0.026)])
def test_service_time_grows_with_the_batch(count: int, expected_s: float) -> None:
    assert ServiceTime(a_ms=10, b_ms=2).of_s(count) == pytest.approx(expected_s)


def test_stub_close_ends_a_detection_under_way() -> None:
    detector = StubDetector(service=ServiceTime(a_ms=3_600_000))
    thread = threading.Thread(target=detector.detect, args=(0, 1), daemon=True)
    thread.start()
    detector.close()
    thread.join(10)
    assert not thread.is_alive()


def test_stub_lane_rebuilt_under_a_detection_that_never_comes_back_detects_again(within: Callable) -> None:
    detector = load_detector(Model(backend="stub", input_wh=(64, 32), options={"hang_at": 2}), 2)
    detector.input(0)[:] = 7
    assert len(detector.detect(0, 1)) == 1
    lost = threading.Thread(target=detector.detect, args=(0, 1), daemon=True)
    lost.start()
    wait_until(within, lambda: repr(detector._calls) == "count(3)")
    assert lost.is_alive()
    abandoned = detector.input(0)
    detector.rebuild(0)
    assert (detector.input(0) == PAD_GREY).all()
    assert (abandoned == 7).all()
    assert len(detector.detect(0, 2)) == 2
    detector.close()
    lost.join(10)
    assert not lost.is_alive()


def test_load_stub_takes_size_lanes_batch_and_options_from_the_fleet_file() -> None:
    model = Model(backend="stub", input_wh=(320, 192), lanes=3, classes=("cat",), options={"boxes": 1, "a_ms": 0})
    detector = load_detector(model, 5)
    assert isinstance(detector, Detector)
    assert (detector.input_wh, detector.lanes, detector.max_batch) == ((320, 192), 3, 5)
    assert detector.class_names == ("cat",)
    assert len(detector.detect(2, 1)[0]) == 1


@pytest.mark.parametrize(
    ("path", "backend"),
    [
        ("yolo26n_int8_openvino_model", "openvino"),
        ("model.xml", "openvino"),
        ("model.engine", "ultralytics"),
        ("yolo26n.pt", "openvino"),
        ("yolo26n.onnx", "openvino"),
    ],
)
def test_auto_without_a_gpu_picks(path: str, backend: str, no_cuda: None) -> None:
    assert load.pick_backend(Model(path=path)) == backend


@pytest.mark.parametrize(("path", "backend"), [("yolo26n.pt", "ultralytics"), ("model.xml", "openvino")])
def test_auto_with_a_gpu_picks(path: str, backend: str, cuda: None) -> None:
    assert load.pick_backend(Model(path=path)) == backend


def test_auto_takes_any_folder_for_openvino(tmp_path: Path) -> None:
    assert load.pick_backend(Model(path=str(tmp_path))) == "openvino"


def test_plug_in_is_loaded_and_detects() -> None:
    detector = load_detector(Model(path="-", backend="plugin_example:make"), None)
    detector.input(0)[1, 20, 30] = 255
    assert detector.detect(0, 2)[1].xyxy.tolist() == [[30, 20, 31, 21]]


@pytest.mark.parametrize(
    ("model", "max_batch", "message"),
    [
        pytest.param(
            Model(path="model.tflite"),
            None,
            r"model\.path: found 'model\.tflite'; expected an OpenVINO",
            id="auto-unknown",
        ),
        pytest.param(
            Model(backend="stub", options={"a_sm": 1}),
            None,
            r"no option 'a_sm'; did you mean 'a_ms'\?",
            id="stub-option",
        ),
        pytest.param(
            Model(backend="stub", options={"a_ms": "x"}), None, r"a_ms: found 'x'; expected a number", id="stub-type"
        ),
        pytest.param(
            Model(path="-", backend="no_such_package.x:make"),
            None,
            "cannot import 'no_such_package.x'",
            id="plug-in-import",
        ),
        pytest.param(
            Model(path="-", backend="plugin_example:mak"),
            None,
            "'mak' does not exist in 'plugin_example'",
            id="plug-in-name",
        ),
        pytest.param(
            Model(path="-", backend="plugin_example:not_callable"),
            None,
            "'not_callable' is not callable",
            id="plug-in-call",
        ),
        pytest.param(
            Model(path="-", backend="plugin_example:make_half"),
            None,
            "has no input_wh, max_batch",
            id="plug-in-members",
        ),
        pytest.param(Model(backend="stub", options={"dev": 1}), None, "dev: found 1; expected a text", id="no-text"),
        pytest.param(
            Model(path="-", backend="plugin_example:make"),
            5,
            "takes 4 pictures at once, the fleet asks for 5",
            id="batch",
        ),
    ],
)
def test_load_mistake_is_told(model: Model, max_batch: int | None, message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        load_detector(model, max_batch)


def test_model_of_several_devices_is_one_model_for_each_worker() -> None:
    model = Model(path="a.pt", devices=("cuda:0", "cuda:1"), confidence=0.3)
    parts = [(part.device, part.devices, part.confidence) for part in model.per_device()]
    assert parts == [("cuda:0", None, 0.3), ("cuda:1", None, 0.3)]
    alone = Model(path="a.pt", device="cuda:1")
    assert alone.per_device() == (alone,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cpu", "devices": ("cuda:0",)}, "both “device” and “devices”"),
        ({"devices": ("cuda:0", "cuda:0")}, "names one twice; .*instances: 2"),
    ],
    ids=["both", "twice"],
)
def test_model_devices_mistake_is_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Model(path="a.pt", **settings)


def test_importing_the_package_loads_no_inference_library() -> None:
    heavy = "{'torch', 'openvino', 'ultralytics', 'cv2'}"
    code = f"import sys, pipeline.detect, pipeline.detect.stub; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_stub_arrays_belong_to_the_caller(stub: StubDetector) -> None:
    stub.detect(0, 1)[0].xyxy[:] = np.nan
    assert np.isfinite(stub.detect(0, 1)[0].xyxy).all()


LOAD = """
import sys
connects = []
sys.addaudithook(lambda event, about: event in ("socket.connect", "socket.getaddrinfo") and connects.append(about))
from pipeline.config.values import Model
from pipeline.detect import load_detector
load_detector(Model(backend="openvino", path=sys.argv[1]), 1, [(640, 360)]).close()
sys.exit(f"connects to {connects}" if connects else 0)
"""


def test_openvino_reports_its_use_to_nobody_and_leaves_no_identity(tmp_path: Path) -> None:
    model = Path(__file__).parent.parent / "samples" / "model" / "demo_openvino_model"
    home = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, model], env=home, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}
