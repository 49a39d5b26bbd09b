"""The `config.pbtxt` of a model in a Triton repository: how the server runs it, and what camfleet wants to know."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.detect.metadata import Metadata
from pipeline.detect.triton.model import METADATA
from pipeline.geometry import WidthHeight

QUEUE = 64
"""Requests that may wait in the server; one more is turned away at once. So many wait longer than any deadline."""
QUEUE_US = 4_000_000
"""How long a request may wait that says nothing itself; camfleet's say less (`model.triton.deadline_ms`)."""
GATHER_US = 500
"""How long the first request of a batch waits for others, where a batch is worth something. Not measured on a GPU."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output.

    Attributes:
        name: What requests call it.
        datatype: In Triton's words.
        dims: Its lengths, -1 where they are open; without the batch's where the server makes batches.
    """

    name: str
    datatype: str
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All that is said of a model.

    Attributes:
        name: What it is asked for by.
        backend: `onnxruntime`, `openvino` or `python`.
        pictures: Its input.
        boxes: Its output.
        most: The largest batch that the server may make; 0 for a model whose batch is part of its shape.
        instances: How many requests are computed at once.
        on_cpu: Whether on the CPU for sure; else on a GPU where the server has one.
        metadata: Class names and the like.
        warm_wh: The size of the pictures to warm up with, px.
        parameters: For the backend.
    """

    name: str
    backend: str
    pictures: Port
    boxes: Port
    most: int
    instances: int
    on_cpu: bool
    metadata: Metadata
    warm_wh: WidthHeight
    parameters: Sequence[tuple[str, str]] = ()


def config_text(config: ServerConfig) -> str:
    """The file's text.

    The batcher turns requests away that have waited for the time they say themselves, so a server that was slow does
    not work through what nobody waits for any more.
    """
    gather_us = 0 if config.on_cpu else GATHER_US
    blocks = [
        "# Written by camfleet export --triton.",
        f"name: {_text(config.name)}",
        f"backend: {_text(config.backend)}",
        f"max_batch_size: {config.most}",
        f"input [ {_port(config.pictures)} ]",
        f"output [ {_port(config.boxes)} ]",
        f"instance_group [ {{ count: {config.instances} kind: {'KIND_CPU' if config.on_cpu else 'KIND_AUTO'} }} ]",
        "dynamic_batching {\n"
        f"  max_queue_delay_microseconds: {gather_us}\n"
        "  default_queue_policy {\n"
        "    timeout_action: REJECT\n"
        f"    default_timeout_microseconds: {QUEUE_US}\n"
        "    allow_timeout_override: true\n"
        f"    max_queue_size: {QUEUE}\n"
        "  }\n"
        "}",
        *(_warm_up(config, count) for count in dict.fromkeys((1, max(1, config.most)))),
        *_parameters([(METADATA, _described(config.metadata)), *config.parameters]),
    ]
    return "\n".join(blocks) + "\n"


def _port(port: Port) -> str:
    dims = ", ".join(map(str, port.dims))
    return f"{{ name: {_text(port.name)} data_type: TYPE_{port.datatype} dims: [ {dims} ] }}"


def _warm_up(config: ServerConfig, count: int) -> str:
    """Grey would be truer than black, but zeros need no file."""
    port = config.pictures
    sides = dict(zip("WH", config.warm_wh, strict=True))
    layout = "HWC" if port.dims[-1] == 3 else "CHW"
    own = [sides.get(axis, 3) for axis in layout]
    dims = ", ".join(map(str, [*port.dims[: len(port.dims) - 3], *own]))
    return (
        f'model_warmup [ {{ name: "{count} at once" batch_size: {count} inputs {{ key: {_text(port.name)} '
        f"value {{ data_type: TYPE_{port.datatype} dims: [ {dims} ] zero_data: true }} }} }} ]"
    )


def _parameters(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"parameters {{ key: {_text(key)} value {{ string_value: {_text(value)} }} }}" for key, value in pairs]


def _described(metadata: Metadata) -> str:
    """As Ultralytics writes it for Triton: a map as Python text."""
    known: dict[str, object] = {
        "task": "detect",
        "names": dict(enumerate(metadata.class_names)),
        "stride": metadata.stride,
    }
    if metadata.input_wh is not None:
        known["imgsz"] = list(metadata.input_wh[::-1])
    return repr(known)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
