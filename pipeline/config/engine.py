"""How each kind of inference engine runs a model: the sections of `model:` that only one backend reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.config.base import Value, Whole


class OpenVino(Value):
    """Settings of OpenVINO; other backends do not read them."""

    hint: Literal["throughput", "latency", "none"] = Field(
        default="throughput",
        description="What OpenVINO tunes itself for. `latency` where few cameras must be answered soonest: one request "
        "over all cores; `none` where `streams`, `lanes` and `options` say everything.",
    )
    streams: Whole | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Groups of threads that compute a request each. Fewer than cores shortens each request, "
        "as many as cores computes the most; without it `hint` decides, or `lanes` where they are set.",
    )
    precision: Literal["auto", "f32", "f16", "bf16"] = Field(
        default="auto",
        description="The type it computes floats in. `auto` is the fastest the processor has; "
        "f32 to rule out rounding when results differ between machines.",
    )
    pinning: bool = Field(
        default=False,
        description="Tie each thread to a core. Only where nothing else runs on the machine: beside decoders it can be "
        "many times slower.",
    )
    cache: bool = Field(
        default=True,
        description="Keep compiled models in the user's cache, so that the next start is faster. "
        "Turn it off where nothing may be written.",
    )
    mmap: bool = Field(
        default=True,
        description="Map the model's file into memory instead of reading it. "
        "Turn it off for a model on a network drive, or one that may be replaced while the fleet runs.",
    )
    int8_from: str = Field(
        default="",
        description="A folder of pictures like those the cameras will give, 300 are plenty: .pt weights are then "
        "exported as INT8, tuned on them. For CPUs with VNNI or AMX; check the boxes, small objects suffer first.",
    )


class Cuda(Value):
    """Settings of NVIDIA GPUs (backend `ultralytics`); on a CPU, and by other backends, they are not read."""

    precision: Literal["f16", "f32"] = Field(
        default="f16",
        description="The type it computes in. f32 to rule out rounding; an engine or ONNX file keeps its own.",
    )
    instances: Whole | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Copies of the model on one GPU, each with a queue of its own: one uploads while another computes. "
        "Raise it while the GPU is not busy and memory is left; goes before `lanes`.",
    )
    graphs: bool = Field(
        default=False,
        description="Record a .pt model's work as CUDA graphs, one a batch size. For small models, which otherwise "
        "wait for Python to launch their kernels; costs seconds at start and GPU memory.",
    )
