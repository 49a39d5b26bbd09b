"""A Triton server of a test's own: in this process, over real gRPC, with one model and whatever trouble is wanted.

Its model sees one box on each picture: x1, y1, x2 are 100 × the mean red, green, blue (0..1), the score the mean red.
"""

from __future__ import annotations

import mmap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.servers import free_port

pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed (camfleet[triton])")

import grpc
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

NAMES = "{'names': {0: 'red', 1: 'blue'}, 'task': 'detect', 'stride': 32, 'imgsz': [32, 64]}"
TYPES = {"UINT8": np.uint8, "FP32": np.float32, "FP16": np.float16}


@dataclass
class FakeModel:
    """What the server says that its model takes and gives; -1 where a length is open, the batch's included."""

    name: str = "tiny"
    version: str = "1"
    takes: tuple[str, tuple[int, ...]] = ("UINT8", (-1, 32, 64, 3))
    gives: tuple[str, tuple[int, ...]] = ("FP32", (-1, 1, 6))
    max_batch_size: int = 4
    parameters: dict[str, str] = field(default_factory=lambda: {"metadata": NAMES})
    config: str = "instance_group [ { count: 3 kind: KIND_CPU } ] dynamic_batching { }"
    inputs: int = 1


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """May be killed and started again on its port, as another process would be: it forgets what memory it had."""

    def __init__(self, model: FakeModel | None = None, tls: tuple[Path, Path] | None = None) -> None:
        self.port, self.model = free_port(), model or FakeModel()
        self.url = f"{'grpcs' if tls else 'grpc'}://127.0.0.1:{self.port}"
        self.before_answer: Callable[[Any], None] = lambda context: None
        self.before_word: Callable[[str, Any], None] = lambda method, context: None
        self.asked: list[Any] = []
        self.regions: dict[str, mmap.mmap] = {}
        self.gpu_regions: set[str] = set()
        self.ready, self.breaks_answers = True, False
        self.version, self.crashed = "2.59.0", False
        self._uses: Counter[str] = Counter()
        self._closing: set[str] = set()
        self._lock = threading.Lock()
        self._tls = tls
        self._server: grpc.Server | None = None

    @property
    def in_use(self) -> bool:
        """Whether a request uses memory that is shared."""
        with self._lock:
            return any(count for name, count in self._uses.items() if name)

    def start(self) -> None:
        self.regions.clear()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        address = f"127.0.0.1:{self.port}"
        if self._tls is None:
            self._server.add_insecure_port(address)
        else:
            cert, key = (file.read_bytes() for file in self._tls)
            self._server.add_secure_port(
                address, grpc.ssl_server_credentials([(key, cert)], cert, require_client_auth=True)
            )
        self._server.start()

    def kill(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait(10)
            self._server = None

    def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerLiveResponse(live=True)

    def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerMetadataResponse(name="fake", version=self.version)

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.before_word("ModelReady", context)
        return service_pb2.ModelReadyResponse(ready=self.ready and self._has(request))

    def RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802
        index = service_pb2.RepositoryIndexResponse()
        index.models.add(name=self.model.name, version=self.model.version, state="READY" if self.ready else "LOADING")
        return index

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.before_word("ModelMetadata", context)
        self._require(request, context)
        told = service_pb2.ModelMetadataResponse(name=self.model.name, versions=[self.model.version])
        for number in range(self.model.inputs):
            told.inputs.add(name=f"images{number or ''}", datatype=self.model.takes[0], shape=self.model.takes[1])
        told.outputs.add(name="output0", datatype=self.model.gives[0], shape=self.model.gives[1])
        return told

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        from google.protobuf import text_format

        self.before_word("ModelConfig", context)
        self._require(request, context)
        config = text_format.Parse(self.model.config, model_config_pb2.ModelConfig())
        config.name, config.max_batch_size = self.model.name, self.model.max_batch_size
        for key, value in self.model.parameters.items():
            config.parameters[key].string_value = value
        return service_pb2.ModelConfigResponse(config=config)

    def SystemSharedMemoryStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.before_word("SystemSharedMemoryStatus", context)
        told = service_pb2.SystemSharedMemoryStatusResponse()
        for name in self.regions:
            told.regions[name].name = name
        return told

    def SystemSharedMemoryRegister(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.before_word("SystemSharedMemoryRegister", context)
        try:
            with Path(f"/dev/shm{request.key}").open("r+b") as file:
                self.regions[request.name] = mmap.mmap(file.fileno(), request.byte_size)
        except OSError:
            context.abort(grpc.StatusCode.INTERNAL, f"Unable to open shared memory region: '{request.key}'")
        return service_pb2.SystemSharedMemoryRegisterResponse()

    def CudaSharedMemoryRegister(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.before_word("CudaSharedMemoryRegister", context)
        self.gpu_regions.add(request.name)
        return service_pb2.CudaSharedMemoryRegisterResponse()

    def CudaSharedMemoryStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        told = service_pb2.CudaSharedMemoryStatusResponse()
        for name in self.gpu_regions:
            told.regions[name].name = name
        return told

    def CudaSharedMemoryUnregister(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.gpu_regions.discard(request.name)
        return service_pb2.CudaSharedMemoryUnregisterResponse()

    def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Under a request, versions differ: they crash when they compute it, refuse, or wait for its answer."""
        version = tuple(map(int, self.version.split(".")))
        with self._lock:
            if not self._uses[request.name] or version < (2, 50):
                self.crashed = self.crashed or self._uses[request.name] > 0
                self.regions.pop(request.name, None)
            elif version < (2, 52):
                context.abort(grpc.StatusCode.INTERNAL, f"Cannot unregister '{request.name}', it is currently in use")
            else:
                self._closing.add(request.name)
        return service_pb2.SystemSharedMemoryUnregisterResponse()

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.asked.append(request)
        self._require(request, context)
        with self._using(_region_name(request.inputs[0].parameters)):
            memory = self._region(request.inputs[0].parameters, context)
            content = request.raw_input_contents[0] if memory is None else memory
            self.before_answer(context)
            kind, shape = TYPES[request.inputs[0].datatype], tuple(request.inputs[0].shape)
            return self._answer(request, context, self._boxes(np.frombuffer(content, kind), shape))

    @contextmanager
    def _using(self, region: str) -> Iterator[None]:
        with self._lock:
            self._uses[region] += 1
        try:
            yield
        finally:
            with self._lock:
                self._uses[region] -= 1
                if region in self._closing and not self._uses[region]:
                    self.regions.pop(region, None)

    def _boxes(self, values: Any, shape: tuple[int, ...]) -> Any:
        pictures = values[: int(np.prod(shape))].reshape(shape)
        axes = (1, 2) if shape[-1] == 3 else (2, 3)
        means = pictures.astype(np.float32).mean(axis=axes) / (255 if pictures.dtype == np.uint8 else 1)
        _, rows, columns = self.model.gives[1]
        boxes = np.zeros((shape[0], rows, columns), np.float32)
        if columns == 6:
            boxes[:, 0, :3], boxes[:, 0, 4] = 100 * means, means[:, 0]
        else:  # as columns of centre, size and scores
            boxes[:, :4, 0], boxes[:, 4, 0] = (20, 20, 10, 10), means[:, 0]
        return boxes.astype(TYPES[self.model.gives[0]])

    def _answer(self, request: Any, context: Any, boxes: Any) -> Any:
        told = service_pb2.ModelInferResponse(model_name=self.model.name, model_version=self.model.version)
        told.outputs.add(name="output0", datatype=self.model.gives[0], shape=boxes.shape)
        asked = request.outputs[0].parameters
        memory = self._region(asked, context)
        if memory is None:
            told.raw_output_contents.append(b"" if self.breaks_answers else boxes.tobytes())
            return told
        offset = asked["shared_memory_offset"].int64_param
        memory[offset : offset + boxes.nbytes] = boxes.tobytes()
        return told

    def _region(self, parameters: Any, context: Any) -> mmap.mmap | None:
        name = _region_name(parameters)
        if not name:
            return None
        if name not in self.regions:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unable to find shared memory region: '{name}'")
        return self.regions[name]

    def _has(self, request: Any) -> bool:
        asked = getattr(request, "name", "") or getattr(request, "model_name", "")
        version = getattr(request, "version", "") or getattr(request, "model_version", "")
        return asked == self.model.name and version in ("", self.model.version)

    def _require(self, request: Any, context: Any) -> None:
        if not self._has(request):
            context.abort(grpc.StatusCode.NOT_FOUND, "Request for unknown model")


def _region_name(parameters: Any) -> str:
    # Asked for, what is not there would be there.
    return parameters["shared_memory_region"].string_param if "shared_memory_region" in parameters else ""


@contextmanager
def serving(model: FakeModel | None = None, tls: tuple[Path, Path] | None = None) -> Iterator[FakeTriton]:
    """A server with this model, for the block."""
    server = FakeTriton(model, tls)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def until(event: threading.Event) -> Callable[[Any], None]:
    """What lets an answer wait for `event`, or for the end of its request."""

    def wait(context: Any) -> None:
        while context.is_active() and not event.wait(0.01):
            continue

    return wait
