"""Triton servers as a detector: what is sent, what comes back, and the end that each kind of trouble has."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.triton import Triton
from pipeline.config.values import Model
from pipeline.detect import Detector, DetectorAway, load_detector
from pipeline.detect.triton import client, lane, load, servers
from pipeline.detect.triton.servers import Servers, State
from pipeline.errors import DetectorError
from tests.servers import certificate, free_port
from tests.triton_fake import NAMES, FakeModel, FakeTriton, serving, until
from tests.waiting import wait_until

ORANGE = (204, 102, 51)
ORANGE_BOX = [80, 40, 20]


@pytest.fixture(autouse=True)
def connecting_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine that runs these tests is."""
    monkeypatch.setattr(lane, "FRESH_S", 60.0)


@contextmanager
def detecting(*servers: FakeTriton | str, max_batch: int | None = None, **settings: Any) -> Iterator[Detector]:
    """A warm detector that asks these servers, one lane of it."""
    urls = [server if isinstance(server, str) else server.url for server in servers]
    section = {"start_s": 0, "deadline_ms": 4000, **settings.pop("triton", {})}
    model = Model(backend="triton", path="tiny", url=urls, triton=section, **{"lanes": 1, **settings})
    detector = load_detector(model, max_batch)
    try:
        detector.warm_up()
        yield detector
    finally:
        detector.close()


def see(detector: Detector, colour: tuple[int, int, int] = ORANGE) -> list[float]:
    """The box that it sees on a picture of this colour."""
    detector.input(0)[0] = colour
    return detector.detect(0, 1)[0].xyxy[0, :3].tolist()


@contextmanager
def answering_nobody() -> Iterator[str]:
    """The address of a listener that takes connections and never says a word: half-open for whoever connects."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"grpc://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("memory", ["auto", "none"])
@pytest.mark.parametrize(
    ("datatype", "shape"),
    [
        pytest.param("UINT8", (-1, 32, 64, 3), id="bytes as they are"),
        pytest.param("FP32", (-1, 3, 32, 64), id="floats, channels first"),
        pytest.param("FP16", (-1, 3, 32, 64), id="half floats, channels first"),
        pytest.param("UINT8", (-1, 3, 32, 64), id="bytes, channels first"),
    ],
)
def test_triton_pictures_reach_the_server_as_its_model_takes_them(datatype: str, shape: tuple[int, ...], memory: str):
    with (
        serving(FakeModel(takes=(datatype, shape))) as server,
        detecting(server, triton={"memory": memory}, max_batch=2) as detector,
    ):
        assert detector.input(0).shape == (2, 32, 64, 3)
        detector.input(0)[0], detector.input(0)[1] = ORANGE, (255, 0, 0)
        first, second = detector.detect(0, 2)
        assert first.xyxy[0, :3].tolist() == pytest.approx(ORANGE_BOX, abs=0.1)
        assert second.xyxy[0, :3].tolist() == pytest.approx([100, 0, 0], abs=0.1)
        assert bool(server.regions) is (memory == "auto")


@pytest.mark.parametrize("memory", ["auto", "none"])
def test_triton_many_boxes_come_back_through_memory_too(memory: str):
    model = FakeModel(takes=("UINT8", (-1, 384, 640, 3)), gives=("FP32", (-1, 84, 5040)))
    model.parameters["metadata"] = repr({"names": {number: str(number) for number in range(80)}})
    with serving(model) as server, detecting(server, triton={"memory": memory}) as detector:
        detector.input(0)[0] = ORANGE
        found = detector.detect(0, 1)[0]
        assert found.xyxy.tolist() == [[15, 15, 25, 25]]
        assert ("shared_memory_region" in server.asked[-1].outputs[0].parameters) is (memory == "auto")


def test_triton_detector_is_as_the_server_describes_its_model():
    with serving() as server, detecting(server, lanes=None) as detector:
        assert isinstance(detector, Detector)
        assert (detector.input_wh, detector.class_names) == ((64, 32), ("red", "blue"))
        assert (detector.lanes, detector.max_batch, detector.batches) == (3, 1, (1,))


def test_triton_model_on_a_gpu_gets_batches_and_as_many_as_the_fleet_says():
    on_gpu = FakeModel(config="instance_group [ { count: 1 kind: KIND_GPU gpus: [ 0, 1 ] } ]")
    with serving(on_gpu) as server:
        with detecting(server) as detector:
            assert (detector.max_batch, detector.batches) == (4, (1, 2, 3, 4))
        with detecting(server, max_batch=2) as detector:
            assert (detector.max_batch, detector.batches) == (2, (1, 2))


def test_triton_fixed_batch_is_filled_up_and_the_surplus_is_not_reported():
    fixed = FakeModel(takes=("UINT8", (2, 32, 64, 3)), gives=("FP32", (2, 1, 6)), max_batch_size=0)
    with serving(fixed) as server, detecting(server) as detector:
        assert detector.batches == (2,)
        detector.input(0)[0] = ORANGE
        assert len(detector.detect(0, 1)) == 1
        assert list(server.asked[-1].inputs[0].shape) == [2, 32, 64, 3]


def test_triton_leaves_no_name_in_shared_memory_and_takes_a_dead_workers_from_the_server():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    ours, namespace, machine = (name.format(process.pid) for name in names_here_and_elsewhere())
    Path("/dev/shm", ours).touch()
    with serving() as server:
        server.regions = dict.fromkeys((ours, namespace, machine))  # type: ignore[assignment]
        with detecting(server) as detector:
            see(detector)
            assert ours not in server.regions
            assert {namespace, machine} < set(server.regions)
            assert list(Path("/dev/shm").glob(f"camfleet-triton-*-{os.getpid()}-*")) == []
            assert not Path("/dev/shm", ours).exists()
            assert len(server.regions) == 3
        assert set(server.regions) == {namespace, machine}


def names_here_and_elsewhere() -> tuple[str, str, str]:
    """What memory of process {} is named: here, in another pid namespace, and on another machine."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")[:12]
    space = Path("/proc/self/ns/pid").stat().st_ino
    return (
        f"camfleet-triton-{boot}-{space}-{{}}-0a",
        f"camfleet-triton-{boot}-{space + 1}-{{}}-0a",
        f"camfleet-triton-{'0' * 12}-{space}-{{}}-0a",
    )


