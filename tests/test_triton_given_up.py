"""What was given up at a Triton server: memory, connections, and the server itself until it has proved better."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipeline.config.triton import Triton
from pipeline.detect import Detector, DetectorAway
from pipeline.detect.triton import connect, memory, regions, servers
from pipeline.detect.triton.client import Connection
from pipeline.detect.triton.regions import Region, Regions
from pipeline.detect.triton.servers import Return, Servers, State
from pipeline.errors import DetectorError
from tests.test_detect_triton import ORANGE_BOX, connecting_is_fast, detecting, see, sees_orange
from tests.triton_fake import FakeTriton, serving, until
from tests.waiting import wait_until

__all__ = ["connecting_is_fast"]
REFUSES_UNDER_A_REQUEST = "2.51.0"


def test_triton_return_that_failed_is_waited_for_twice_as_long_up_to_minutes():
    came_back, waits = Return(), []
    for _ in range(9):
        came_back.failed(1000.0)
        waits.append(came_back.wait_s)
        assert came_back.is_due(1000.0 + came_back.wait_s)
        assert not came_back.is_due(999.0 + came_back.wait_s - servers.BACK_S)
        came_back.returned(1001.0)
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == servers.LONGEST_BACK_S
    came_back.failed(1001.0 + servers.PROVEN_S)
    assert came_back.wait_s == servers.BACK_S


def test_triton_preferred_server_that_answers_and_does_not_compute_is_not_gone_back_to(
    monkeypatch: pytest.MonkeyPatch, within: Callable
):
    import grpc

    monkeypatch.setattr(servers, "BACK_S", 0.01)
    with serving() as first, serving() as second, detecting(first, second) as detector:
        first.before_answer = lambda context: context.abort(grpc.StatusCode.INTERNAL, "the stub process died")
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)
        first.asked.clear()
        wait_until(within, lambda: len(first.asked) > 2)
        assert all(request.raw_input_contents for request in first.asked), "asked with a picture of a camera"
        assert detector._servers.current == second.url  # type: ignore[attr-defined]
        first.before_answer = lambda context: None
        wait_until(within, lambda: detector._servers.current == first.url)  # type: ignore[attr-defined]
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)


def test_triton_server_that_fails_after_it_was_gone_back_to_is_gone_back_to_later_and_later(
    monkeypatch: pytest.MonkeyPatch, within: Callable
):
    monkeypatch.setattr(servers, "BACK_S", 0.01)
    monkeypatch.setattr(servers, "LONGEST_BACK_S", 0.04)
    several = Servers(["grpc://a:1", "grpc://b:1"], lambda url: State.SERVES)
    several.watch()
    waits = []
    for _ in range(4):
        wait_until(within, lambda: several.current == "grpc://a:1")
        for _lane in range(2):
            several.failed("grpc://a:1", "no answer in time")
        waits.append(several._returns["grpc://a:1"].wait_s)
    assert waits == [0.01, 0.02, 0.04, 0.04]
    several.close()


@pytest.mark.parametrize("version", ["2.49.0", REFUSES_UNDER_A_REQUEST, "2.59.0"], ids=["crashes", "refuses", "waits"])
def test_triton_memory_of_a_request_that_was_given_up_is_closed_once_that_has_ended(
    version: str, monkeypatch: pytest.MonkeyPatch, within: Callable
):
    monkeypatch.setattr(regions, "GRACE_S", 3600.0)
    with serving() as server, detecting(server, triton={"deadline_ms": 1000}) as detector:
        server.version, go_on = version, threading.Event()
        server.before_answer = lambda context: go_on.wait(60)
        given_up = set(server.regions)
        with pytest.raises(DetectorAway, match="no answer in time"):
            see(detector)
        server.before_answer = lambda context: None
        wait_until(within, lambda: sees_orange(detector))
        assert given_up < set(server.regions)
        go_on.set()
        wait_until(within, lambda: not server.in_use)
        monkeypatch.setattr(regions, "GRACE_S", 0.0)
        wait_until(within, lambda: has_one_region(server, detector))
        assert not given_up & set(server.regions)
        assert not server.crashed


def test_triton_server_that_keeps_the_memory_of_given_up_requests_gets_no_more_of_it(
    monkeypatch: pytest.MonkeyPatch, within: Callable
):
    monkeypatch.setattr(connect, "MOST_KEPT", 3)
    with serving() as server, detecting(server, triton={"deadline_ms": 400}) as detector:
        server.version, go_on = REFUSES_UNDER_A_REQUEST, threading.Event()
        server.before_answer = lambda context: go_on.wait(60)

        def goes_through_the_connection() -> bool:
            assert not sees_orange(detector)
            return bool(server.asked[-1].raw_input_contents)

        wait_until(within, goes_through_the_connection)
        assert len(server.regions) == 3
        server.before_answer = lambda context: None
        go_on.set()
        wait_until(within, lambda: not server.in_use)
        wait_until(within, lambda: sees_orange(detector))
        wait_until(within, lambda: has_one_region(server, detector))


def has_one_region(server: FakeTriton, detector: Detector) -> bool:
    """Whether the server keeps no other memory than that of a new connection."""
    detector._lanes[0].hang_up()  # type: ignore[attr-defined]
    return sees_orange(detector) and len(server.regions) == 1


def test_triton_pictures_go_through_memory_again_after_a_while(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connect, "WITHOUT_MEMORY_S", 0.0)
    monkeypatch.setattr(connect, "MOST_KEPT", 0)
    with serving() as server, detecting(server) as detector:
        see(detector)
        assert server.asked[-1].raw_input_contents
        monkeypatch.setattr(connect, "MOST_KEPT", 1)
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)
        assert not server.asked[-1].raw_input_contents


def test_triton_lane_rebuilt_under_a_request_ends_its_connection_and_leaves_the_server_no_memory(within: Callable):
    with serving() as server, detecting(server, triton={"deadline_ms": 4000}) as detector:
        server.before_answer = until(threading.Event())
        sent, before = len(server.asked), set(server.regions)
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(see, detector, (255, 0, 0))
            wait_until(within, lambda: len(server.asked) > sent)
            detector.rebuild(0)
            with pytest.raises(DetectorAway, match="the lane was given up"):
                lost.result(30)
        server.before_answer = lambda context: None
        assert "has not answered yet" in detector._servers.why, "a server that did no wrong is said to be away"  # type: ignore[attr-defined]
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)
        wait_until(within, lambda: len(server.regions) == 1)
        assert not before & set(server.regions)
        assert len(server.asked) == sent + 2


class Gpu:
    """In the place of tritonclient's module for memory of GPUs."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def take(self, name: str, size: int) -> tuple[Gpu, str]:
        self.taken.add(name)
        return self, name

    def get_raw_handle(self, handle: str) -> bytes:
        return base64.b64encode(handle.encode())

    def destroy_shared_memory_region(self, handle: str) -> None:
        self.taken.remove(handle)


