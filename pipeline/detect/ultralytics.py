"""Whatever Ultralytics loads: PyTorch weights, TensorRT engines, ONNX and the rest; CUDA in FP16 where there is a GPU.

Ultralytics loads the model and suppresses double boxes; `torch_lane.py` runs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.detect.classes import Wanted, select
from pipeline.detect.metadata import Metadata, from_values
from pipeline.detect.protocol import PAD_GREY
from pipeline.detect.quiet import SAFE_LOAD, first_line, quiet_environment
from pipeline.detect.shape import buckets, input_for
from pipeline.detect.torch_lane import TorchLane, cuda_graph
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

    def __init__(
        self,
        lanes: list[TorchLane],
        make_lane: Callable[[], TorchLane],
        metadata: Metadata,
        max_batch: int,
    ) -> None:
        self.task, class_names = metadata.task, metadata.class_names
        self._lanes, self._make_lane = lanes, make_lane
        self.lanes, self.max_batch, self.class_names = len(lanes), max_batch, class_names
        self.batches = lanes[0].batches
        self.computes_in_caller = "cpu" in str(lanes[0].backend.device)
        _, height, width, _ = lanes[0].host.shape
        self.input_wh: WidthHeight = (width, height)

    @property
    def device(self) -> str:
        """What computes, by PyTorch's names."""
        return str(self._lanes[0].backend.device)

    def input(self, lane: int) -> NDArray[np.uint8]:
        """(max_batch, H, W, 3) uint8, RGB: pinned memory where the device is a GPU."""
        pictures: NDArray[np.uint8] = self._lanes[lane].host[: self.max_batch].numpy()
        return pictures

    def detect(self, lane: int, count: int) -> list[Detections]:
        """What is on the lane's first `count` pictures; waits for the device with the GIL free."""
        try:
            return self._lanes[lane].detect(count)
        except (RuntimeError, ValueError) as error:
            raise DetectorError(f"the model failed while detecting: {first_line(error)}") from error

    def rebuild(self, lane: int) -> None:
        """Loads the model anew for the lane; the abandoned one lives until its `detect` returns."""
        self._lanes[lane] = self._make_lane()

    def warm_up(self) -> None:
        """Every lane at every batch size on a GPU, where kernels are chosen and graphs recorded; else at the ends."""
        for lane in self._lanes:
            on_gpu = torch.device(lane.backend.device).type == "cuda"
            for size in lane.batches if on_gpu else {lane.batches[0], lane.batches[-1]}:
                lane.detect(min(size, self.max_batch))

    def close(self) -> None:
        """Frees the models and the device's memory."""
        self._lanes = []
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def load(model: Model, max_batch: int | None, cameras: Sequence[WidthHeight] = ()) -> UltralyticsDetector:
    """The detector of anything that Ultralytics loads; `device: auto` is the first GPU, else the CPU.

    Raises:
        DetectorError: No such model, not a detection model, or one that cannot serve this batch, size or device.
    """
    if model.options:
        raise DetectorError(f"model.options: backend 'ultralytics' has none; found {', '.join(model.options)}")
    os.environ.update(quiet_environment())
    _distrust_weights()
    device = _device(model.device)
    if model.threads:
        torch.set_num_threads(model.threads)
    path = Path(model.path)
    path = find_weights(path) if path.suffix == ".pt" else path
    if not path.exists():
        raise DetectorError(f"model.path: there is no {path}")
    loader = _Loader(path, device, model)
    first = loader.backend()
    metadata = _metadata(first, path)
    wanted = Wanted(model.confidence, model.nms_iou, select(metadata.class_names, model.classes))
    profile = Profile.of(first)
    size = _size(profile, path, model.input_wh, metadata, cameras)
    allowed = _max_batch(profile, path, max_batch, device)
    plan = _Plan(size, _batches(profile, allowed, on_gpu=device.type == "cuda"), wanted)
    others = [loader.backend() for _ in range(1, _lane_count(model, device))]
    return UltralyticsDetector(
        [loader.lane(backend, plan) for backend in (first, *others)],
        lambda: loader.lane(loader.backend(), plan),
        metadata,
        allowed,
    )