def test_triton_server_is_told_how_long_a_request_may_take(within: Callable):
    left_s: list[float] = []
    with serving() as server, detecting(server, triton={"deadline_ms": 700}) as detector:
        server.before_answer = lambda context: left_s.append(context.time_remaining())
        wait_until(within, lambda: sees_orange(detector))
        assert 0 < server.asked[-1].parameters["timeout"].int64_param <= 700_000
        assert 0 < left_s[-1] <= 0.75


def test_triton_server_that_is_killed_costs_its_pictures_and_is_used_again_when_it_is_back(within: Callable):
    with serving() as server, detecting(server, triton={"deadline_ms": 300}) as detector:
        wait_until(within, lambda: sees_orange(detector))
        server.kill()

        def is_refused() -> bool:
            with pytest.raises(DetectorAway) as caught:
                see(detector)
            return f"{server.url}: Connection refused" in str(caught.value)

        wait_until(within, is_refused)
        server.start()
        wait_until(within, lambda: sees_orange(detector))


def sees_orange(detector: Detector) -> bool:
    """Whether a server answers in time; then rightly."""
    try:
        box = see(detector)
    except DetectorAway:
        return False
    assert box == pytest.approx(ORANGE_BOX, abs=0.1)
    return True


def test_triton_server_started_again_between_two_requests_costs_nothing():
    with serving() as server, detecting(server) as detector:
        see(detector)
        server.kill()
        server.start()
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)


def test_triton_pictures_that_waited_for_a_connection_are_given_up_for_fresh_ones(monkeypatch: pytest.MonkeyPatch):
    with serving() as server, detecting(server) as detector:
        detector._lanes[0].hang_up()  # type: ignore[attr-defined]
        monkeypatch.setattr(lane, "FRESH_S", 0.0)
        sent = len(server.asked)
        with pytest.raises(DetectorAway):
            see(detector)
        assert len(server.asked) == sent
        monkeypatch.setattr(lane, "FRESH_S", 60.0)
        server.before_word = lambda method, context: pytest.fail("connected again")
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)


def test_triton_second_server_takes_over_without_a_lost_detection_and_gives_back(
    monkeypatch: pytest.MonkeyPatch, within: Callable
):
    monkeypatch.setattr(servers, "BACK_S", 0.05)
    with serving() as first, serving() as second, detecting(first, second) as detector:
        see(detector)
        assert second.asked == []
        first.kill()
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)
        assert len(second.asked) == 1
        first.start()
        first.asked.clear()
        wait_until(within, lambda: see(detector) and first.asked)


