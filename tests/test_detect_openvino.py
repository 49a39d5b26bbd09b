"""OpenVINO on tiny models made here, whose answer follows from the pixels, and on real ones where they are at hand."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
import yaml
from openvino import opset13 as ops

from pipeline.config.values import Model
from pipeline.detect import PAD_GREY, load_detector
from pipeline.detect.openvino_properties import device_name, properties
from pipeline.detect.quiet import quiet_environment
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Letterbox, iou_matrix

DATA = Path(os.environ.get("CAMFLEET_DATA", Path(__file__).parents[2] / "shared" / "data"))
MODELS = DATA / "models"

needs_data = pytest.mark.skipif(not MODELS.is_dir(), reason=f"no real models in {MODELS}; set CAMFLEET_DATA")
EXACT: dict[str, bool | int | float | str] = {"INFERENCE_PRECISION_HINT": "f32"}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for name, value in quiet_environment().items():
            patch.setenv(name, value)
        yield


def tiny_model(folder: Path, *, shape: tuple[int, ...] = (1, 3, 32, 64), **metadata: object) -> Path:
    """A model with one box a picture: x1, y1, x2 are 100 × the mean red, green, blue (0..1), score the mean red."""
    picture = ops.parameter(shape, np.float32, name="images")
    means = ops.reduce_mean(picture, np.array([2, 3]), keep_dims=False)
    colours = ops.multiply(means, np.float32(100))
    red = ops.gather(means, np.array([0]), np.array(1))
    rows = ops.concat([colours, ops.multiply(red, np.float32(0)), red, ops.multiply(red, np.float32(0))], 1)
    return save(folder, ov.Model([ops.unsqueeze(rows, 1)], [picture]), **metadata)


def save(folder: Path, network: ov.Model, **metadata: object) -> Path:
    folder.mkdir(exist_ok=True)
    ov.save_model(network, folder / "tiny.xml", compress_to_fp16=False)
    described = {"task": "detect", "names": {0: "red", 1: "blue"}, "stride": 32, **metadata}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(described))
    return folder


def load(folder: Path, max_batch: int | None = None, **settings: Any) -> Any:
    return load_detector(Model(path=str(folder), options=EXACT, **settings), max_batch)


def test_openvino_pictures_are_rgb_and_scaled_to_one(tmp_path: Path) -> None:
    detector = load(tiny_model(tmp_path))
    assert detector.input(0).shape == (1, 32, 64, 3)
    detector.input(0)[0] = (204, 102, 51)
    found = detector.detect(0, 1)[0]
    assert found.xyxy[0, :3].tolist() == pytest.approx([80, 40, 20], abs=1e-3)
    assert found.score.tolist() == pytest.approx([0.8], abs=1e-4)
    assert detector.class_names == ("red", "blue")


def test_openvino_input_is_grey_at_first(tmp_path: Path) -> None:
    detector = load(tiny_model(tmp_path))
    assert all((detector.input(lane) == PAD_GREY).all() for lane in range(detector.lanes))


@pytest.mark.parametrize(
    ("shape", "max_batch"),
    [pytest.param((-1, 3, -1, -1), 4, id="dynamic"), pytest.param((4, 3, 32, 64), None, id="fixed-batch")],
)
@pytest.mark.parametrize("count", [1, 3, 4])
def test_openvino_batch_gives_each_picture_its_own_boxes(
    tmp_path: Path, shape: tuple[int, ...], max_batch: int | None, count: int
) -> None:
    detector = load(tiny_model(tmp_path, shape=shape, imgsz=[32, 64]), max_batch)
    assert (detector.max_batch, detector.input_wh) == (4, (64, 32))
    detector.warm_up()
    for row in range(4):
        detector.input(0)[row] = 51 * (row + 1)
    scores = [float(found.score[0]) for found in detector.detect(0, count)]
    assert scores == pytest.approx([0.2, 0.4, 0.6, 0.8][:count], abs=1e-4)


def test_openvino_dynamic_size_comes_from_the_fleet_file(tmp_path: Path) -> None:
    detector = load(tiny_model(tmp_path, shape=(-1, 3, -1, -1), imgsz=[32, 64]), input_wh=(96, 64))
    assert detector.input(0).shape == (1, 64, 96, 3)


def test_openvino_square_model_of_any_size_takes_the_cameras_shape(tmp_path: Path) -> None:
    model = Model(path=str(tiny_model(tmp_path, shape=(-1, 3, -1, -1), imgsz=[256, 256])), options=EXACT)
    assert load_detector(model, None).input_wh == (256, 160)
    assert load_detector(model, None, [(640, 480)]).input_wh == (256, 192)


def test_openvino_computes_in_buckets(tmp_path: Path) -> None:
    assert load(tiny_model(tmp_path / "any", shape=(-1, 3, 32, 64)), 6).batches == (1, 2, 4, 6)
    assert load(tiny_model(tmp_path / "six", shape=(6, 3, 32, 64)), 4).batches == (6,)


def test_openvino_lane_rebuilt_while_detecting_has_memory_and_request_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = load(tiny_model(tmp_path), lanes=1)
    lane, under_way, go_on = detector._lanes[0], threading.Event(), threading.Event()

    class Slow:
        """The lane's request, which answers only when told."""

        def __getattr__(self, name: str) -> Any:
            return getattr(lane.request, name)

        def wait(self) -> None:
            under_way.set()
            assert go_on.wait(10)
            lane.request.wait()

    detector._lanes[0] = replace(lane, request=Slow())
    detector.input(0)[0] = 51
    with ThreadPoolExecutor(1) as pool:
        abandoned = pool.submit(detector.detect, 0, 1)
        assert under_way.wait(10)
        detector.rebuild(0)
        assert (detector.input(0) == PAD_GREY).all()
        detector.input(0)[0] = 204
        assert detector.detect(0, 1)[0].score.tolist() == pytest.approx([0.8], abs=1e-4)
        go_on.set()
        assert abandoned.result(60)[0].score.tolist() == pytest.approx([0.2], abs=1e-4)


