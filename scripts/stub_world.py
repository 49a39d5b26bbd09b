"""Cameras and a detector that are there for a worker, and cost nothing but their messages: for `bench_loop`."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray
from walkers import PICTURE_WH, walk

from pipeline.clock import SystemClock
from pipeline.detections import Detections
from pipeline.link import Hello, Link
from pipeline.plan import CameraPlan, StrideBounds
from pipeline.runscope import RunScope
from pipeline.slot import SlotWriter
from pipeline.worker.virtual import FRAME_WH, VirtualCamera, VirtualFrame

INPUT_WH = (640, 384)
LANES, SERVICE_S = 2, 0.014
"""A detector that does 140 pictures a second, as the demo's model on two cores."""
SCENE, APART = 500, 17
"""Pictures after which a scene begins again, and how many cameras' scenes are apart, so that no two are alike."""
REPORT_S, LISTEN_EVERY = 1.0, 8
"""Cameras say how they are once a second, and look for words of the worker every so many pictures."""
STREAMED = 1 << 21
"""Bytes that a burning lane copies at once, of a range that is larger than caches."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: so many cameras of `fps` with so many objects each, for `seconds` after `settle` seconds."""

    objects: int
    cameras: int
    fps: float
    seconds: float
    settle: float
    burn: bool = False

    def found(self) -> list[Detections]:
        """What a detector sees of a scene, picture by picture, in model pixels."""
        scale = np.float32(FRAME_WH[0] / PICTURE_WH[0])
        shift = np.array([0, (INPUT_WH[1] - FRAME_WH[1]) // 2] * 2, np.float32)
        scene = walk(self.objects, SCENE)
        return [Detections(one.xyxy * scale + shift, one.score, one.class_id) for one in scene]

    def plan(self, number: int) -> CameraPlan:
        """Of one of the cameras."""
        return CameraPlan(camera_id=f"camera-{number:03}", stride=StrideBounds(1, 16))


class ScriptedDetector:
    """Sees what was to be seen on the picture whose camera and number stand in its corner."""

    input_wh, max_batch, batches, class_names, lanes = INPUT_WH, 1, (1,), ("thing",), LANES
    computes_in_caller = True

    def __init__(self, case: Case) -> None:
        self._found, self._burns = case.found(), case.burn
        self._inputs = [np.zeros((1, INPUT_WH[1], INPUT_WH[0], 3), np.uint8) for _ in range(LANES)]
        self._streams = [np.zeros((32, STREAMED), np.uint8) for _ in range(LANES)]
        self._closed = threading.Event()
        self.calls = 0

    def input(self, lane: int) -> NDArray[np.uint8]:
        """As the protocol says."""
        return self._inputs[lane]

    def detect(self, lane: int, count: int) -> list[Detections]:
        """As the protocol says, after the time a detection takes."""
        ends_s = time.monotonic() + SERVICE_S
        self.calls += 1
        if self._burns:
            stream, turn = self._streams[lane], 0
            while time.monotonic() < ends_s:
                np.copyto(stream[turn % 32], stream[(turn + 1) % 32])
                turn += 1
        else:
            self._closed.wait(SERVICE_S)
        corner = self._inputs[lane][0, (INPUT_WH[1] - FRAME_WH[1]) // 2, :3].tobytes()
        camera, frame_id = np.frombuffer(corner[:8], np.uint32).tolist()
        return [self._found[(frame_id + APART * camera) % SCENE]]

    def rebuild(self, lane: int) -> None:
        """Nothing hangs."""

    def warm_up(self) -> None:
        """Nothing is cold."""

    def close(self) -> None:
        """Ends the waiting."""
        self._closed.set()


class RealSlot:
    """A virtual camera's slot in shared memory."""

    def __init__(self, writer: SlotWriter, camera: int) -> None:
        self._writer, self._camera = writer, camera

    def put(self, frame: VirtualFrame) -> None:
        """Write a picture with its numbers in the corner."""
        with self._writer.loan((frame.pixels.shape[1], frame.pixels.shape[0])) as loan:
            loan.pixels[:] = self._camera
            loan.pixels[0, :3].flat[:8] = np.array([self._camera, frame.frame_id], np.uint32).view(np.uint8)
            loan.send(frame.session, frame.frame_id)


def film(case: Case, scope: RunScope, folder: str, sent: Any, stop: Event) -> None:
    """Be all cameras, and the publisher, until `stop`; `sent` counts ticks."""
    inbox: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
    inbox.bind(f"ipc://{folder}/inbox")
    cameras, links, writers = [], [], []
    for number in range(case.cameras):
        plan = case.plan(number)
        writers.append(SlotWriter(scope, plan.camera_id, FRAME_WH))
        due_s = time.monotonic() + number / case.cameras / case.fps
        slot: Any = RealSlot(writers[-1], number)
        cameras.append(VirtualCamera(plan, lambda at_s: case.fps, (int(time.time()) << 16) + number, due_s, slot=slot))
        links.append(Link(f"ipc://{folder}/link", plan.camera_id))
        links[-1].send(Hello(plan))
    report_s = dict.fromkeys(range(case.cameras), 0.0)
    clock: Any = SystemClock()
    while not stop.is_set():
        number = min(range(case.cameras), key=lambda one: cameras[one].due_s)
        camera, link = cameras[number], links[number]
        while (wait_s := camera.due_s - time.monotonic()) > 0:
            if inbox.poll(1000 * wait_s):
                inbox.recv_multipart()
        camera.due_s += 1 / case.fps
        link.send(camera.take_picture(clock))
        sent.value += 1
        if camera.frames % LISTEN_EVERY == 0:
            for reply in link.receive():
                if (answer := camera.hear(reply)) is not None:
                    link.send(answer)
        if time.monotonic() > report_s[number]:
            report_s[number] = time.monotonic() + REPORT_S
            link.send(camera.state("bench", time.monotonic()))
    os._exit(0)