def test_triton_slow_server_costs_pictures_and_its_late_answer_spoils_no_other(within: Callable):
    with serving() as server, detecting(server, triton={"deadline_ms": 200}) as detector:
        go_on = threading.Event()
        server.before_answer = lambda context: go_on.wait(30)
        with pytest.raises(DetectorAway, match="no answer in time"):
            see(detector, (255, 255, 255))
        server.before_answer = lambda context: None
        go_on.set()
        wait_until(within, lambda: sees_orange(detector))


def test_triton_half_open_connection_ends_at_the_deadline_and_another_server_is_asked(within: Callable):
    with serving() as good, answering_nobody() as mute:
        with detecting(mute, good, triton={"deadline_ms": 300, "start_s": 60}) as detector:
            wait_until(within, lambda: sees_orange(detector))
        with pytest.raises(DetectorError, match=r"no Triton server has the model 'tiny': .*no answer in time"):
            load_detector(Model(backend="triton", path="tiny", url=mute, triton={"start_s": 0}), None)


def test_triton_start_waits_for_a_server_that_comes_later():
    server = FakeTriton()
    with ThreadPoolExecutor(1) as pool:
        block = detecting(server, triton={"start_s": 60})
        loading = pool.submit(block.__enter__)
        server.start()
        try:
            assert see(loading.result(60)) == pytest.approx(ORANGE_BOX, abs=0.1)
            block.__exit__(None, None, None)
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"parameters": {"metadata": NAMES.replace("red", "green")}}, "its classes differ", id="classes"),
        pytest.param({"gives": ("FP32", (-1, 2, 6))}, "its output differ", id="output"),
        pytest.param({"gives": ("INT32", (-1, 1, 6))}, "gives INT32", id="no detection model"),
    ],
)
def test_triton_another_model_after_a_restart_ends_the_detector(change: dict[str, Any], message: str):
    with serving() as server, detecting(server) as detector:
        see(detector)
        server.kill()
        server.model = replace(server.model, **change)
        server.start()
        with pytest.raises(DetectorError, match=message) as caught:
            see(detector)
        assert not isinstance(caught.value, DetectorAway)


def test_triton_new_version_of_the_same_model_is_gone_over_to():
    with serving() as server, detecting(server) as detector:
        see(detector)
        server.model.version = "2"
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)


def test_triton_new_version_with_other_classes_ends_the_detector():
    with serving() as server, detecting(server, triton={"memory": "none"}) as detector:
        see(detector)
        server.model.version = "2"
        server.model.parameters["metadata"] = NAMES.replace("red", "green")
        with pytest.raises(DetectorError, match="its classes differ"):
            see(detector)


def test_triton_server_that_refuses_every_request_ends_the_detector():
    import grpc

    with serving() as server, detecting(server) as detector:
        server.before_answer = lambda context: context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such thing")
        with pytest.raises(DetectorError, match="refuses to serve 'tiny': no such thing") as caught:
            see(detector)
        assert not isinstance(caught.value, DetectorAway)


def test_triton_answer_that_is_cut_short_is_no_answer():
    with serving() as server, detecting(server) as detector:
        server.breaks_answers = True
        with pytest.raises(DetectorAway, match="its answer is not as long as it says"):
            see(detector)
        server.breaks_answers = False
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)


