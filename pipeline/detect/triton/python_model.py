"""A model for servers without Triton's OpenVINO backend: OpenVINO in its Python backend.

`camfleet export --triton` puts this file beside the network as `model.py`. The server runs it, so it stands alone: it
needs `openvino` and `numpy` in the Python that the server uses, and nothing of camfleet. Each instance is a process
with a stream of its own; a batch brings nothing on a CPU, so requests that come together are computed one by one.

What Python does here runs from cold caches, as the network has just been through them: the same line takes 0.04 ms
between others and 0.3 ms after the network. So all that can be is done once, or while the network computes.
"""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

TAKEN = b"used_dltensor"
"""What DLPack calls memory that somebody has taken."""


@dataclass(frozen=True)
class Place:
    """An OpenVINO request with memory of its own.

    Attributes:
        request: Reads and writes the memory.
        pictures: Of one shape.
        boxes: Of these pictures; None where their number is open.
    """

    request: Any
    pictures: Any
    boxes: Any


class TritonPythonModel:
    """What Triton's Python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Compile the network beside this file; called once by each instance."""
        import numpy as np
        import openvino as ov

        config = json.loads(args["model_config"])
        self._output_name = config["output"][0]["name"]
        self._input_name = config["input"][0]["name"]
        # Only the server has it.
        self._backend = import_module("triton_python_backend_utils")
        self._numpy, self._tensor = np, ov.Tensor
        instances = sum(group["count"] for group in config["instance_group"])
        threads = max(1, len(os.sched_getaffinity(0)) // max(1, instances))
        self._compiled = ov.Core().compile_model(
            Path(__file__).parent / "model.xml",
            "CPU",
            {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False},
        )
        self._places: dict[tuple[int, Any], Place] = {}

    def execute(self, requests: list[Any]) -> list[Any]:
        """An answer for each request, in their order; what fails is told to whoever asked, and to nobody else."""
        return [self._answer(number, request) for number, request in enumerate(requests)]

    def _answer(self, number: int, request: Any) -> Any:
        try:
            # By DLPack, not as NumPy's arrays: servers that were built for NumPy 1 take those of NumPy 2 for empty.
            pictures = self._numpy.from_dlpack(self._backend.get_input_tensor_by_name(request, self._input_name))
            place = self._place(number, pictures.shape)
            self._numpy.copyto(place.pictures, pictures)
            place.request.start_async()
            # The backend reads the boxes when all of `execute` is done, and writes them nowhere after that.
            answer = None if place.boxes is None else self._response(place.boxes)
            place.request.wait()
            return answer or self._response(self._numpy.array(place.request.get_output_tensor(0).data))
        except RuntimeError as error:
            return self._backend.InferenceResponse([], self._backend.TritonError(str(error)))

    def _response(self, boxes: Any) -> Any:
        lent = boxes.__dlpack__()
        tensor = self._backend.Tensor.from_dlpack(self._output_name, lent)
        # The backend marks what it has taken by a name of its own, and NumPy, which knows but the standard's, would
        # write a traceback into the server's log for every answer (0.25 ms).
        ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(lent), TAKEN)
        return self._backend.InferenceResponse([tensor])

    def _place(self, number: int, shape: Any) -> Place:
        """Where the pictures of one of the requests that came together are computed; made when first needed."""
        place = self._places.get((number, shape))
        if place is None:
            place = self._places[number, shape] = self._new_place(shape)
        return place

    def _new_place(self, shape: Any) -> Place:
        request, pictures = self._compiled.create_infer_request(), self._numpy.empty(shape, self._numpy.uint8)
        request.set_input_tensor(self._tensor(pictures, shared_memory=True))
        count, *each = self._compiled.output(0).get_partial_shape()
        if any(length.is_dynamic for length in each):
            return Place(request, pictures, None)
        lengths = [length.get_length() for length in each]
        boxes = self._numpy.empty((shape[0] if count.is_dynamic else count.get_length(), *lengths), self._numpy.float32)
        request.set_output_tensor(self._tensor(boxes, shared_memory=True))
        return Place(request, pictures, boxes)
