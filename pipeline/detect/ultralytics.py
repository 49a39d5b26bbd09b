"""Whatever Ultralytics loads: PyTorch weights, TensorRT engines, ONNX and the rest; CUDA in FP16 where there is a GPU.

Ultralytics loads the model and suppresses double boxes; pictures go up as uint8 from pinned memory and become floats on
the device. Not measured on a GPU yet; on the CPU the `openvino` backend is two to three times as fast.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.detect.classes import Wanted, select
from pipeline.detect.heads import MAX_BOXES, EndToEnd
from pipeline.detect.metadata import Metadata, from_values
from pipeline.detect.protocol import PAD_GREY
from pipeline.detect.quiet import quiet_environment
from pipeline.detect.weights import find_weights
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

if TYPE_CHECKING:
    from pipeline.config.values import Model

GPU_BATCH = 16
"""Pictures at once on a GPU where neither the fleet file nor the model says. Not measured."""

GPU_LANES = 2
"""On a GPU one lane's pictures are uploaded and its boxes read back while the other computes. Not measured."""

_LOADING_ERRORS = (
    *(OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ImportError, AssertionError),
    *(UnpicklingError, EOFError),
)
"""What Ultralytics and the libraries below it raise for files that they cannot load."""


class UltralyticsDetector:
    """One loaded model a lane, because neither engines nor PyTorch heads may be called by two threads at once."""

    def __init__(self, lanes: list[_Lane], class_names: tuple[str, ...], max_batch: int) -> None:
        self._lanes = lanes
        self.lanes, self.max_batch, self.class_names = len(lanes), max_batch, class_names
        _, height, width, _ = lanes[0].host.shape
        self.input_wh: WidthHeight = (width, height)

    def input(self, lane: int) -> NDArray[np.uint8]:
        """(max_batch, H, W, 3) uint8, RGB: pinned memory where the device is a GPU."""
        pictures: NDArray[np.uint8] = self._lanes[lane].host[: self.max_batch].numpy()
        return pictures

    def detect(self, lane: int, count: int) -> list[Detections]:
        """What is on the lane's first `count` pictures; waits for the device with the GIL free."""
        try:
            return self._lanes[lane].detect(count)
        except (RuntimeError, ValueError) as error:
            raise DetectorError(f"the model failed while detecting: {_first_line(error)}") from error

    def warm_up(self) -> None:
        """Every lane with one picture and with all: kernels are chosen and memory is taken at first sight."""
        for lane in range(self.lanes):
            for count in {1, self.max_batch}:
                self.detect(lane, count)

    def close(self) -> None:
        """Frees the models and the device's memory."""
        self._lanes = []
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a loaded model takes at once: exactly `fixed` pictures, or up to `most`; None where it does not matter."""

    fixed: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class _Lane:
    """A loaded model, the pictures it reads, and its own queue on the device."""

    backend: Any
    host: torch.Tensor
    stream: torch.cuda.Stream | None
    fixed: bool
    wanted: Wanted

    def detect(self, count: int) -> list[Detections]:
        on_stream = torch.cuda.stream(self.stream) if self.stream else contextlib.nullcontext()
        with torch.inference_mode(), on_stream:
            output = self.backend(self._floats(len(self.host) if self.fixed else count))
            output = output[0] if isinstance(output, list | tuple) else output
            rows = self._end_to_end(output) if output.shape[-1] == 6 else self._suppress(output)
        return rows[:count]

    def _floats(self, count: int) -> torch.Tensor:
        """(count, 3, H, W) in 0..1 on the device, of the model's float type; a quarter of the bytes cross the bus."""
        pictures = self.host[:count].to(self.backend.device, non_blocking=True).permute(0, 3, 1, 2)
        return pictures.to(torch.half if self.backend.fp16 else torch.float).div_(255).contiguous()

    def _end_to_end(self, output: torch.Tensor) -> list[Detections]:
        return EndToEnd(self.wanted).decode(output.float().cpu().numpy())

    def _suppress(self, output: torch.Tensor) -> list[Detections]:
        from ultralytics.utils.nms import non_max_suppression

        wanted = self.wanted
        kept = non_max_suppression(
            output,
            wanted.confidence,
            wanted.nms_iou,
            classes=np.flatnonzero(wanted.of_class).tolist(),
            max_det=MAX_BOXES,
        )
        rows = [picture.float().cpu().numpy() for picture in kept]
        return [Detections(row[:, :4], row[:, 4], row[:, 5].astype(np.int32)) for row in rows]


