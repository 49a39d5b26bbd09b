"""PyTorch weights: exported once for OpenVINO in a process of their own, or run as they are by Ultralytics."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.config.values import Model
from pipeline.detect import PAD_GREY, load_detector, weights
from pipeline.detect.metadata import Metadata
from pipeline.detect.quiet import quiet_environment
from pipeline.detect.tool import ORPHANED, _calibration
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        for name, value in quiet_environment().items():
            patch.setenv(name, value)
        yield folder / "camfleet"


def blocks(count: int) -> np.ndarray:
    """(count, 96, 160, 3) uint8: pictures of coloured squares."""
    squares = np.random.default_rng(count).integers(0, 255, (count, 6, 10, 3), np.uint8)
    return squares.repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """YOLO26n, untrained, but with activations normalised and scores spread: its boxes depend on the picture."""
    import torch
    from ultralytics import YOLO

    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = YOLO("yolo26n.yaml", task="detect")
    network = model.model.train()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network(torch.from_numpy(blocks(4)).permute(0, 3, 1, 2) / 255)
        for branch in network.model[-1].one2one_cv3:
            branch[-1].bias.fill_(-3.0)
            branch[-1].weight.normal_(std=0.04)
    network.eval()
    file = tmp_path_factory.mktemp("weights") / "mine.pt"
    model.save(str(file))
    return file


@pytest.fixture
def picture() -> np.ndarray:
    return blocks(1)[0]


def best_boxes(detector: Any, picture: np.ndarray) -> np.ndarray:
    """(20, 5) of the picture's best boxes: their edges and score."""
    detector.input(0)[0] = picture
    found = detector.detect(0, 1)[0]
    best = np.argsort(-found.score)[:20]
    return np.concatenate([found.xyxy[best], found.score[best, None]], axis=1)


def test_weights_export_once_gives_the_boxes_of_the_weights_themselves(
    random_weights: Path, picture: np.ndarray, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"path": str(random_weights), "input_wh": (160, 96), "confidence": 0.0, "device": "cpu"}
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    exported = load_detector(Model(backend="openvino", options=exact, **settings), 2)
    assert (exported.input_wh, exported.max_batch, len(exported.class_names)) == ((160, 96), 2, 80)
    native = load_detector(Model(backend="ultralytics", **settings), 2)
    native.warm_up()
    assert native._lanes[0].backend.end2end
    boxes = best_boxes(exported, picture)
    assert np.ptp(boxes[:, 4]) > 0.01
    np.testing.assert_allclose(boxes, best_boxes(native, picture), rtol=1e-3, atol=0.05)

    def must_not_run(*_: object) -> None:
        raise AssertionError("exported a second time")

    monkeypatch.setattr(weights, "_run_tool", must_not_run)
    again = load_detector(Model(backend="openvino", options=exact, **settings), 1)
    np.testing.assert_array_equal(best_boxes(again, picture), boxes)
    assert [file.name for file in (cache / "exported").iterdir() if file.name.endswith(".partial")] == []


def test_weights_native_batch_gives_each_picture_its_own_boxes(random_weights: Path, picture: np.ndarray) -> None:
    model = Model(path=str(random_weights), backend="ultralytics", device="cpu", input_wh=(160, 96), confidence=0.0)
    detector = load_detector(model, 3)
    alone = best_boxes(detector, picture)
    detector.input(0)[2] = detector.input(0)[0]
    found = detector.detect(0, 3)
    assert len(found) == 3
    np.testing.assert_allclose(np.sort(found[2].score)[::-1][:20], alone[:, 4], rtol=1e-3)
    assert not np.allclose(np.sort(found[1].score)[::-1][:20], alone[:, 4], rtol=1e-3)
    detector.close()


def test_weights_native_takes_the_cameras_shape_and_a_lane_can_be_rebuilt(
    random_weights: Path, picture: np.ndarray
) -> None:
    model = Model(path=str(random_weights), backend="ultralytics", device="cpu", confidence=0.0)
    detector = load_detector(model, None, [(640, 480)])
    assert (detector.input_wh, detector.batches) == ((640, 480), (1,))
    detector.input(0)[0, :96, :160] = picture
    boxes, old = detector.detect(0, 1)[0], detector.input(0)
    detector.rebuild(0)
    assert (detector.input(0) == PAD_GREY).all()
    detector.input(0)[:] = old
    np.testing.assert_allclose(detector.detect(0, 1)[0].xyxy, boxes.xyxy, rtol=1e-3, atol=0.05)


