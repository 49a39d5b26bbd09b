"""A model for servers without Triton's OpenVINO backend: OpenVINO in its Python backend.

`camfleet export --triton` puts this file beside the network as `model.py`. The server runs it, so it stands alone: it
needs `openvino` and `numpy` in the Python that the server uses, and nothing of camfleet. Each instance is a process
with a stream of its own; a batch brings nothing on a CPU, so requests that come together are computed one by one.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any


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
        self._tensor, self._copy, self._view = ov.Tensor, np.array, np.from_dlpack
        instances = sum(group["count"] for group in config["instance_group"])
        threads = max(1, len(os.sched_getaffinity(0)) // max(1, instances))
        compiled = ov.Core().compile_model(
            Path(__file__).parent / "model.xml",
            "CPU",
            {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False},
        )
        self._request = compiled.create_infer_request()

    def execute(self, requests: list[Any]) -> list[Any]:
        """An answer for each request, in their order; what fails is told to whoever asked, and to nobody else."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            # By DLPack, not as NumPy's arrays: servers that were built for NumPy 1 take those of NumPy 2 for empty.
            # A copy, as what comes that way is read-only and OpenVINO takes no such memory (0.74 MB: 0.05 ms).
            pictures = self._copy(self._view(self._backend.get_input_tensor_by_name(request, self._input_name)))
            self._request.set_input_tensor(self._tensor(pictures, shared_memory=True))
            self._request.infer()
            # The backend keeps what it is given until it is sent; the request's own memory is the next one's.
            boxes = self._copy(self._request.get_output_tensor(0).data)
            answer = self._backend.Tensor.from_dlpack(self._output_name, boxes)
            return self._backend.InferenceResponse([answer])
        except RuntimeError as error:
            return self._backend.InferenceResponse([], self._backend.TritonError(str(error)))