def test_triton_model_that_fails_in_the_server_is_asked_again():
    import grpc

    with serving() as server, detecting(server) as detector:
        server.before_answer = lambda context: context.abort(grpc.StatusCode.INTERNAL, "the stub process died")
        with pytest.raises(DetectorAway, match="the stub process died"):
            see(detector)
        server.before_answer = lambda context: None
        assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        pytest.param(FakeModel(name="other"), {}, "has no model 'tiny'; it has other", id="no such model"),
        pytest.param(
            FakeModel(),
            {"triton": {"version": "7"}},
            "has no model 'tiny' version 7; it has tiny",
            id="no such version",
        ),
        pytest.param(FakeModel(inputs=2), {}, "has 2 inputs and 1 outputs", id="two inputs"),
        pytest.param(FakeModel(takes=("FP32", (-1, 4))), {}, r"takes FP32 of shape \[-1, 4\]", id="no pictures"),
        pytest.param(FakeModel(takes=("INT64", (-1, 3, 32, 64))), {}, "takes INT64", id="whole numbers"),
        pytest.param(FakeModel(gives=("FP32", (-1, 6))), {}, r"gives FP32 of shape \[-1, 6\]", id="no boxes"),
        pytest.param(FakeModel(parameters={}), {}, "has no parameter 'metadata'", id="no names"),
        pytest.param(FakeModel(parameters={"metadata": "{"}), {}, "is no Python text", id="broken names"),
        pytest.param(FakeModel(parameters={"metadata": "[1]"}), {}, "is a list, no map", id="names no map"),
        pytest.param(
            FakeModel(parameters={"metadata": NAMES.replace("'detect'", "'pose'")}),
            {},
            "task 'pose'",
            id="a pose model",
        ),
        pytest.param(FakeModel(gives=("FP32", (-1, 9, 42))), {}, "output has shape", id="more classes than names"),
        pytest.param(
            FakeModel(config="model_transaction_policy { decoupled: true }"), {}, "several times", id="decoupled"
        ),
        pytest.param(FakeModel(config="sequence_batching { }"), {}, "remembers the one before", id="stateful"),
        pytest.param(FakeModel(), {"max_batch": 5}, "takes 4 pictures at once, the fleet asks for 5", id="batch"),
        pytest.param(FakeModel(), {"input_wh": (96, 64)}, "takes 64×32 only, the fleet asks for 96×64", id="size"),
        pytest.param(FakeModel(), {"classes": ("rad",)}, "did you mean 'red'", id="class"),
        pytest.param(FakeModel(), {"options": {"a": 1}}, "backend 'triton' has none; found a", id="options"),
    ],
)
def test_triton_wrong_model_is_told_before_a_picture_is_sent(model: FakeModel, settings: dict[str, Any], message: str):
    with (
        serving(model) as server,
        pytest.raises(DetectorError, match=message),
        detecting(server, **settings),
    ):
        pass
    assert server.asked == []


def test_triton_open_size_is_chosen_for_the_cameras_as_everywhere():
    names = NAMES.replace("[32, 64]", "[640, 640]")
    open_size = FakeModel(takes=("UINT8", (-1, -1, -1, 3)), parameters={"metadata": names})
    with serving(open_size) as server:
        with detecting(server) as detector:
            assert detector.input_wh == (640, 384)
        with detecting(server, input_wh=(64, 32)) as detector:
            assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)


def test_triton_names_may_come_from_a_file_beside_the_fleet(tmp_path: Path):
    file = tmp_path / "metadata.yaml"
    file.write_text("names: {0: rouge, 1: bleu}")
    with serving(FakeModel(parameters={})) as server, detecting(server, triton={"metadata": str(file)}) as detector:
        assert detector.class_names == ("rouge", "bleu")


def test_triton_over_tls_knows_the_server_and_is_known_by_it(tmp_path: Path):
    cert, key = certificate(tmp_path)
    known = {"ca_file": str(cert), "cert_file": str(cert), "key_file": str(key)}
    with serving(tls=(cert, key)) as server:
        with detecting(server, triton=known) as detector:
            assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)
        for stranger in ({}, {"ca_file": str(cert)}):
            with (
                pytest.raises(DetectorError, match="no Triton server has the model"),
                detecting(server, triton=stranger),
            ):
                pass
    with pytest.raises(DetectorError, match=r"nowhere\.pem cannot be read: No such file"):
        client.Connection("grpcs://127.0.0.1:1", Triton(ca_file="nowhere.pem"))


def test_triton_detection_that_waits_for_a_server_ends_when_the_detector_is_closed(within: Callable):
    with serving() as server, detecting(server, triton={"deadline_ms": 4000}) as detector:
        see(detector)
        server.kill()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(see, detector)
            wait_until(within, lambda: "refused" in detector._servers.why)  # type: ignore[attr-defined]
            detector.close()
            with pytest.raises(DetectorAway, match="is being closed"):
                waiting.result(30)


def test_triton_detector_closed_under_a_request_leaves_no_memory_with_the_server(within: Callable):
    with serving() as server, detecting(server, triton={"deadline_ms": 4000}) as detector:
        server.before_answer = until(threading.Event())
        sent = len(server.asked)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(see, detector)
            wait_until(within, lambda: len(server.asked) > sent)
            assert server.regions
            detector.close()
            with pytest.raises(DetectorAway, match="is being closed"):
                waiting.result(30)
        # It closes memory when what uses it has ended.
        wait_until(within, lambda: not server.regions)
        assert len(server.asked) == sent + 1


