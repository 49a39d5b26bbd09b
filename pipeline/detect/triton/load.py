"""A model on a Triton Inference Server, on this machine or another; one request in flight a lane.

A server that restarts, hangs or is gone ends nothing here: its pictures go without boxes until it, or another of the
fleet file's servers, answers (`lane.py` says when). What ends the worker is a server that has another model than
the one the worker was started with; its successor asks the servers anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import structlog
from numpy.typing import NDArray

from pipeline.detect.classes import Wanted, select
from pipeline.detect.heads import Head, choose_head
from pipeline.detect.protocol import DetectorAway
from pipeline.detect.shape import smallest
from pipeline.detect.triton.client import Named, NoModel, require_library
from pipeline.detect.triton.connect import Access
from pipeline.detect.triton.lane import Task, TritonLane
from pipeline.detect.triton.model import GPU_BATCH, Requests, ServedModel, settled_input
from pipeline.detect.triton.servers import Servers, State
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

if TYPE_CHECKING:
    from pipeline.config.values import Model

log = structlog.get_logger()

CPU_BATCH = 1
"""Pictures a request where nobody asks for more and the server computes on a CPU; see `openvino_network.CPU_BATCH`."""
LEAST_LANES, MOST_LANES = 2, 8
"""One request travels while another is computed; a server with more instances is kept busy by more."""
WARM_UP_S = 60.0
"""How long a request may take while warming up: engines prepare kernels, or are built, at their first picture."""
START_AGAIN_S = 0.5
"""Between two rounds of servers while a start waits for one."""


class TritonDetector:
    """Lanes that ask the servers; made by `load`."""

    def __init__(self, task: Task, servers: Servers, head: Head, lanes: int, max_batch: int) -> None:
        requests = task.requests
        self.input_wh, self.max_batch, self.lanes = requests.input_wh, max_batch, lanes
        self.batches = (requests.most,) if requests.model.exactly else tuple(range(1, requests.most + 1))
        self.class_names = requests.model.metadata.class_names
        self.computes_in_caller = False
        self._task, self._servers, self._head = task, servers, head
        self._lanes = [TritonLane(task, servers) for _ in range(lanes)]
        servers.watch()

    def input(self, lane: int) -> NDArray[np.uint8]:
        """(max_batch, H, W, 3) uint8, RGB: copied to where the server reads when a request begins (1.2 MB: 0.1 ms)."""
        return self._lanes[lane].pictures[: self.max_batch]

    def detect(self, lane: int, count: int) -> list[Detections]:
        """What is on the lane's first `count` pictures; waits for the server, for the deadline at most."""
        return self._decode(self._lanes[lane].infer(smallest(self.batches, count)), count)

    def rebuild(self, lane: int) -> None:
        """Gives the lane new memory, and at its next detection a new connection; the old one is ended."""
        given_up, self._lanes[lane] = self._lanes[lane], TritonLane(self._task, self._servers)
        given_up.give_up()

    def warm_up(self) -> None:
        """Every lane connects, and asks for the least and the most that it may; the server's own warm-up does the rest.

        Raises:
            DetectorError: The server fails at it.
        """
        for lane in self._lanes:
            for size in dict.fromkeys((self.batches[0], self.batches[-1])):
                self._decode(lane.infer(size, WARM_UP_S), min(size, self.max_batch))

    def close(self) -> None:
        """Ends the connections; a detection that waits for a server ends without boxes."""
        self._servers.close()
        for lane in self._lanes:
            lane.hang_up()

    def _decode(self, output: NDArray[np.float32], count: int) -> list[Detections]:
        return self._head.decode(output[:count].astype(np.float32, copy=False))


def load(model: Model, max_batch: int | None, cameras: Sequence[WidthHeight] = ()) -> TritonDetector:
    """The detector of the model that Triton servers know as `model.path`; waits `model.triton.start_s` for one.

    Raises:
        DetectorError: tritonclient is not installed; no server answers; none has the model; or it is no detection
            model, or cannot serve this batch, size or classes.
    """
    require_library()
    if model.options:
        raise DetectorError(f"model.options: backend 'triton' has none; found {', '.join(model.options)}")
    access = Access(Named(model.path, model.triton.version), model.triton)
    served = _first_answer(access, model)
    names = served.metadata.class_names
    wanted = Wanted(model.confidence, model.nms_iou, select(names, model.classes))
    requests = Requests(served, _most(served, max_batch), settled_input(served, model.input_wh, cameras))
    head = choose_head(served.output.shape, len(names), wanted, requests.input_wh)
    lanes = model.lanes or max(LEAST_LANES, min(MOST_LANES, served.instances))
    log.info(
        "a Triton server has the model",
        model=model.path,
        most=served.most,
        merges_requests=served.merges,
        instances=served.instances,
        lanes=lanes,
    )
    deadline_s = model.triton.deadline_ms / 1000
    task = Task(access.named, requests, deadline_s, partial(access.line, requests))
    servers = Servers(model.url, partial(access.state, requests, deadline_s))
    return TritonDetector(task, servers, head, lanes, min(requests.most, max_batch or requests.most))


def _most(served: ServedModel, asked: int | None) -> int:
    """Pictures in one request: as many as it must have, or as the fleet asks for, or as suit where it is computed."""
    if served.exactly:
        return served.most
    return min(served.most, asked or (CPU_BATCH if served.on_cpu else GPU_BATCH))


def _first_answer(access: Access, model: Model) -> ServedModel:
    """The model as the first server describes it that has it; waits for one."""
    give_up_s = time.monotonic() + model.triton.start_s
    seen = Servers(model.url, lambda url: State.AWAY)
    while True:
        for url in model.url:
            try:
                return access.described(url)
            except NoModel as error:
                if len(model.url) == 1:
                    raise DetectorError(f"model.path: {error}") from error
                seen.failed(url, str(error))
            except DetectorAway as error:
                seen.failed(url, str(error))
        if time.monotonic() >= give_up_s:
            raise DetectorError(
                f"model.url: no Triton server has the model {access.named}: {seen.why}. "
                "Is it started, and its gRPC port reachable?"
            )
        seen.closed.wait(START_AGAIN_S)