def cpu_property(detector: Any, name: str) -> Any:
    """What the model was compiled with on the CPU, also where that is inside a combination of devices."""
    try:
        return detector._compiled.get_property("DEVICE_PROPERTIES")["CPU"][name]
    except RuntimeError:
        return detector._compiled.get_property(name)


@pytest.mark.parametrize("device", ["auto", "cpu", "AUTO", "auto:cpu", "AUTO:-GPU", "MULTI:CPU", "HETERO:CPU"])
def test_openvino_device_and_its_settings_reach_the_processor(tmp_path: Path, device: str) -> None:
    settings = {"streams": 1, "precision": "f32", "cache": False, "mmap": False}
    model = Model(path=str(tiny_model(tmp_path)), device=device, threads=1, openvino=settings)
    detector = load_detector(model, None)
    names = ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING", "INFERENCE_PRECISION_HINT")
    assert [cpu_property(detector, name) for name in names] == [1, 1, False, ov.Type.f32]
    detector.input(0)[0] = 204
    assert detector.detect(0, 1)[0].score.tolist() == pytest.approx([0.8], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "device", "expected"),
    [
        pytest.param({}, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}, id="defaults"),
        pytest.param(
            {"openvino": {"hint": "latency", "pinning": True}},
            "CPU",
            {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": True},
            id="latency",
        ),
        pytest.param(
            {"lanes": 3, "threads": 2, "openvino": {"hint": "none", "precision": "bf16"}},
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16",
                "ENABLE_CPU_PINNING": False,
                "INFERENCE_NUM_THREADS": 2,
                "NUM_STREAMS": 3,
            },
            id="lanes-are-streams",
        ),
        pytest.param(
            {"lanes": 3, "openvino": {"streams": 1}},
            "CPU",
            {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False, "NUM_STREAMS": 1},
            id="streams-before-lanes",
        ),
        pytest.param(
            {"lanes": 3, "threads": 2, "openvino": {"streams": 2}},
            "GPU",
            {"PERFORMANCE_HINT": "THROUGHPUT", "PERFORMANCE_HINT_NUM_REQUESTS": 3, "NUM_STREAMS": 2},
            id="gpu-has-no-cpu-settings",
        ),
        pytest.param(
            {"threads": 2},
            "MULTI:GPU.1(4),CPU(2)",
            {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "DEVICE_PROPERTIES": {"CPU": {"ENABLE_CPU_PINNING": False, "INFERENCE_NUM_THREADS": 2}},
            },
            id="combination",
        ),
        pytest.param({"threads": 2}, "AUTO:GPU,NPU", {"PERFORMANCE_HINT": "THROUGHPUT"}, id="combination-without-cpu"),
        pytest.param({"threads": 2}, "AUTO:-CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}, id="all-but-the-cpu"),
        pytest.param(
            {"options": {"ENABLE_CPU_PINNING": True}},
            "CPU",
            {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": True},
            id="options-win",
        ),
    ],
)
def test_openvino_properties_table(settings: dict[str, Any], device: str, expected: dict[str, Any]) -> None:
    chosen = properties(Model(path="m.xml", **settings), device)
    assert Path(chosen.pop("CACHE_DIR")).name == "openvino"
    assert chosen == expected


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("auto", "CPU"),
        ("cpu", "CPU"),
        ("gpu.0", "GPU.0"),
        ("auto:gpu, cpu", "AUTO:GPU,CPU"),
        ("Multi:GPU(2),CPU(4)", "MULTI:GPU(2),CPU(4)"),
        ("AUTO:-NPU", "AUTO:-NPU"),
    ],
)
def test_openvino_device_name(asked: str, name: str) -> None:
    assert device_name(["CPU", "GPU.0", "GPU.1"], asked) == name


