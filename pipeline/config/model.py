"""A model and how it runs: the fleet's detector, and those that take a second look."""

from __future__ import annotations

import difflib
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from pipeline.config.base import FACTORY, Number, Value, Whole, mask_value, mistake, not_bool
from pipeline.config.engine import Cuda, OpenVino
from pipeline.config.triton import Servers, Triton

BACKENDS = ("auto", "openvino", "ultralytics", "triton", "stub")


def _backend(value: str) -> str:
    if value in BACKENDS or FACTORY.fullmatch(value):
        return value
    close = difflib.get_close_matches(value, BACKENDS, 1)
    hint = f"; did you mean “{close[0]}”?" if close else ""
    raise mistake(f"found “{mask_value(value)}”, expected {', '.join(BACKENDS)} or package.module:factory{hint}")


Backend = Annotated[
    str,
    AfterValidator(_backend),
    WithJsonSchema({"anyOf": [{"enum": list(BACKENDS)}, {"type": "string", "pattern": f"^{FACTORY.pattern}$"}]}),
]
SidePx = Annotated[int, Field(ge=32, le=8192), BeforeValidator(not_bool)]
Device = Annotated[str, WithJsonSchema({"type": ["string", "integer"]})]


class Model(Value):
    """The detector and how it runs."""

    path: str = Field(
        default="",
        description="The model: .pt, .onnx, .engine, an OpenVINO .xml or its folder; beside this file, in the current "
        "directory, or a name Ultralytics knows, such as yolo26n.pt. For `triton`, its name on the server. Required "
        "unless backend is `stub`.",
    )
    backend: Backend = Field(
        default="auto",
        description="What runs the model. `auto` picks by model and machine; `openvino` for CPUs, `ultralytics` for "
        "GPUs and all it can load, `triton` for a model on a Triton Inference Server, `stub` to test without a model, "
        "package.module:factory for a detector of your own.",
    )
    url: Servers = Field(
        default=(),
        description="The Triton Inference Server, such as grpc://10.0.0.9:8001, or grpcs:// with TLS. Of several, the "
        "first that answers is asked, and the next when it does not; it is gone back to.",
    )
    device: Device = Field(
        default="auto",
        description="Where it runs, in the backend's words: cpu, gpu, cuda:0; AUTO:GPU,CPU to start on the CPU while "
        "the GPU gets ready, MULTI:GPU,CPU to use both at once. `auto` is the first CUDA GPU, else the CPU.",
    )
    devices: tuple[Device, ...] | None = Field(
        default=None,
        min_length=1,
        description="Several devices, such as [cuda:0, cuda:1]: one worker process for each, the cameras spread over "
        "them; when one is gone for good, the others serve its cameras. Instead of `device`, where one GPU is not "
        "enough.",
    )
    classes: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Names of the classes to keep, such as [person, car]; all without it. "
        "Use it where a model knows more than you want to see.",
    )
    confidence: Number = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Boxes with a lower score are not even shown to the tracker. "
        "Leave it low: the tracker needs weak boxes to follow objects through occlusions.",
    )
    nms_iou: Number = Field(
        default=0.7,
        gt=0,
        le=1,
        description="Overlap above which two boxes are one object, for models without an end-to-end head. "
        "Lower it where objects get two boxes, raise it for crowds.",
    )
    input_wh: tuple[SidePx, SidePx] | None = Field(
        default=None,
        description="Width and height of the model's input, px. Without it, 16:9 at the model's own width, [640, 384], "
        "so that no padding is computed; OpenVINO models exported for a square only are cropped to it. Give [640, 480] "
        "for 4:3 cameras, [640, 640] for upright ones beside others.",
    )
    lanes: Whole | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Inference requests in flight at once; without it the backend chooses. 1 for the lowest latency "
        "of a single camera.",
    )
    threads: Whole | None = Field(
        default=None, ge=1, le=1024, description="CPU threads of the detector. Set it to leave cores for others."
    )
    openvino: OpenVino = Field(default=OpenVino(), description="Settings of OpenVINO.")
    cuda: Cuda = Field(default=Cuda(), description="Settings of NVIDIA GPUs.")
    triton: Triton = Field(default=Triton(), description="Settings of Triton Inference Servers.")
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="OpenVINO's own properties by their own names, such as ENABLE_HYPER_THREADING: false, before all "
        "that is set here; or what `stub` or a plug-in documents.",
    )

    @model_validator(mode="after")
    def _has_path(self) -> Model:
        if not self.path.strip() and self.backend != "stub":
            raise mistake(
                "“path” is missing; it names the model, such as path: yolo26n.pt (only backend: stub has none)"
            )
        return self

    @model_validator(mode="after")
    def _served(self) -> Model:
        if self.backend == "triton" and not self.url:
            raise mistake("“url” is missing: where the Triton server is, such as url: grpc://10.0.0.9:8001")
        if self.backend == "triton" and (self.devices or self.device != "auto"):
            raise mistake("the server decides on which device its models run; leave “device” and “devices” out")
        if self.url and self.backend != "triton":
            raise mistake("“url” is for backend: triton only; leave it out, or say backend: triton")
        return self

    @model_validator(mode="after")
    def _devices_once(self) -> Model:
        if self.devices and self.device != "auto":
            raise mistake("has both “device” and “devices”; leave one out")
        if self.devices and len(set(self.devices)) < len(self.devices):
            raise mistake("“devices” names one twice; for more work on one GPU set cuda: {instances: 2}")
        return self

    def per_device(self) -> tuple[Model, ...]:
        """A model for each worker process: this one, or one for each of `devices`."""
        if not self.devices:
            return (self,)
        return tuple(self.model_copy(update={"device": device, "devices": None}) for device in self.devices)