def test_torch_lane_records_each_bucket_once_and_replays_it_on_new_pictures(
    random_weights: Path, picture: np.ndarray
) -> None:
    """As on a GPU, with a recorder that does the work again instead of replaying a CUDA graph."""
    from pipeline.detect.torch_lane import Replay

    model = Model(path=str(random_weights), backend="ultralytics", device="cpu", input_wh=(160, 96), confidence=0.0)
    detector = load_detector(model, 4)
    recorded: list[Replay] = []

    def record(work: Replay, stream: object) -> Replay:
        recorded.append(work)
        return work

    expected = {}
    for count in (1, 3, 4):
        detector.input(0)[:] = blocks(4) if count == 3 else picture
        expected[count] = detector.detect(0, count)
    detector._lanes[0] = replace(detector._lanes[0], batches=(1, 2, 4), record=record)
    for count in (1, 3, 4):
        detector.input(0)[:] = blocks(4) if count == 3 else picture
        found = detector.detect(0, count)
        assert len(found) == count
        for ours, theirs in zip(found, expected[count], strict=True):
            np.testing.assert_allclose(np.sort(ours.score), np.sort(theirs.score), atol=1e-4)
    assert len(recorded) == 2


def engine(least: tuple[int, ...] | None, most: tuple[int, ...]) -> SimpleNamespace:
    """What Ultralytics makes of a TensorRT engine, as far as its profile goes; `least` None for a static one."""
    profile = SimpleNamespace(get_tensor_profile_shape=lambda name, index: (least, most, most))
    bindings = {"images": SimpleNamespace(shape=most)}
    return SimpleNamespace(format="engine", dynamic=least is not None, is_trt10=True, bindings=bindings, model=profile)


def test_engine_profile_bounds_batch_and_size() -> None:
    from pipeline.detect.ultralytics import Profile

    static = Profile.of(engine(None, (8, 3, 384, 640)))
    assert (static.batch, static.wh) == ((8, 8), ((640, 384), (640, 384)))
    dynamic = Profile.of(engine((2, 3, 32, 32), (16, 3, 640, 640)))
    assert (dynamic.batch, dynamic.wh) == ((2, 16), ((32, 32), (640, 640)))


@pytest.mark.parametrize(
    ("batch", "asked", "on_gpu", "expected"),
    [
        pytest.param((8, 8), 3, True, (8,), id="static-engine-computes-all"),
        pytest.param((2, 16), 16, True, (2, 4, 8, 16), id="engine-from-2"),
        pytest.param((1, 16), 6, True, (1, 2, 4, 6), id="engine"),
        pytest.param(None, 6, True, (1, 2, 4, 6), id="weights-on-a-gpu"),
        pytest.param(None, 3, False, (1, 2, 3), id="weights-on-a-cpu"),
    ],
)
def test_ultralytics_batches_table(
    batch: tuple[int, int] | None, asked: int, on_gpu: bool, expected: tuple[int, ...]
) -> None:
    from pipeline.detect.ultralytics import Profile, _batches

    assert _batches(Profile(batch), asked, on_gpu=on_gpu) == expected


@pytest.mark.parametrize(
    ("wh", "asked", "expected"),
    [
        pytest.param(None, None, (640, 384), id="any-size-is-the-cameras"),
        pytest.param(((32, 32), (640, 640)), None, (640, 384), id="engine-is-the-cameras"),
        pytest.param(((32, 32), (640, 640)), (320, 320), (320, 320), id="engine-asked-within"),
        pytest.param(((640, 640), (640, 640)), None, (640, 640), id="static-as-it-is"),
        pytest.param(((32, 32), (640, 640)), (1280, 736), "32×32 to 640×640, the fleet asks for 1280×736", id="beyond"),
        pytest.param(
            ((640, 640), (640, 640)), (640, 384), r"takes 640×640 only.*imgsz=\(384, 640\)", id="static-other"
        ),
    ],
)
def test_ultralytics_size_table(
    wh: tuple[WidthHeight, WidthHeight] | None, asked: WidthHeight | None, expected: WidthHeight | str
) -> None:
    from pipeline.detect.ultralytics import Profile, _size

    metadata, file = Metadata(("person",), (640, 640)), Path("m.engine")
    if isinstance(expected, str):
        with pytest.raises(DetectorError, match=expected):
            _size(Profile(None, wh), file, asked, metadata, [])
    else:
        assert _size(Profile(None, wh), file, asked, metadata, []) == expected


def test_int8_export_is_tuned_on_links_to_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, work = tmp_path / "pictures", tmp_path / "work"
    pictures.mkdir()
    work.mkdir()
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (pictures / name).write_bytes(b"x")
    monkeypatch.chdir(work)
    described = yaml.safe_load(Path(_calibration(pictures, {0: "person"})).read_text())
    images = Path(described["path"]) / described["val"]
    assert [file.resolve() for file in sorted(images.iterdir())] == [pictures / "a.jpg", pictures / "b.PNG"]
    assert described["names"] == {0: "person"}
    with pytest.raises(SystemExit, match=f"INT8 needs pictures .*{work} has none"):
        _calibration(work, {0: "person"})


