"""What systemd is told of a fleet: by datagrams to the socket that it names (sd_notify(3))."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.notify import Manager, Telling, status_of
from pipeline.errors import ControlError
from pipeline.observe.tally import Tally
from tests.test_wire import frame

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60.0


class Systemd:
    """The socket that a service speaks to."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self.said: list[str] = []

    def listen(self, until: Callable[[list[str]], object]) -> None:
        """Take in what is said until `until` is true of all of it; fails after a deadline."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not until(self.said):
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, self.said
            self._socket.settimeout(left_s)
            self.said += self._socket.recv(65536).decode().splitlines()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(short_path: Path) -> Iterator[Systemd]:
    told = Systemd(short_path)
    yield told
    told.close()


class Loop:
    """A fleet's loop, which turns or does not."""

    def __init__(self) -> None:
        self.turns, self.asked = True, 0

    def submit(self, change: Callable[[Any], Future[None]]) -> Future[None]:
        self.asked += 1
        return change(self) if self.turns else Future()


class Watch:
    """What a subscriber knows."""

    def __init__(self) -> None:
        self._tally = Tally(["gate", "yard"])

    def deliver(self) -> None:
        self._tally.add(frame("gate"), time.monotonic())

    def live(self) -> Any:
        return self._tally.live(time.monotonic())


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, None, id="nobody asked"),
        pytest.param({"NOTIFY_SOCKET": "vsock:2:9"}, None, id="no socket of ours"),
        pytest.param({"NOTIFY_SOCKET": "/run/n"}, Manager("/run/n"), id="no watchdog"),
        pytest.param({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "3000000"}, Manager("@n", 3.0), id="a watchdog"),
        pytest.param(
            {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30", "WATCHDOG_PID": "1"}, Manager("@n"), id="another's"
        ),
        pytest.param({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "never"}, Manager("@n"), id="nonsense"),
    ],
)
def test_environment_says_who_is_told_and_keeps_nothing_for_children(
    environ: dict[str, str], expected: Manager | None
) -> None:
    assert Manager.of(environ) == expected
    assert environ == {}


def test_manager_is_spoken_to_at_an_abstract_socket_too(short_path: Path) -> None:
    name = f"@camfleet-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:])
        listening.settimeout(DEADLINE_S)
        Manager(name).tell("READY=1", "STATUS=x")
        assert listening.recv(100) == b"READY=1\nSTATUS=x"
    Manager(str(short_path / "nobody")).tell("READY=1")  # lost, and no error


def test_fleet_is_ready_with_its_first_picture_and_asks_for_time_before(systemd: Systemd) -> None:
    loop, watch = Loop(), Watch()
    telling = Telling(Manager(systemd.address, 0.3), loop, watch)  # type: ignore[arg-type]
    systemd.listen(lambda said: said.count("WATCHDOG=1") >= 2)
    assert "READY=1" not in systemd.said
    assert "EXTEND_TIMEOUT_USEC=30000000" in systemd.said
    watch.deliver()
    systemd.listen(lambda said: "READY=1" in said)
    telling.close()
    systemd.listen(lambda said: "STOPPING=1" in said)
    assert systemd.said.count("READY=1") == 1
    assert any(line.startswith("STATUS=0 of 2 cameras live: gate is connecting") for line in systemd.said)


def test_fleet_whose_loop_stands_is_silent_until_it_turns_again(systemd: Systemd) -> None:
    loop, watch = Loop(), Watch()
    loop.turns = False
    telling = Telling(Manager(systemd.address, 0.3), loop, watch)  # type: ignore[arg-type]
    while (stuck := telling._asked) is None:
        time.sleep(0.01)
    assert systemd.said == []
    loop.turns = True
    stuck.set_result(None)
    systemd.listen(lambda said: "WATCHDOG=1" in said)
    telling.close()
    systemd.listen(lambda said: "STOPPING=1" in said)


def test_fleet_that_has_ended_is_not_alive(systemd: Systemd) -> None:
    class Ended(Loop):
        def submit(self, change: Callable[[Any], Future[None]]) -> Future[None]:
            self.asked += 1
            refused: Future[None] = Future()
            refused.set_exception(ControlError("the fleet has ended"))
            return refused

    loop = Ended()
    telling = Telling(Manager(systemd.address, 0.3), loop, Watch())  # type: ignore[arg-type]
    while not loop.asked:
        time.sleep(0.01)
    telling.close()
    systemd.listen(lambda said: "STOPPING=1" in said)
    assert "WATCHDOG=1" not in systemd.said


def test_status_is_one_line_with_those_that_are_not_live() -> None:
    assert status_of(Watch().live()) == "0 of 2 cameras live: gate is connecting, yard is connecting"


def test_run_under_systemd_is_ready_alive_and_ends(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, systemd: Systemd
) -> None:
    file = fleet_file({"gate": {"url": str(recording), "loop": True}, "away": "rtsp://127.0.0.1:9/"})
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "NOTIFY_SOCKET": systemd.address,
        "WATCHDOG_USEC": "3000000",
        "CAMFLEET_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "pipeline", "run", str(file), "--quiet"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        systemd.listen(lambda said: "READY=1" in said)
        systemd.listen(lambda said: said.count("WATCHDOG=1") > 3)
        systemd.listen(lambda said: any(line.startswith("STATUS=1 of 2 cameras live: away is ") for line in said))
        process.send_signal(signal.SIGTERM)
        systemd.listen(lambda said: "STOPPING=1" in said)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, "one camera never delivered"