@pytest.mark.parametrize("asked", ["npu", "AUTO:GPU,NPU", "cuda:0"])
def test_openvino_device_that_is_not_there_is_told(asked: str) -> None:
    with pytest.raises(DetectorError, match=f"no device '{asked}' here; it has CPU, GPU, AUTO"):
        device_name(["CPU", "GPU"], asked)


def test_openvino_lanes_do_not_mix_their_pictures(tmp_path: Path) -> None:
    detector = load(tiny_model(tmp_path), lanes=2, threads=2)
    assert detector.lanes == 2
    wrong: list[tuple[int, float]] = []

    def run(lane: int) -> None:
        for value in range(100, 200):
            detector.input(lane)[:] = value + 50 * lane
            score = float(detector.detect(lane, 1)[0].score[0])
            if abs(score - (value + 50 * lane) / 255) > 1e-3:
                wrong.append((lane, score))

    threads = [threading.Thread(target=run, args=(lane,)) for lane in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_openvino_boxes_outlive_the_detector(tmp_path: Path) -> None:
    detector = load(tiny_model(tmp_path))
    detector.input(0)[0] = 204
    found = detector.detect(0, 1)[0]
    detector.close()
    detector.close()
    assert found.score.tolist() == pytest.approx([0.8], abs=1e-4)


def test_openvino_class_filter_and_confidence(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    for settings, count in (({"classes": ("blue",)}, 0), ({"classes": ("red",)}, 1), ({"confidence": 0.9}, 0)):
        detector = load(folder, **settings)
        detector.input(0)[0] = 204
        assert len(detector.detect(0, 1)[0]) == count, settings


def classifier(folder: Path) -> Path:
    picture = ops.parameter((1, 3, 32, 64), np.float32, name="images")
    return save(folder, ov.Model([ops.reduce_mean(picture, np.array([2, 3]), keep_dims=False)], [picture]))


def two_outputs(folder: Path) -> Path:
    picture = ops.parameter((1, 3, 32, 64), np.float32, name="images")
    return save(folder, ov.Model([ops.relu(picture), ops.sigmoid(picture)], [picture]))


def broken(folder: Path, name: str, content: str | None) -> Path:
    """A good model with one of its files removed, or replaced by `content`."""
    tiny_model(folder)
    file = folder / name
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content)
    return folder


def test_openvino_onnx_or_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "no_openvino_model", tmp_path / "no.onnx", tmp_path / "no.xml"):
        with pytest.raises(DetectorError, match=f"there is no {path}"):
            load_detector(Model(path=str(path), backend="openvino"), None)