def test_int8_export_of_other_pictures_is_another_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pictures, file = tmp_path / "pictures", tmp_path / "w.pt"
    pictures.mkdir()
    file.write_bytes(b"weights")
    runs: list[list[str]] = []

    def export(arguments: list[str], folder: Path, failure: str) -> None:
        runs.append(arguments)
        (folder / "model_int8_openvino_model").mkdir()

    monkeypatch.setattr(weights, "_run_tool", export)
    folders = [weights.exported(file), weights.exported(file, pictures), weights.exported(file, pictures)]
    (pictures / "a.jpg").write_bytes(b"x")
    folders.append(weights.exported(file, pictures))
    assert len(set(folders)) == 3
    assert runs == [["export", "model.pt"], *[["export", "model.pt", str(pictures)]] * 2]
    with pytest.raises(DetectorError, match=r"int8_from: there is no folder"):
        weights.exported(file, tmp_path / "nowhere")


@pytest.mark.parametrize("backend", ["openvino", "ultralytics"])
def test_weights_that_are_none_are_told(tmp_path: Path, backend: str) -> None:
    file = tmp_path / "notes.pt"
    file.write_text("hello")
    with pytest.raises(DetectorError, match=rf"{file}.*not a loadable checkpoint"):
        load_detector(Model(path=str(file), backend=backend), None)


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("backend", ["openvino", "ultralytics"])
def test_weights_that_bring_code_along_do_not_run_it(tmp_path: Path, backend: str) -> None:
    import torch

    file, sprung = tmp_path / "found.pt", tmp_path / "sprung"
    torch.save({"model": Trap(sprung)}, file)
    with pytest.raises(DetectorError, match=r"can run any code; if you trust .* set ULTRALYTICS_SAFE_LOAD=false"):
        load_detector(Model(path=str(file), backend=backend), None)
    assert not sprung.exists()


def test_weights_that_bring_code_along_do_not_run_it_where_ultralytics_was_imported_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from ultralytics.nn import tasks

    monkeypatch.setattr(tasks, "SAFE_LOAD", False)  # As it is without the variable, which is read on import.
    file, sprung = tmp_path / "found.pt", tmp_path / "sprung"
    torch.save({"model": Trap(sprung)}, file)
    with pytest.raises(DetectorError, match="can run any code"):
        load_detector(Model(path=str(file), backend="ultralytics"), None)
    assert not sprung.exists()


@pytest.mark.parametrize("backend", ["openvino", "ultralytics"])
def test_weights_with_a_folder_that_do_not_exist_are_never_fetched(tmp_path: Path, backend: str) -> None:
    with pytest.raises(DetectorError, match="there is no file"):
        load_detector(Model(path=str(tmp_path / "yolo26n.pt"), backend=backend), None)


def test_weights_of_an_unknown_name_are_told_without_asking_the_network() -> None:
    with pytest.raises(
        DetectorError, match=r"there is no file my_weights\.pt.*publishes no weights named my_weights\.pt"
    ):
        load_detector(Model(path="my_weights.pt", backend="openvino"), None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"device": "cuda:99"}, "there is no 'cuda:99' here", id="device"),
        pytest.param({"options": {"half": True}}, "backend 'ultralytics' has none; found half", id="options"),
        pytest.param({"input_wh": (100, 96)}, "needs multiples of 32", id="size"),
        pytest.param({"classes": ("persn",)}, "the model knows no class 'persn'", id="class"),
    ],
)
def test_ultralytics_mistake_is_told(random_weights: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        load_detector(Model(path=str(random_weights), backend="ultralytics", **settings), None)


def test_tool_that_fails_is_reported_by_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho one >&2; echo the reason; exit 3\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    (tmp_path / "run").mkdir()
    with pytest.raises(DetectorError, match=r"^it failed: the reason$"):
        weights._run_tool(["export", "x.pt"], tmp_path / "run", "it failed")


def test_cache_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    file = tmp_path / "w.pt"
    file.write_bytes(os.urandom(8))
    with pytest.raises(DetectorError, match=r"cannot make the cache .*set XDG_CACHE_HOME"):
        weights.exported(file)


def test_export_asked_for_twice_at_once_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "w.pt"
    file.write_bytes(b"weights")
    runs: list[Path] = []
    first_runs, second_waits = threading.Event(), threading.Event()

    def export(arguments: list[str], folder: Path, failure: str) -> None:
        runs.append(folder)
        first_runs.set()
        assert second_waits.wait(10)
        (folder / "model_openvino_model").mkdir()

    monkeypatch.setattr(weights, "_run_tool", export)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(weights.exported, file)
        assert first_runs.wait(10)
        second = pool.submit(weights.exported, file)
        second_waits.set()
        assert first.result(60) == second.result(10)
    assert first.result().is_dir()
    assert len(runs) == 1


def test_tool_ends_when_the_process_that_started_it_is_gone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.pt")
    command = [sys.executable, "-m", "pipeline.detect.tool", "export", "model.pt"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == ORPHANED