def test_triton_memory_of_a_gpu_that_the_server_cannot_open_is_given_back(monkeypatch: pytest.MonkeyPatch):
    import grpc

    gpu, taken = Gpu(), []
    monkeypatch.setattr(memory, "_on_gpu", gpu.take)

    def refuse(method: str, context: Any) -> None:
        if method == "CudaSharedMemoryRegister":
            taken.extend(gpu.taken)
            context.abort(grpc.StatusCode.INTERNAL, "another GPU")

    with serving() as server:
        server.before_word = refuse
        with (
            pytest.raises(DetectorError, match="cannot open it: another GPU"),
            detecting(server, triton={"memory": "cuda"}),
        ):
            pass
    assert len(taken) == 1
    assert gpu.taken == set()


def test_triton_memory_of_a_gpu_that_the_server_may_have_opened_is_kept_until_it_has_not():
    import grpc

    released: list[str] = []
    with serving() as server:
        connection, until_s = Connection(server.url, Triton()), time.monotonic() + 30
        region, regions = Region("mine", server.url, "cuda", lambda: released.append("mine")), Regions()

        def open_and_say_nothing(method: str, context: Any) -> None:
            if method == "CudaSharedMemoryRegister":
                server.gpu_regions.add("mine")
                context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

        server.before_word = open_and_say_nothing
        with pytest.raises(DetectorAway, match="busy"):
            regions.open(connection, region, base64.b64encode(b"handle"), 0, 64, until_s=until_s)
        assert (released, server.gpu_regions) == ([], {"mine"})
        assert regions.kept(connection, until_s) == 0
        assert (released, server.gpu_regions) == (["mine"], set())
        connection.close()
