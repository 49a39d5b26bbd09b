"""What a reader needs who installs nothing but the client's libraries."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.publishing import Publisher
from tests.test_wire import frame

DEADLINE_S = 60
REFUSING = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "pipeline", "zmq", "msgspec", "numpy"}:
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuse())
for name in [name for name in sys.modules if name.partition(".")[0] not in sys.stdlib_module_names]:
    del sys.modules[name]
"""
THREADED = """
import pipeline
with pipeline.Subscriber(sys.argv[1], ["gate"], timeout_s=30) as results:
    result = results.receive()
"""
ASYNCHRONOUS = """
import asyncio, pipeline

async def read():
    async with pipeline.AsyncSubscriber(sys.argv[1], ["gate"], timeout_s=30) as results:
        return await results.receive()

result = asyncio.run(read())
"""
SHOW = """
print(result.camera_id, result.tracks[0].track_id, "numpy" in sys.modules)
print(result.boxes.shape, "numpy" in sys.modules)
"""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Where a frame of camera gate is published again and again."""
    publisher, stop = Publisher("tcp://127.0.0.1:0", queue=10), threading.Event()

    def run() -> None:
        while not stop.wait(0.02):
            publisher.publish(frame())
        publisher.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield publisher.endpoint
    stop.set()
    thread.join(DEADLINE_S)


@pytest.mark.parametrize("reading", [THREADED, ASYNCHRONOUS], ids=["Subscriber", "AsyncSubscriber"])
def test_client_needs_pyzmq_and_msgspec_and_numpy_only_for_arrays(endpoint: str, reading: str):
    done = subprocess.run(
        [sys.executable, "-c", REFUSING + reading + SHOW, endpoint],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["gate 3 False", "(1, 4) True"]


def test_client_names_cost_no_array_library():
    code = "import sys, pipeline; pipeline.Subscriber; pipeline.AsyncSubscriber; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    assert done.stdout == "False\n"
