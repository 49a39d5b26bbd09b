"""`camfleet export --triton`: what is written, read back by Triton's own description of its configuration."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.detect.triton import python_model
from pipeline.detect.triton.repository import Order, write_repository
from pipeline.errors import ConfigError, DetectorError

SAMPLE = Path(__file__).parents[1] / "samples" / "model" / "demo_openvino_model"


def read_config(folder: Path) -> Any:
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed (camfleet[triton])")
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def export(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)], catch_exceptions=False)


def open_model(folder: Path) -> Path:
    """An OpenVINO model of any batch and size with one box a picture."""
    picture = ops.parameter([-1, 3, -1, -1], np.float32, name="images")
    picture.output(0).get_tensor().set_names({"images"})
    means = ops.reduce_mean(picture, np.array([2, 3]), keep_dims=False)
    rows = ops.unsqueeze(ops.concat([means, means], 1), 1)
    folder.mkdir()
    ov.save_model(ov.Model([rows], [picture]), folder / "open.xml", compress_to_fp16=False)
    (folder / "metadata.yaml").write_text("{task: detect, names: {0: \"a 'b' \\\\ é\"}, imgsz: [640, 640]}")
    return folder


def test_triton_export_is_the_network_that_camfleet_would_compute_itself(tmp_path: Path):
    done = export(SAMPLE, "--triton", tmp_path / "repository", "--name", "demo")
    assert done.exit_code == 0
    assert "version 1, openvino, UINT8 1×384×640×3" in done.output
    folder = tmp_path / "repository" / "demo"
    assert {str(file.relative_to(folder)) for file in folder.rglob("*")} == {
        *("config.pbtxt", "1", "1/model.xml", "1/model.bin")
    }
    config = read_config(folder)
    assert (config.name, config.backend, config.max_batch_size) == ("demo", "openvino", 0)
    assert (list(config.input[0].dims), list(config.output[0].dims)) == ([1, 384, 640, 3], [1, 8, 5040])
    assert (config.instance_group[0].count, config.parameters["NUM_STREAMS"].string_value) == (2, "2")
    policy = config.dynamic_batching.default_queue_policy
    assert policy.allow_timeout_override
    assert policy.max_queue_size > 0
    described = ast.literal_eval(config.parameters["metadata"].string_value)
    assert described["names"] == {0: "person", 1: "bicycle", 2: "car", 3: "van"}
    network = ov.Core().read_model(folder / "1" / "model.xml")
    assert network.input(0).get_element_type() == ov.Type.u8
    assert network.input(0).get_any_name() == config.input[0].name


def test_triton_export_of_an_open_model_lets_the_server_make_batches(tmp_path: Path):
    written = write_repository(Order(open_model(tmp_path / "open"), tmp_path / "repository", most=4, instances=3))
    config = read_config(written.folder)
    assert (config.max_batch_size, list(config.input[0].dims)) == (4, [384, 640, 3])
    assert [warm_up.batch_size for warm_up in config.model_warmup] == [1, 4]
    assert ast.literal_eval(config.parameters["metadata"].string_value)["names"] == {0: "a 'b' \\ é"}
    compiled = ov.Core().compile_model(written.folder / "1" / "model.xml", "CPU")
    assert compiled({0: np.zeros((3, 384, 640, 3), np.uint8)})[0].shape == (3, 1, 6)


def test_triton_export_to_python_brings_what_the_server_runs(tmp_path: Path):
    written = write_repository(Order(SAMPLE, tmp_path, "demo", "python"))
    assert (written.folder / "1" / "model.py").read_bytes() == Path(python_model.__file__).read_bytes()
    assert read_config(written.folder).backend == "python"


def test_triton_export_of_a_name_that_is_there_is_its_next_version(tmp_path: Path):
    versions = [write_repository(Order(SAMPLE, tmp_path, "demo")).version for _ in range(2)]
    assert versions == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo"]


def test_triton_export_tells_in_json_what_it_wrote(tmp_path: Path):
    done = export(SAMPLE, "--triton", tmp_path, "--name", "demo", "--input", "512x288", "--json")
    told = json.loads(done.stdout)
    assert told["input"] == {"datatype": "UINT8", "dims": [1, 288, 512, 3]}
    assert (told["folder"], told["version"]) == (str(tmp_path / "demo"), 1)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["--precision", "int8"], ConfigError, "--triton writes one model and measures nothing"),
        (["--input", "512x288,640x384"], ConfigError, "--triton takes one size"),
        (["--name", "a/b"], DetectorError, "--name: found 'a/b'"),
        (["--triton-backend", "onnxruntime"], DetectorError, r"ONNX Runtime runs \.onnx files"),
    ],
    ids=["precision", "sizes", "name", "backend"],
)
def test_triton_export_mistake_is_told_and_nothing_is_written(
    arguments: list[str], kind: type[Exception], message: str, tmp_path: Path
):
    with pytest.raises(kind, match=message):
        export(SAMPLE, "--triton", tmp_path / "repository", *arguments)
    assert not (tmp_path / "repository").exists()
