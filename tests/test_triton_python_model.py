"""What `export --triton --triton-backend python` lets the server run, here with what it asks of the server replaced."""

from __future__ import annotations

import ctypes
import json
import sys
from importlib import util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from pipeline.detect.triton import python_model

PICTURE = (2, 4, 3)
USED = b"used_dlpack"


def network(open_count: bool) -> Any:
    """(N, 2, 4, 3) bytes in; out as many rows of 6 times the mean as there are pictures, or as many as are not zero."""
    pictures = ops.parameter([-1, *PICTURE], np.uint8, name="images")
    means = ops.reduce_mean(ops.convert(pictures, np.float32), np.array([1, 2, 3]), keep_dims=False)
    if open_count:
        found = ops.non_zero(ops.convert(means, np.int32))
        means = ops.gather(means, ops.squeeze(found, np.array(0)), np.array(0))
    rows = ops.tile(ops.unsqueeze(ops.unsqueeze(means, 1), 1), np.array([1, 1, 6]))
    if open_count:
        rows = ops.transpose(rows, np.array([1, 0, 2]))
    return ov.Model([rows], [pictures])


def served(folder: Path, monkeypatch: pytest.MonkeyPatch, open_count: bool = False) -> Any:
    """The model as the server has loaded it."""
    backend = SimpleNamespace(
        get_input_tensor_by_name=lambda request, name: request[name],
        Tensor=SimpleNamespace(from_dlpack=lambda name, capsule: (name, taken(capsule))),
        InferenceResponse=lambda tensors, error=None: (tensors, error),
        TritonError=str,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)
    ov.save_model(network(open_count), folder / "model.xml", compress_to_fp16=False)
    file = folder / "model.py"
    file.write_bytes(Path(python_model.__file__).read_bytes())
    spec = util.spec_from_file_location("served_model", file)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "served_model", module)
    spec.loader.exec_module(module)
    model = module.TritonPythonModel()
    config = {"input": [{"name": "images"}], "output": [{"name": "output0"}], "instance_group": [{"count": 1}]}
    model.initialize({"model_config": json.dumps(config)})
    return model


def request(*values: int) -> dict[str, Any]:
    """Pictures of these brightnesses, as the server gives them."""
    pictures = np.stack([np.full(PICTURE, value, np.uint8) for value in values])
    return {"images": _Lent(pictures)}


def taken(capsule: Any) -> Any:
    """What it lends, as an array; and its name is then the one that the server gives it, not the standard's."""
    values = np.from_dlpack(SimpleNamespace(__dlpack__=lambda **told: capsule, __dlpack_device__=lambda: (1, 0)))
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), USED)
    return values


class _Lent:
    """By DLPack, and not otherwise."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __dlpack__(self, **told: Any) -> Any:
        return self._values.__dlpack__(**told)

    def __dlpack_device__(self) -> Any:
        return self._values.__dlpack_device__()


def boxes(answer: Any) -> list[list[float]]:
    (tensor,), error = answer
    assert error is None
    assert tensor[0] == "output0"
    return tensor[1][..., 0].tolist()


def test_served_model_gives_each_of_the_requests_that_came_together_boxes_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = served(tmp_path, monkeypatch)
    together = model.execute([request(10), request(20), request(30, 40)])
    assert [boxes(answer) for answer in together] == [[[10]], [[20]], [[30], [40]]]
    assert boxes(model.execute([request(50, 60)])[0]) == [[50], [60]]


def test_served_model_whose_boxes_are_as_many_as_it_finds_gives_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = served(tmp_path, monkeypatch, open_count=True)
    together = model.execute([request(10, 0), request(20, 30)])
    assert [boxes(answer) for answer in together] == [[[10]], [[20, 30]]]


def test_served_model_tells_whoever_sent_what_it_cannot_compute_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = served(tmp_path, monkeypatch)
    wrong = {"images": _Lent(np.zeros((1, 7, 7, 3), np.uint8))}
    failed, good = model.execute([wrong, request(20)])
    assert failed[0] == []
    assert "shape" in failed[1]
    assert boxes(good) == [[20]]
