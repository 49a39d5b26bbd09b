"""`camfleet top`, and what it knows of a fleet without its frames."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import zmq
from msgspec.structs import replace
from rich.console import Console

from pipeline import Fleet
from pipeline.client.silence import HEARTBEAT_S
from pipeline.clock import NS_PER_S
from pipeline.errors import SubscriberTimeout
from pipeline.observe.glance import GlanceView, look, processes_of, tally_of, verdict_of
from pipeline.observe.headlines import Headlines
from pipeline.wire import CameraState, FleetState, ProcessFigures, encode
from tests.publishing import Publisher
from tests.waiting import wait_until
from tests.wire_messages import FLEET, FRAME, STATE

DEADLINE_S = 60
GATE = FLEET.cameras["gate"]
WORKER = ProcessFigures(name="worker", role="worker", condition="running", restarts=0)
CAMERA = ProcessFigures(name="camera yard", role="camera", condition="waiting", restarts=3)
DOWN = CameraState(
    fleet="town",
    camera_id="yard",
    session_id="",
    state="retrying",
    detail="it answered 401; check user and password",
    since_ns=1_000 * NS_PER_S,
    retry_at_ns=1_090 * NS_PER_S,
    at_ns=1_060 * NS_PER_S,
)
TOWN = replace(
    FLEET,
    cameras={
        "gate": replace(GATE, state="live"),
        "yard": replace(GATE, state="retrying", frame_hz=0.0, detect_hz=0.0, age_p50_ms=None, age_p95_ms=None,
                        detection_age_ms=None, kept_percent=None, objects=0, stride=0),
    },
    broken_by={"yard": "retrying: it answered 401; check user and password"},
    processes=(WORKER, CAMERA),
)  # fmt: skip
KEPT = replace(TOWN, cameras={"gate": replace(GATE, state="live")}, kept=True, broken_by={}, processes=(WORKER,))


class Heard(Headlines):
    """Headlines that a test tells, by its own clock; the times are what it says."""

    def __init__(self, *messages: FleetState | CameraState, ago_s: float = 0.0) -> None:
        super().__init__("tcp://127.0.0.1:9")
        self._ago_s = ago_s
        for message in messages:
            if isinstance(message, FleetState):
                self.fleet = message
            self._reading.take([message.topic, encode(message)])
        self.close()

    @property
    def told_s_ago(self) -> float | None:
        return None if self.fleet is None else self._ago_s

    def heard_s_ago(self, camera_id: str) -> float | None:
        return self._ago_s if camera_id in self.states else None


def shown(heard: Headlines, width: int = 100, height: int = 24) -> str:
    console = Console(file=StringIO(), width=width, height=height)
    glance = look(heard)
    console.print(GlanceView(glance, tally_of(glance, heard.heard_s_ago), {}, "nothing heard for 5 s from town"))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_glance_tells_since_when_by_the_clock_of_the_fleet():
    yard = look(Heard(TOWN, STATE, DOWN, ago_s=2.0)).cameras["yard"]
    assert (yard.state, yard.state_for_s, yard.retry_in_s) == ("retrying", 62.0, 28.0)
    assert yard.detail == "it answered 401; check user and password"


def test_view_shows_cameras_promise_and_processes():
    text = shown(Heard(TOWN, STATE, DOWN))
    assert "yard     retrying     1m next try in 30s: it answered 401; check user and password" in text
    assert "p95 ≤ 150 ms: not kept by yard (retrying)" in text
    assert "1 of 2 processes run; camera yard (waiting, started again 3×)" in text
    assert not {"missed", "lost"} & set(text.split()), "only frames tell what became of them"


@pytest.mark.parametrize("wh", [(80, 24), (60, 10), (40, 6), (200, 60)])
def test_view_fits_the_terminal(wh: tuple[int, int]):
    names = [f"camera-{number:02d}" for number in range(60)]
    fleet = replace(TOWN, cameras=dict.fromkeys(names, TOWN.cameras["yard"]), broken_by=dict.fromkeys(names, "late"))
    lines = shown(Heard(fleet, *(replace(DOWN, camera_id=name) for name in names)), *wh).splitlines()
    assert len(lines) < wh[1]
    assert max(map(len, lines)) <= wh[0]


@pytest.mark.parametrize(
    ("fleet", "words", "style"),
    [
        pytest.param(KEPT, "p95 ≤ 150 ms: kept", "green", id="kept"),
        pytest.param(replace(KEPT, kept=None), "p95 ≤ 150 ms: not known", "", id="not known"),
        pytest.param(TOWN, "p95 ≤ 150 ms: not kept by yard (retrying)", "bold red", id="broken"),
    ],
)
def test_verdict_is_green_only_where_the_promise_is_kept(fleet: FleetState, words: str, style: str):
    verdict = verdict_of(look(Heard(fleet)))
    assert (verdict.plain, str(verdict.style)) == (words, style)


def test_fleet_that_has_fallen_silent_has_no_figures_and_nothing_is_green():
    heard = Heard(KEPT, replace(STATE, state="live"), ago_s=HEARTBEAT_S + 5)
    glance = look(heard)
    gate = glance.cameras["gate"]
    assert (glance.kept, gate.state, gate.last_state, gate.figures, glance.processes) == (None, None, "live", None, ())
    assert verdict_of(glance).plain == "nothing was heard of the fleet for 8s; what is above is not of now"
    assert processes_of(glance).plain == "processes: not known"
    assert "0" not in shown(heard).partition("nothing was heard")[0], "what is not known is not nought"
    console = Console(width=100, height=24, force_terminal=True, color_system="standard")
    pieces = console.render(GlanceView(glance, tally_of(glance, heard.heard_s_ago), {}))
    colours = {piece.style.color.name for piece in pieces if piece.style and piece.style.color}
    assert "green" not in colours
    assert "red" in colours


def test_view_before_anything_was_heard_says_what_may_be_wrong():
    assert shown(Heard()).strip() == "nothing heard for 5 s from town"


def test_removed_camera_is_not_shown():
    assert "yard" not in look(Heard(KEPT, STATE, replace(DOWN, state="removed"))).cameras


def test_headlines_subscribe_to_no_frames(within: Callable):
    with zmq.Context.instance().socket(zmq.XPUB) as socket:
        socket.set(zmq.LINGER, 0)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with Headlines(f"tcp://127.0.0.1:{port}"):
            asked: set[bytes] = set()
            for _ in within(DEADLINE_S):
                if socket.poll(50):
                    asked.add(socket.recv())
                if len(asked) == 4:
                    break
            assert not socket.poll(100)
    assert asked == {b"\x01fleet/", b"\x01cameras/", b"\x01events/", b"\x01evidence/"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A fleet's words and frames, until the test is over."""
    publisher, stop = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()

    def run() -> None:
        while not stop.wait(0.02):
            publisher.look()
            for message in (KEPT, STATE, FRAME):
                publisher.publish(message)
        publisher.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield publisher.endpoint
    stop.set()
    thread.join(DEADLINE_S)


