"""A whole fleet that asks for keys: who hears what, also after its publisher was killed; and no secret comes out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psutil

from pipeline import Subscriber, SubscriberTimeout, keys
from pipeline.client import Key
from pipeline.errors import ControlError
from pipeline.supervise.control import ask
from pipeline.wire import FleetState, Message
from tests.key_files import KeyRing
from tests.waiting import DEADLINE_S, wait_until


def camfleet(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **environment}, timeout=DEADLINE_S
    )


@contextmanager
def running(path: Path, within: Callable) -> Iterator[list[str]]:
    """A fleet; what its processes write and how they are called is in the list when it has ended."""
    shown: list[str] = []
    stop = threading.Event()
    command = [sys.executable, "-m", "pipeline", "run", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def look() -> None:
        while not stop.wait(0.1):
            with suppress(psutil.Error):
                for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
                    with suppress(psutil.Error):
                        shown.append(" ".join(one.cmdline()) + one.name())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        wait_until(within, endpoint_of_fleet)
        yield shown
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        process.send_signal(signal.SIGINT)
        shown += process.communicate(timeout=DEADLINE_S)


def endpoint_of_fleet() -> str | None:
    with suppress(ControlError):
        return ask({"command": "status"})["endpoint"]
    return None


def heard_by(endpoint: str, key: Key | None, enough: Callable[[list[Message]], bool]) -> list[Message]:
    messages: list[Message] = []
    with Subscriber(endpoint, states="all", timeout_s=DEADLINE_S, key=key) as subscriber:
        while not enough(messages):
            messages.append(subscriber.receive())
    return messages


def told_twice_of(*cameras: str) -> Callable[[list[Message]], bool]:
    def enough(messages: list[Message]) -> bool:
        heard = {getattr(message, "camera_id", "") for message in messages}
        return {*cameras} <= heard and sum(isinstance(message, FleetState) for message in messages) >= 2

    return enough


def test_fleet_with_keys_serves_each_reader_its_cameras_and_tells_no_secret(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable
):
    ring = KeyRing(runtime / "ring")
    full, gate = ring.reader("full"), ring.reader("gate-reader", limit="team")
    limits = {"team": {"bind": f"ipc://{runtime}/team.sock", "clients": str(ring.folder / "team"), "cameras": ["gate"]}}
    known = {"server": str(ring.server.secret), "clients": str(ring.clients), "limited": limits}
    path = fleet_file(
        {name: {"url": str(recording), "loop": True} for name in ("gate", "vault")},
        publish={"bind": "tcp://127.0.0.1:0", "keys": known},
    )
    told: list[str] = []

    def both_are_told() -> bool:
        done = camfleet("status", "--json")
        told.extend((done.stdout, done.stderr))
        return {one["camera_id"] for one in json.loads(done.stdout)["now"]["cameras"]} == {"gate", "vault"}

    with running(path, within) as shown:
        status = ask({"command": "status"})
        heard = heard_by(status["endpoint"], full, told_twice_of("gate", "vault"))
        (publisher,) = [one["pid"] for one in status["processes"] if one["name"] == "publisher"]
        os.kill(publisher, signal.SIGKILL)
        few = heard_by(status["limited"]["team"], gate, told_twice_of("gate"))
        heard += heard_by(status["endpoint"], full, told_twice_of("gate", "vault"))
        with Subscriber(status["endpoint"], timeout_s=2) as nobody:
            wait_until(within, both_are_told)
            with suppress(SubscriberTimeout):
                raise AssertionError(f"heard without a key: {nobody.receive()}")
        arguments = ("subscribe", status["endpoint"], "--count", "3", "--json")
        line = camfleet(*arguments, CAMFLEET_KEY=str(full.own), CAMFLEET_SERVER_KEY=str(full.server))
    assert line.returncode == 0 and len(line.stdout.splitlines()) == 3
    assert b"vault" not in msgspec.json.encode(few)
    said = "\n".join([*shown, *told, line.stdout, line.stderr, camfleet("check", path).stdout])
    said += msgspec.json.encode(heard + few).decode()
    assert "a subscriber of publish.bind was refused: it has no key" in said, "the log was read"
    for file in (ring.server.secret, full.own, gate.own):
        secret = keys.read_certificate(file).secret
        assert secret is not None and secret.decode() not in said


def test_wrong_key_files_of_a_fleet_are_told_without_their_content(fleet_file: Callable[..., Path], runtime: Path):
    ring = KeyRing(runtime / "ring")
    secret = keys.read_certificate(ring.server.secret).secret
    ring.server.secret.write_bytes(b"secret-key = '" + secret + b"'\npublic-key = 'x'\n")
    path = fleet_file(
        {"gate": "rtsp://127.0.0.1:9/"}, publish={"keys": {"server": str(ring.server.secret), "clients": "/nowhere"}}
    )
    done = camfleet("check", path)
    assert done.returncode == 2 and "publish.keys.server" in done.stderr
    assert secret.decode() not in done.stderr + done.stdout


def test_fleet_that_is_open_on_purpose_says_so_at_every_start(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path
):
    path = fleet_file({"gate": str(recording)}, publish={"bind": "tcp://0.0.0.0:0", "insecure": True})
    for _ in range(2):
        done = camfleet("run", path, "--duration", "1", "--quiet")
        assert "whoever reaches tcp://0.0.0.0:0 can read all: there are no keys" in done.stderr
