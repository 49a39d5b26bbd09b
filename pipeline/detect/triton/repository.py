"""A model written into a Triton model repository: the network, its `config.pbtxt`, and a version of its own.

An ONNX stays as it is and runs in ONNX Runtime, on a GPU where the server has one. Everything else, and an ONNX if
asked for, becomes an OpenVINO network that takes uint8 pictures: a quarter of the bytes of floats on their way to the
server, and the very network that camfleet would compute itself. `python` runs it in OpenVINO, too, but in the server's
Python, for servers that come without the OpenVINO backend (`python_model.py`).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import openvino as ov

from pipeline.config.base import NAME_PATTERN, NAME_RULE
from pipeline.config.values import Model
from pipeline.detect.metadata import Metadata
from pipeline.detect.openvino_network import (
    Wish,
    cropped,
    fit,
    model_file,
    network_metadata,
    read_network,
    with_u8_input,
)
from pipeline.detect.triton.config import Port, ServerConfig, config_text
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

Backend = Literal["auto", "onnxruntime", "openvino", "python"]

_ONNX_TYPES = {"f32": "FP32", "f16": "FP16", "u8": "UINT8"}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written.

    Attributes:
        model: A .pt, an .onnx, an .xml or its folder.
        repository: The folder that the server is started with; made if it is not there.
        name: What the model is asked for by; "" for its file's.
        backend: What runs it; `auto` is ONNX Runtime for an .onnx, else OpenVINO.
        input_wh: The size of its input, px; None for its own, or of a square one for 16:9.
        most: The largest batch that the server may make of requests, where the model takes any.
        instances: How many requests the server computes at once.
    """

    model: Path
    repository: Path
    name: str = ""
    backend: Backend = "auto"
    input_wh: WidthHeight | None = None
    most: int = 8
    instances: int = 2


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the model's folder, its version there, and what the server was told."""

    folder: Path
    version: int
    config: ServerConfig


def write_repository(order: Order) -> Written:
    """Write the model, as the next version where one of its name is there; the server serves the newest.

    A server that watches the folder never sees half of it. Blocks for minutes where a .pt is exported first.

    Raises:
        DetectorError: There is no such model, or none that gives boxes; or it cannot be written.
    """
    try:
        file = model_file(Model(path=str(order.model)))
    except DetectorError as error:
        raise DetectorError(str(error).removeprefix("model.path: ")) from error
    network = read_network(ov.Core(), file)
    metadata = network_metadata(network, file)
    backend = order.backend if order.backend != "auto" else "onnxruntime" if file.suffix == ".onnx" else "openvino"
    if backend == "onnxruntime" and file.suffix != ".onnx":
        raise DetectorError(f"{file}: ONNX Runtime runs .onnx files; leave --triton-backend out")
    order = replace(order, backend=backend, name=_name(order))
    made = (
        _as_it_is(order, network, metadata)
        if backend == "onnxruntime"
        else _of_pictures(order, network, metadata, file)
    )
    try:
        order.repository.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".camfleet-", dir=order.repository) as folder:
            _fill(Path(folder), file, made)
            return Written(order.repository / made.config.name, _place(Path(folder), order), made.config)
    except OSError as error:
        raise DetectorError(f"{order.repository}: the model cannot be written there: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Made:
    """A network ready to be written; `network` is None for a file that is copied."""

    config: ServerConfig
    network: Any = None


def _as_it_is(order: Order, network: Any, metadata: Metadata) -> _Made:
    """An ONNX; a batch that is part of its shape stays so, since ONNX Runtime's backend insists."""
    open_batch = network.input(0).partial_shape[0].is_dynamic
    pictures, boxes = _port(network.input(0), open_batch), _port(network.output(0), open_batch)
    sides = [length for length in pictures.dims[-3:] if length != 3]
    own = (sides[1], sides[0]) if len(sides) == 2 and min(sides) > 0 else None
    if order.input_wh not in (None, own):
        raise DetectorError(
            f"--input: ONNX Runtime is given {order.model} as it is; leave it out, or say --triton-backend openvino"
        )
    config = ServerConfig(
        name=order.name,
        backend=order.backend,
        pictures=pictures,
        boxes=boxes,
        most=order.most if open_batch else 0,
        instances=order.instances,
        on_cpu=False,
        metadata=metadata,
        warm_wh=own or metadata.input_wh or (640, 640),
    )
    return _Made(config)


def _of_pictures(order: Order, network: Any, metadata: Metadata, file: Path) -> _Made:
    """An OpenVINO network of uint8 pictures in the shape that camfleet would compute itself."""
    wish = Wish(None, order.input_wh)
    network = cropped(network, wish, metadata)
    open_batch = network.input(0).partial_shape[0].is_dynamic
    fit(network, file, replace(wish, max_batch=order.most if open_batch else None), metadata)
    network = with_u8_input(network)
    for port, name in ((network.input(0), "images"), (network.output(0), "output0")):
        if not port.get_names():
            port.get_tensor().set_names({name})
    pictures, boxes = _port(network.input(0), open_batch), _port(network.output(0), open_batch)
    height, width = pictures.dims[-3:-1]
    config = ServerConfig(
        name=order.name,
        backend=order.backend,
        pictures=pictures,
        boxes=boxes,
        most=order.most if open_batch else 0,
        instances=order.instances,
        on_cpu=True,
        metadata=replace(metadata, input_wh=(width, height)),
        warm_wh=(width, height),
        parameters=[("NUM_STREAMS", str(order.instances))] if order.backend == "openvino" else [],
    )
    return _Made(config, network)


def _port(port: Any, open_batch: bool) -> Port:
    kind = port.get_element_type().get_type_name()
    if kind not in _ONNX_TYPES:
        raise DetectorError(f"the model takes or gives {kind}; a server is asked for {', '.join(_ONNX_TYPES)}")
    lengths = [length.get_length() if length.is_static else -1 for length in port.get_partial_shape()]
    return Port(port.get_any_name(), _ONNX_TYPES[kind], tuple(lengths[1:] if open_batch else lengths))


def _name(order: Order) -> str:
    name = order.name or order.model.stem.removesuffix("_openvino_model")
    if not re.fullmatch(NAME_PATTERN, name):
        raise DetectorError(f"--name: found {name!r}; expected {NAME_RULE}")
    return name


def _fill(folder: Path, file: Path, made: _Made) -> None:
    """The version's files, and the config beside them."""
    version = folder / "version"
    version.mkdir()
    if made.network is None:
        shutil.copyfile(file, version / "model.onnx")
    else:
        ov.save_model(made.network, version / "model.xml", compress_to_fp16=False)
    if made.config.backend == "python":
        shutil.copyfile(Path(__file__).with_name("python_model.py"), version / "model.py")
    (folder / "config.pbtxt").write_text(config_text(made.config), encoding="utf-8")


def _place(made: Path, order: Order) -> int:
    """Put what was made where the server looks; returns the version's number."""
    folder = order.repository / order.name
    folder.mkdir(exist_ok=True)
    taken = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    number = max(taken, default=0) + 1
    # The config first: a server that looks in between takes the version before for what it was.
    (made / "config.pbtxt").replace(folder / "config.pbtxt")
    (made / "version").rename(folder / str(number))
    return number