def test_headlines_hear_a_fleet(endpoint: str, within: Callable):
    with Headlines(endpoint) as heard:
        wait_until(within, lambda: heard.listen(0.05) or (heard.fleet and heard.states))
        assert look(heard).kept is True
        assert (heard.told_s_ago or 0) < HEARTBEAT_S


def top(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "top", *arguments]
    environ = {**os.environ, **options}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S, env=environ)


def test_top_once_says_it_and_ends_with_the_verdict(endpoint: str):
    done = top(endpoint, "--once", COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "fleet town  1 live" in done.stdout
    assert "p95 ≤ 150 ms: kept" in done.stdout


def test_top_once_as_json_is_one_line(endpoint: str):
    done = top(endpoint, "--once", "--json")
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert (said["fleet"], said["kept"], said["cameras"]["gate"]["figures"]["age_p95_ms"]) == ("town", True, 61.0)


def test_top_once_where_nobody_answers_says_so():
    done = top("tcp://127.0.0.1:9", "--once")
    assert done.returncode == 2
    assert done.stderr.startswith("camfleet: nothing heard for 5 s, and no connection to tcp://127.0.0.1:9; ")


def test_top_as_json_says_a_line_a_second_also_while_nothing_is_heard():
    command = [sys.executable, "-m", "pipeline", "top", "tcp://127.0.0.1:9", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.kill()
    assert [(line["fleet"], line["kept"], line["heard_s_ago"], line["cameras"]) for line in lines] == [
        ("", None, None, {})
    ] * 2


def test_top_key_without_the_fleets_is_told():
    done = top("tcp://127.0.0.1:9", "--key", "mine.key_secret")
    assert (done.returncode, done.stderr) == (
        2,
        "camfleet: --key and --server-key belong together: yours, and the public one of the fleet\n",
    )


def test_top_on_a_terminal_is_drawn_until_ctrl_c(endpoint: str):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "top", endpoint]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environ)
    os.close(theirs)
    drawn, end_s = b"", time.monotonic() + DEADLINE_S
    try:
        while b"kept" not in drawn.partition(b"150 ms: ")[2] and time.monotonic() < end_s:
            drawn += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        with process:
            assert process.wait(DEADLINE_S) == 0
            assert process.stderr
            assert process.stderr.read() == b""
    finally:
        process.kill()
        os.close(ours)
    assert b"fleet town" in drawn


def test_top_without_an_endpoint_finds_the_fleet_of_this_user(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable
):
    file = fleet_file({"gate": {"url": str(recording), "loop": True}}, slo={"p95_ms": 5000})
    told: list[dict[str, Any]] = []

    def is_well() -> bool:
        done = top("--once", "--json")
        told.extend(map(json.loads, done.stdout.splitlines()))
        return done.returncode == 0 and told[-1]["cameras"]["gate"]["state"] == "live"

    with Fleet(file):
        wait_until(within, is_well)
    said = told[-1]
    assert said["fleet"] == "test"
    assert {process["role"] for process in said["processes"]} == {"worker", "publisher", "camera"}
    assert all(process["pid"] for process in said["processes"])


def test_silence_of_headlines_is_an_error_that_says_where(within: Callable):
    from pipeline.cli.top import _say_once

    with Headlines("tcp://127.0.0.1:9") as heard, pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.cli.top.FIRST_S", 0.1)
        with pytest.raises(SubscriberTimeout, match=r"no connection to tcp://127\.0\.0\.1:9"):
            _say_once(heard, {}, as_json=False)