def test_triton_detector_closed_while_it_connects_leaves_no_memory_with_the_server(within: Callable):
    with serving() as server, detecting(server, triton={"deadline_ms": 4000}) as detector:
        server.kill()
        server.start()
        opening, go_on = threading.Event(), threading.Event()

        def wait(method: str, context: Any) -> None:
            if method == "SystemSharedMemoryRegister":
                opening.set()
                until(go_on)(context)

        server.before_word = wait
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(see, detector)
            wait_until(within, opening.is_set)
            detector.close()
            go_on.set()
            with pytest.raises(DetectorAway, match="is being closed"):
                waiting.result(30)
        assert server.regions == {}


def test_triton_closing_does_not_wait_for_a_server_that_is_asked_whether_it_is_back(
    monkeypatch: pytest.MonkeyPatch, within: Callable
):
    monkeypatch.setattr(servers, "BACK_S", 0.01)
    asked, answer = threading.Event(), threading.Event()

    def state(url: str) -> State:
        asked.set()
        return State.SERVES if answer.wait(60) else State.AWAY

    several = Servers(["grpc://a:1", "grpc://b:1"], state)
    several.failed("grpc://a:1", "away")
    several.watch()
    wait_until(within, asked.is_set)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(several.close)
        try:
            closing.result(30)
        finally:
            answer.set()
    assert several.closed.is_set()


def test_triton_calls_of_connecting_share_one_deadline(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "CALL_S", 20.0)
    monkeypatch.setattr(load, "WARM_UP_S", 4.0)
    told: dict[str, float] = {}

    def hesitate(method: str, context: Any) -> None:
        told[method] = context.time_remaining()
        threading.Event().wait(0.15)

    with serving() as server:
        server.before_word = hesitate
        with detecting(server):
            pass
    left_s = list(told.values())
    assert len(left_s) == 5
    # Four times 0.15 s; gRPC tells servers what is left to 3 % only.
    assert left_s[-1] < left_s[0] - 0.3


def test_triton_without_its_library_says_what_brings_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.extras.find_spec", lambda name: None)
    model = Model(backend="triton", path="tiny", url=f"grpc://127.0.0.1:{free_port()}")
    with pytest.raises(DetectorError, match=r"pip install 'camfleet\[triton\]'"):
        load_detector(model, None)


def test_triton_memory_that_a_server_cannot_open_is_done_without_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr("pipeline.detect.triton.memory.SHARED", tmp_path)  # as in a container of its own
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    # The server is not of this machine's memory, so what it holds is not ours to judge.
    held = names_here_and_elsewhere()[0].format(process.pid)
    with serving() as server:
        server.regions[held] = None  # type: ignore[assignment]
        with detecting(server) as detector:
            assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)
            assert set(server.regions) == {held}
        with (
            pytest.raises(DetectorError, match=r"memory: grpc://.* cannot open it: Unable to open shared memory"),
            detecting(server, triton={"memory": "system"}),
        ):
            pass


def test_triton_memory_is_tried_again_where_the_server_only_could_not_answer():
    import grpc

    troubles = [grpc.StatusCode.UNAVAILABLE]

    def fail_once(method: str, context: Any) -> None:
        if method == "SystemSharedMemoryRegister" and troubles:
            context.abort(troubles.pop(), "busy")

    with serving() as server:
        server.before_word = fail_once
        with detecting(server) as detector:
            assert see(detector) == pytest.approx(ORANGE_BOX, abs=0.1)
            assert len(server.regions) == 1


def test_triton_without_room_for_shared_memory_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.detect.triton.memory.SHARED", Path("/proc"))
    with (
        serving() as server,
        pytest.raises(DetectorError, match=r"no \d+ KiB of shared memory under /proc: .*; make it larger"),
        detecting(server),
    ):
        pass


def test_triton_memory_of_a_gpu_needs_one():
    with (
        serving() as server,
        pytest.raises(DetectorError, match=r"memory: cuda needs cuda-python and a GPU \("),
        detecting(server, triton={"memory": "cuda"}),
    ):
        pass


def test_triton_pictures_stay_as_they_were_written_over_a_new_connection():
    with serving() as server, detecting(server) as detector:
        pictures = detector.input(0)
        pictures[0] = ORANGE
        server.kill()
        server.start()
        assert detector.detect(0, 1)[0].xyxy[0, :3].tolist() == pytest.approx(ORANGE_BOX, abs=0.1)
        assert detector.input(0) is pictures or np.shares_memory(detector.input(0), pictures)