def load(model: Model, max_batch: int | None) -> UltralyticsDetector:
    """The detector of anything that Ultralytics loads; `device: auto` is the first GPU, else the CPU.

    Raises:
        DetectorError: No such model, not a detection model, or one that cannot serve this batch, size or device.
    """
    if model.options:
        raise DetectorError(f"model.options: backend 'ultralytics' has none; found {', '.join(model.options)}")
    os.environ.update(quiet_environment())
    device = _device(model.device)
    if model.threads:
        torch.set_num_threads(model.threads)
    path = Path(model.path)
    path = find_weights(path) if path.suffix == ".pt" else path
    if not path.exists():
        raise DetectorError(f"model.path: there is no {path}")
    lane_count = model.lanes or (GPU_LANES if device.type == "cuda" else 1)
    backends = [_load_backend(path, device) for _ in range(lane_count)]
    metadata = _metadata(backends[0], path)
    wanted = Wanted(model.confidence, model.nms_iou, select(metadata.class_names, model.classes))
    size, batch = _size(backends[0], path, model.input_wh, metadata), _batch(backends[0])
    allowed = _max_batch(batch, path, max_batch, device)
    lanes = [_lane(backend, (batch.fixed or allowed, size), batch.fixed is not None, wanted) for backend in backends]
    return UltralyticsDetector(lanes, metadata.class_names, allowed)


def _load_backend(path: Path, device: torch.device) -> Any:
    from ultralytics.nn.autobackend import AutoBackend

    try:
        # An end-to-end head is used where a PyTorch model has one, as in the exports of `tool.py`; others go without.
        backend = AutoBackend(str(path), device=device, fp16=device.type == "cuda", verbose=False, end2end=True)
    except _LOADING_ERRORS as error:
        raise DetectorError(f"model.path: Ultralytics cannot load {path}: {_first_line(error)}") from error
    return backend.eval()


def _lane(backend: Any, shape: tuple[int, WidthHeight], fixed: bool, wanted: Wanted) -> _Lane:
    count, (width, height) = shape
    on_gpu = torch.device(backend.device).type == "cuda"
    host = torch.full((count, height, width, 3), PAD_GREY, dtype=torch.uint8, pin_memory=on_gpu)
    # TensorRT and ONNX Runtime compute on the default stream, whatever stream their input was made on.
    own_stream = on_gpu and backend.format == "pt"
    stream = torch.cuda.Stream(backend.device) if own_stream else None  # type: ignore[no-untyped-call]
    if on_gpu:
        torch.cuda.synchronize(backend.device)  # the weights were loaded on the default stream
    return _Lane(backend, host, stream, fixed, wanted)


def _metadata(backend: Any, path: Path) -> Metadata:
    task = getattr(backend, "task", None) or getattr(backend.model, "task", None) or "detect"
    size = getattr(backend, "imgsz", None) or getattr(backend.model, "args", {}).get("imgsz")
    size = [size, size] if isinstance(size, int) else size
    return from_values({"names": backend.names, "task": task, "imgsz": size, "stride": int(backend.stride)}, str(path))


def _size(backend: Any, path: Path, asked: WidthHeight | None, metadata: Metadata) -> WidthHeight:
    own = metadata.input_wh
    any_size = backend.format == "pt" or backend.dynamic
    if not any_size and own and asked and asked != own:
        raise DetectorError(
            f"model.input_wh: {path} takes {own[0]}×{own[1]} only, the fleet asks for {asked[0]}×{asked[1]}; "
            f"leave input_wh out, or export again with imgsz={asked[::-1]}"
        )
    size = asked or own or (640, 640)
    if size[0] % metadata.stride or size[1] % metadata.stride:
        raise DetectorError(f"model.input_wh: {size[0]}×{size[1]}; {path} needs multiples of {metadata.stride}")
    return size


def _batch(backend: Any) -> _Batch:
    """A TensorRT engine's profile knows best; other exports say it in their metadata."""
    if backend.format == "pt":
        return _Batch(None, None)
    bindings = getattr(backend, "bindings", None)
    most = bindings["images"].shape[0] if isinstance(bindings, dict) and "images" in bindings else None
    if backend.dynamic:
        return _Batch(None, most)
    return _Batch(most or backend.batch, most or backend.batch)


def _max_batch(batch: _Batch, path: Path, asked: int | None, device: torch.device) -> int:
    if asked and batch.most and asked > batch.most:
        raise DetectorError(
            f"worker.max_batch: {path} takes {batch.most} at once, the fleet asks for {asked}; "
            f"leave max_batch out, or export again with dynamic=True, batch={asked}"
        )
    return asked or batch.most or (GPU_BATCH if device.type == "cuda" else 1)


def _device(asked: str) -> torch.device:
    if asked == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    name = {"cuda": "cuda:0", "gpu": "cuda:0"}.get(asked.lower(), asked.lower())
    name = f"cuda:{name}" if name.isdigit() else name
    if name not in {"cpu", *gpus}:
        raise DetectorError(f"model.device: there is no {asked!r} here; there is {', '.join([*gpus, 'cpu'])}")
    return torch.device(name)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