def _distrust_weights() -> None:
    """Also where something else in this process has imported Ultralytics before: it reads the variable only then."""
    from ultralytics.utils import env_bool

    loading: Any = import_module("ultralytics.nn.tasks")
    loading.SAFE_LOAD = env_bool(SAFE_LOAD)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What all lanes have in common: the input's size, px, the batch sizes to compute, the boxes that leave."""

    input_wh: WidthHeight
    batches: tuple[int, ...]
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class _Loader:
    """Loads the same model as often as there are lanes."""

    path: Path
    device: torch.device
    model: Model

    def backend(self) -> Any:
        from ultralytics.nn.autobackend import AutoBackend

        half = self.device.type == "cuda" and self.model.cuda.precision == "f16"
        try:
            # An end-to-end head is used where a PyTorch model has one, as in the exports of `tool.py`.
            backend = AutoBackend(str(self.path), device=self.device, fp16=half, verbose=False, end2end=True)
        except _LOADING_ERRORS as error:
            raise DetectorError(f"model.path: Ultralytics cannot load {self.path}: {first_line(error)}") from error
        return backend.eval()

    def lane(self, backend: Any, plan: _Plan) -> TorchLane:
        width, height = plan.input_wh
        on_gpu = torch.device(backend.device).type == "cuda"
        shape = (plan.batches[-1], height, width, 3)
        host = torch.full(shape, PAD_GREY, dtype=torch.uint8, pin_memory=on_gpu)
        if not on_gpu:
            return TorchLane(backend, host, plan.batches, plan.wanted)
        is_torch = backend.format == "pt"
        torch.backends.cudnn.benchmark = True  # few sizes, each met while warming up
        # A static engine replays in the current queue; other engines and ONNX Runtime compute in the device's own.
        own_stream = is_torch or getattr(backend, "graph", None) is not None
        stream = torch.cuda.Stream(backend.device) if own_stream else None  # type: ignore[no-untyped-call]
        record = cuda_graph(backend.model.model[-1]) if is_torch and self.model.cuda.graphs else None
        torch.cuda.synchronize(backend.device)  # the weights were loaded in the device's own queue
        return TorchLane(backend, host, plan.batches, plan.wanted, stream, record)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a loaded model takes: batch sizes and picture sizes (w, h), from least to most; None where any will do."""

    batch: tuple[int, int] | None = None
    wh: tuple[WidthHeight, WidthHeight] | None = None

    @classmethod
    def of(cls, backend: Any) -> Profile:
        """A TensorRT engine's own profile; other exports say it in their metadata."""
        if backend.format == "pt":
            return cls()
        bindings = getattr(backend, "bindings", None)
        if isinstance(bindings, dict) and "images" in bindings:
            return cls._of_engine(backend, tuple(bindings["images"].shape))
        if backend.dynamic:
            return cls()
        height, width = _side_lengths(backend) or (None, None)
        return cls((backend.batch, backend.batch), ((width, height), (width, height)) if width and height else None)

    @classmethod
    def _of_engine(cls, backend: Any, most: tuple[int, ...]) -> Profile:
        least = most
        if backend.dynamic and backend.is_trt10:
            least, _, most = (tuple(shape) for shape in backend.model.get_tensor_profile_shape("images", 0))
        elif backend.dynamic:
            least = (1, 3, 1, 1)  # before TensorRT 10 the binding tells the most alone
        return cls((least[0], most[0]), ((least[3], least[2]), (most[3], most[2])))


def _metadata(backend: Any, path: Path) -> Metadata:
    task = getattr(backend, "task", None) or getattr(backend.model, "task", None) or "detect"
    size = _side_lengths(backend)
    return from_values({"names": backend.names, "task": task, "imgsz": size, "stride": int(backend.stride)}, str(path))


def _side_lengths(backend: Any) -> list[int] | None:
    """Height and width that the model was exported or trained for."""
    size = getattr(backend, "imgsz", None) or getattr(backend.model, "args", {}).get("imgsz")
    return [size, size] if isinstance(size, int) else size


def _size(
    profile: Profile, path: Path, asked: WidthHeight | None, metadata: Metadata, cameras: Sequence[WidthHeight]
) -> WidthHeight:
    if profile.wh and profile.wh[0] == profile.wh[1]:
        size = asked or profile.wh[0]
    else:
        size = asked or input_for(metadata.input_wh or (640, 640), cameras, metadata.stride)
    least, most = profile.wh or (size, size)
    if not (least[0] <= size[0] <= most[0] and least[1] <= size[1] <= most[1]):
        takes = f"{_times(most)} only" if least == most else f"{_times(least)} to {_times(most)}"
        raise DetectorError(
            f"model.input_wh: {path} takes {takes}, the fleet asks for {_times(size)}; "
            f"leave input_wh out, or export again with imgsz={size[::-1]}"
        )
    if size[0] % metadata.stride or size[1] % metadata.stride:
        raise DetectorError(f"model.input_wh: {_times(size)}; {path} needs multiples of {metadata.stride}")
    return size


def _max_batch(profile: Profile, path: Path, asked: int | None, device: torch.device) -> int:
    most = profile.batch[1] if profile.batch else None
    if asked and most and asked > most:
        raise DetectorError(
            f"worker.max_batch: {path} takes {most} at once, the fleet asks for {asked}; "
            f"leave max_batch out, or export again with dynamic=True, batch={asked}"
        )
    return asked or most or (GPU_BATCH if device.type == "cuda" else 1)


def _batches(profile: Profile, max_batch: int, *, on_gpu: bool) -> tuple[int, ...]:
    """Sizes that the model takes, ascending to one that holds `max_batch`: few on a GPU, every one on a CPU."""
    least = profile.batch[0] if profile.batch else 1
    sizes = buckets(max_batch) if on_gpu else range(1, max_batch + 1)
    return tuple(dict.fromkeys(max(size, least) for size in sizes))


def _lane_count(model: Model, device: torch.device) -> int:
    if device.type == "cuda":
        return model.cuda.instances or model.lanes or GPU_LANES
    return model.lanes or 1


def _device(asked: str) -> torch.device:
    if asked == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    name = {"cuda": "cuda:0", "gpu": "cuda:0"}.get(asked.lower(), asked.lower())
    name = f"cuda:{name}" if name.isdigit() else name
    if name not in {"cpu", *gpus}:
        raise DetectorError(f"model.device: there is no {asked!r} here; there is {', '.join([*gpus, 'cpu'])}")
    return torch.device(name)


def _times(wh: WidthHeight) -> str:
    return f"{wh[0]}×{wh[1]}"