@pytest.mark.parametrize(
    ("make", "settings", "max_batch", "message"),
    [
        pytest.param(lambda f: f, {}, None, "found none", id="empty-folder"),
        pytest.param(lambda f: broken(f, "b.xml", "<net/>"), {}, None, r"found b\.xml, tiny\.xml", id="two-models"),
        pytest.param(lambda f: broken(f, "tiny.xml", "hello"), {}, None, "is no OpenVINO model", id="not-a-model"),
        pytest.param(lambda f: broken(f, "tiny.bin", None), {}, None, r"tiny\.bin are missing", id="no-weights"),
        pytest.param(lambda f: broken(f, "metadata.yaml", None), {}, None, r"metadata\.yaml is missing", id="no-names"),
        pytest.param(lambda f: broken(f, "metadata.yaml", "a: ["), {}, None, "cannot be read as YAML", id="bad-yaml"),
        pytest.param(lambda f: broken(f, "metadata.yaml", "3"), {}, None, "expected a map", id="yaml-of-another-kind"),
        pytest.param(
            lambda f: tiny_model(f, names={1: "x"}), {}, None, "'names' must map 0, 1, 2", id="names-with-gap"
        ),
        pytest.param(lambda f: tiny_model(f, task="segment"), {}, None, "task 'segment'; camfleet runs", id="segment"),
        pytest.param(classifier, {}, None, r"output has shape \(1, 3\)", id="classifier"),
        pytest.param(two_outputs, {}, None, "1 inputs and 2 outputs", id="two-outputs"),
        pytest.param(
            tiny_model, {}, 2, r"takes 1 at once, the fleet asks for 2; .*dynamic=True or batch=2", id="batch"
        ),
        pytest.param(tiny_model, {"input_wh": (96, 64)}, None, r"takes 64×32 only.*imgsz=\(64, 96\)", id="size"),
        pytest.param(tiny_model, {"classes": ("rde",)}, None, "did you mean 'red'", id="class"),
        pytest.param(tiny_model, {"device": "cuda:0"}, None, "no device 'cuda:0' here; it has CPU", id="device"),
        pytest.param(
            tiny_model,
            {"openvino": {"int8_from": "/tmp"}},
            None,
            r"only \.pt weights are exported as INT8",
            id="int8-of-a-finished-model",
        ),
        pytest.param(tiny_model, {"options": {"NUM_STREMAS": 2}}, None, "NUM_STREMAS", id="option"),
        pytest.param(
            lambda f: tiny_model(f, shape=(1, 3, -1, -1)),
            {"input_wh": (100, 64)},
            None,
            "multiples of 32",
            id="odd-size",
        ),
        pytest.param(lambda f: tiny_model(f, shape=(1, 3, -1, -1)), {}, None, "say which, such as", id="any-size"),
    ],
)
def test_openvino_mistake_is_told_before_the_first_picture(
    tmp_path: Path, make: Callable[[Path], Path], settings: dict[str, Any], max_batch: int | None, message: str
) -> None:
    model = Model(path=str(make(tmp_path)), backend="openvino", **settings)
    with pytest.raises(DetectorError, match=message):
        load_detector(model, max_batch)


