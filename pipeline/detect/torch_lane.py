"""One loaded PyTorch model, engine or other backend of Ultralytics, with the pictures it reads and a queue of its own.

On a GPU pictures go up as uint8 from pinned memory, a quarter of the bytes of floats, and become floats there. A small
model waits for Python to launch its hundreds of kernels; recorded as a CUDA graph they are launched by one call. None
of this has been measured on a GPU yet. Not `torch.compile`: YOLO heads keep their anchors for the last shape they saw,
so a batch of another size compiles the model again, for seconds, each time the size changes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from pipeline.detect.classes import Wanted
from pipeline.detect.heads import MAX_BOXES, EndToEnd, WholePicture
from pipeline.detect.shape import smallest
from pipeline.detections import Detections

Replay = Callable[[], torch.Tensor]
Recorder = Callable[[Replay, "torch.cuda.Stream | None"], Replay]
"""Given work on memory that stays where it is, and the queue it runs in: something that does this work again."""

UNRECORDED = 3
"""Runs before a recording, in which libraries choose kernels and take memory; what PyTorch's notes on graphs advise."""


@dataclass(frozen=True, slots=True)
class TorchLane:
    """A loaded model and what it needs to run alone.

    Attributes:
        backend: Ultralytics' `AutoBackend`.
        host: (max batch, H, W, 3) uint8 RGB, pinned where the device is a GPU.
        batches: The batch sizes to compute, ascending.
        wanted: Which boxes leave.
        stream: A queue of its own on a GPU; None for the device's own.
        record: How to record the work of a batch size; None to launch it each time.
    """

    backend: Any
    host: torch.Tensor
    batches: tuple[int, ...]
    wanted: Wanted
    stream: torch.cuda.Stream | None = None
    record: Recorder | None = None
    _recorded: dict[int, tuple[torch.Tensor, Replay]] = field(default_factory=dict)

    def detect(self, count: int) -> list[Detections]:
        """What is on the first `count` pictures; waits for the device with the GIL free."""
        with torch.inference_mode(), self._on_device():
            output = self._output(smallest(self.batches, count))[:count]
            if output.ndim == 2:
                return self._classes(output)
            return self._end_to_end(output) if output.shape[-1] == 6 else self._suppress(output)

    def _output(self, size: int) -> torch.Tensor:
        if self.record is None:
            return self._compute(self.host[:size].to(self.backend.device, non_blocking=True))
        if size not in self._recorded:
            pictures = torch.empty_like(self.host[:size], device=self.backend.device)
            self._recorded[size] = pictures, self.record(lambda: self._compute(pictures), self.stream)
        pictures, replay = self._recorded[size]
        pictures.copy_(self.host[:size], non_blocking=True)
        return replay()

    def _compute(self, pictures: torch.Tensor) -> torch.Tensor:
        """The raw output for (size, H, W, 3) uint8 on the device."""
        floats = pictures.permute(0, 3, 1, 2).to(torch.half if self.backend.fp16 else torch.float)
        output = self.backend(floats.div_(255).contiguous())
        first: torch.Tensor = output[0] if isinstance(output, list | tuple) else output
        return first

    def _classes(self, output: torch.Tensor) -> list[Detections]:
        _, height, width, _ = self.host.shape
        return WholePicture(self.wanted, (width, height)).decode(output.float().cpu().numpy())

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

    @contextlib.contextmanager
    def _on_device(self) -> Iterator[None]:
        """Work in the lane's queue. Engines compute on the thread's current GPU, which is the first unless told."""
        device = torch.device(self.backend.device)
        with contextlib.ExitStack() as stack:
            if device.type == "cuda":
                stack.enter_context(torch.cuda.device(device))
            if self.stream is not None:
                stack.enter_context(torch.cuda.stream(self.stream))
            yield


def cuda_graph(head: object) -> Recorder:
    """Records CUDA graphs of a model that ends in `head`.

    YOLO heads keep their anchors for the last shape seen, and drop them at another; a recorded graph goes on reading
    them, so they are kept with it.
    """

    def record(work: Replay, stream: torch.cuda.Stream | None) -> Replay:
        for _ in range(UNRECORDED):
            work()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other lanes may be computing while a lane is rebuilt, which must not spoil the recording.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            output = work()
        kept = (getattr(head, "anchors", None), getattr(head, "strides", None))

        def replay(_kept: object = kept) -> torch.Tensor:
            graph.replay()
            return output

        return replay

    return record