def test_openvino_damaged_compiled_model_in_the_cache_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tiny_model(tmp_path / "model")
    load(folder).close()
    blobs = list((tmp_path / "cache").rglob("*.blob"))
    assert blobs
    for blob in blobs:
        content = blob.read_bytes()
        blob.unlink()
        blob.write_bytes(content[: len(content) // 2])
    detector = load(folder)
    detector.input(0)[0] = 204
    assert detector.detect(0, 1)[0].score.tolist() == pytest.approx([0.8], abs=1e-4)


def detect_file(detector: Any, image: np.ndarray) -> Detections:
    """What the detector finds on a BGR picture, in its own pixels."""
    letterbox = Letterbox.fit((image.shape[1], image.shape[0]), detector.input_wh)
    (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
    target = detector.input(0)[0]
    target[:] = PAD_GREY
    target[top : top + height, left : left + width] = cv2.resize(image, letterbox.content_wh)[..., ::-1]
    found: Detections = detector.detect(0, 1)[0]
    return Detections(letterbox.to_source(found.xyxy), found.score, found.class_id)


@needs_data
@pytest.mark.parametrize("name", ["yolo26n_int8_openvino_model", "yolo11n_int8_openvino_model"])
def test_openvino_finds_what_ultralytics_finds_with_the_same_model(name: str) -> None:
    from ultralytics import YOLO

    detector = load_detector(Model(path=str(MODELS / name), confidence=0.1, input_wh=(640, 640)), None)
    reference = YOLO(str(MODELS / name), task="detect")
    compared = 0
    for file in sorted((DATA / "coco" / "images").glob("*.jpg"))[:3]:
        image = cv2.imread(str(file))
        assert image is not None
        ours = detect_file(detector, image)
        boxes = reference.predict(image, conf=0.5, verbose=False)[0].boxes
        overlap = iou_matrix(boxes.xyxy.numpy(), ours.xyxy)
        overlap[boxes.cls.numpy()[:, None] != ours.class_id[None, :]] = 0
        assert (overlap.max(axis=1, initial=0) > 0.9).all(), file.name
        compared += len(boxes)
    assert compared >= 10


@needs_data
def test_openvino_finds_the_skier_alone_when_people_are_asked_for() -> None:
    detector = load_detector(
        Model(path=str(MODELS / "yolo26n_int8_openvino_model"), classes=("person",), confidence=0.4), None
    )
    image = cv2.imread(str(DATA / "coco" / "images" / "000000000785.jpg"))
    assert image is not None
    found = detect_file(detector, image)
    assert found.class_id.tolist() == [0]
    assert iou_matrix(found.xyxy, np.array([[280, 44, 499, 388]], np.float32))[0, 0] > 0.85


def test_openvino_computes_in_threads_of_the_loaders_priority(tmp_path: Path) -> None:
    model = tiny_model(tmp_path, shape=(1, 3, 1024, 1024), imgsz=[1024, 1024])
    # In a process of its own: OpenVINO goes on using the threads that earlier models left behind.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        niceness = process.submit(_niceness_of_new_threads, model).result()

    assert niceness and set(niceness) == {7}


def _niceness_of_new_threads(model: Path) -> list[int]:
    """Of the threads that a detector loaded at niceness 7 brings, computing at the caller's 0."""
    detectors: list[Any] = []

    def load_politely() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 7)
        detectors.append(load(model, lanes=2))
        detectors[0].warm_up()

    before = {task.name for task in Path("/proc/self/task").iterdir()}
    loader = threading.Thread(target=load_politely)
    loader.start()
    loader.join()
    assert not detectors[0].computes_in_caller
    for _ in range(20):
        detectors[0].detect(0, 1)
    new = {task.name for task in Path("/proc/self/task").iterdir()} - before - {str(loader.native_id)}
    return [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in new]


RELEASED_ELSEWHERE = """
import gc, os, signal, sys, threading
from pipeline.config.values import Model
from pipeline.detect import load_detector

signal.signal(signal.SIGUSR1, lambda number, frame: print("handled", flush=True))
detectors = [load_detector(Model(path=sys.argv[1], backend="openvino"), None)]
releasing = threading.Thread(target=lambda: (detectors.clear(), gc.collect()))
releasing.start()
releasing.join()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_handled_after_another_thread_has_released_the_model() -> None:
    """As a worker does that has got another model, on processors with AMX."""
    model = Path(__file__).parent.parent / "samples" / "model" / "demo_openvino_model"
    ended = subprocess.run(
        [sys.executable, "-c", RELEASED_ELSEWHERE, str(model)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "handled\n"), ended.stderr
