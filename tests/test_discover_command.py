"""`camfleet discover` as it is typed, with a device on loopback."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onvif", reason="needs the extra `discover`")

from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config import load_fleet
from pipeline.discover import survey
from pipeline.discover.search import GROUP, Heard
from tests.image_modules import hide
from tests.onvif_device import MAIN, SUB, Habits, OnvifDevice, Stream, network
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60
SECRET, USER = "hunter2 ü/@", "b0b"
TOKEN = "t0ken"
BOB = Habits(
    user=USER,
    password=SECRET,
    streams=(
        MAIN,
        Stream("sub", "subStream", (640, 360), uri="rtsp://b0b:hunter2%20%C3%BC%2F%40@{host}/sub?key=t0ken"),
    ),
)


@pytest.fixture
def device() -> Iterator[OnvifDevice]:
    with OnvifDevice(BOB) as made:
        yield made


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONVIF_")}
    environ |= {"TERM": "dumb", "COLUMNS": "200", "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "pipeline", "discover", *arguments]
    with subprocess.Popen(command, env=environ, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    with started(*arguments, **options) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert not any(secret in out + err for secret in (SECRET, "hunter2", USER, TOKEN))
    assert "Traceback" not in err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_discover_prints_a_table_and_lines_without_secrets(device: OnvifDevice):
    found = ended("--address", device.address, "--user", USER, env={"ONVIF_PASSWORD": SECRET})
    assert found.returncode == 0, found.stderr
    table, _, lines = found.stdout.partition("\ncameras:\n")
    assert all(
        word in table for word in ("north-gate", "Acme M1", "127.0.0.1", "mainStream", "H264 640x360, 25 fps", "detect")
    )
    assert '    url: "rtsp://${ONVIF_USER}:${ONVIF_PASSWORD}@127.0.0.1/sub?key=${CAMERA_NORTH_GATE_KEY}"\n' in lines
    assert '    evidence_url: "rtsp://${ONVIF_USER}:${ONVIF_PASSWORD}@127.0.0.1:554/main"\n' in lines
    assert "set these before using the lines: CAMERA_NORTH_GATE_KEY, ONVIF_USER" in found.stderr


def test_discover_prints_a_fleet_file_that_check_accepts(device: OnvifDevice, tmp_path: Path):
    environ = {"ONVIF_USER": USER, "ONVIF_PASSWORD": SECRET}
    found = ended("--address", device.address, "--yaml", env=environ)
    assert found.returncode == 0, found.stderr
    file = tmp_path / "fleet.yaml"
    file.write_text(found.stdout, "utf-8")
    camera = load_fleet(file, {**environ, "CAMERA_NORTH_GATE_KEY": TOKEN}).cameras["north-gate"]
    assert camera.url.reveal() == "rtsp://b0b:hunter2%20%C3%BC%2F%40@127.0.0.1/sub?key=t0ken"
    assert camera.evidence_url is not None
    checked = subprocess.run(
        [sys.executable, "-m", "pipeline", "check", str(file), "--no-open"],
        env={**os.environ, **environ, "CAMERA_NORTH_GATE_KEY": TOKEN, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "OK\n")


def test_discover_as_json_has_cameras_and_the_reasons_of_others(device: OnvifDevice):
    arguments = ("-a", device.address, "-a", "127.0.0.1:9", "--json")
    found = ended(*arguments, env={"ONVIF_USER": USER, "ONVIF_PASSWORD": SECRET})
    assert found.returncode == 1
    told = json.loads(found.stdout)
    camera = told["cameras"]["north-gate"]
    assert [(one["token"], one["use"]) for one in camera["profiles"]] == [("main", "evidence"), ("sub", "detect")]
    assert camera["variables"] == ["ONVIF_USER", "ONVIF_PASSWORD", "CAMERA_NORTH_GATE_KEY"]
    assert [one["why"] for one in told["unused"]] == [
        "cannot be reached at http://127.0.0.1:9/onvif/device_service: Connection refused"
    ]


def test_discover_takes_the_password_from_a_variable_of_any_name(device: OnvifDevice):
    arguments = ("-a", device.address, "--user", USER, "--password-env", "GATE_PASSWORD")
    found = ended(*arguments, env={"GATE_PASSWORD": SECRET})
    assert found.returncode == 0, found.stderr
    assert "rtsp://${GATE_USER}:${GATE_PASSWORD}@" in found.stdout


def test_discover_asks_for_the_password_on_a_terminal_and_does_not_show_it(device: OnvifDevice):
    ours, theirs = pty.openpty()
    # In a session without a terminal of its own, it is asked for where input comes from.
    with started("-a", device.address, "--user", USER, stdin=theirs, start_new_session=True) as process:
        os.close(theirs)
        assert process.stderr is not None
        asked = ""
        # The space comes last, when what was typed before has been thrown away.
        while not asked.endswith("Password: ") and (one := process.stderr.read(1)):
            asked += one
        os.write(ours, f"{SECRET}\n".encode())
        out, err = process.communicate(timeout=DEADLINE_S)
        os.close(ours)
    assert process.returncode == 0, err
    assert SECRET not in asked + out + err


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (("--user", "x"), {}, "the environment variable ONVIF_PASSWORD is not set"),
        (("--user", "x", "--password-env", "my password"), {}, "--password-env: expected the name of an environment"),
        (("-a", "bob:x@127.0.0.1"), {}, "--address: expected HOST"),
        (("--interface", "eth99"), {}, "--interface: expected the name or the IPv4 address of a network card: lo 127."),
    ],
)
def test_discover_with_a_mistake_says_what_is_expected(arguments: tuple[str, ...], environ: dict[str, str], said: str):
    found = ended(*arguments, env=environ)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert "my password" not in found.stderr


def test_discover_finds_a_camera_of_the_network_at_the_port_of_the_protocol():
    with OnvifDevice(Habits(name="Discovered%20Here"), "127.0.0.2") as device, network(device, port=GROUP[1]):
        for seconds in (2, 8, 20):
            found = ended("--interface", "127.0.0.1", "--timeout", str(seconds))
            assert f"listening for {seconds} s on 127.0.0.1" in found.stderr
            # There may be other devices: those of tests that run now.
            if is_found := "  discovered-here:\n" in found.stdout:
                break
    assert is_found, found.stderr


def test_discover_that_finds_nothing_says_what_to_check(monkeypatch: pytest.MonkeyPatch):
    # Whoever is on this machine's networks, nobody answers.
    monkeypatch.setattr(survey, "search", lambda *_: Heard())
    found = CliRunner().invoke(app, ["discover", "--interface", "127.0.0.1"])
    assert (found.exit_code, found.stdout) == (1, "")
    assert "no ONVIF device answered on 127.0.0.1: check that cameras are on" in found.stderr


def test_discover_on_a_card_that_is_not_there_says_so():
    found = ended("--interface", "203.0.113.9", "--timeout", "0.3")
    assert (found.returncode, found.stdout) == (1, "")
    assert "203.0.113.9 could not be searched: Cannot assign requested address" in found.stderr
    assert "there is no network to search" in found.stderr


def test_discover_without_its_extra_says_how_to_get_it(tmp_path: Path):
    hide(["onvif"], tmp_path)
    found = ended("-a", "127.0.0.1:9", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert found.returncode == 2
    assert "pip install 'camfleet[discover]'" in found.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "TERM"])
def test_discover_that_waits_for_a_device_ends_when_it_is_told(within: Callable, number: signal.Signals, code: int):
    with OnvifDevice(Habits(silent=True)) as silent, started("-a", silent.address, "--timeout", "300") as process:
        wait_until(within, lambda: silent.requests)
        process.send_signal(number)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert "Traceback" not in err


def test_discover_of_devices_that_lie_shows_no_terminal_what_to_do():
    liar = Habits(streams=(Stream("main", "\x1b[2J\u202e[red]x[/]", uri="rtsp://{host}/${HOME}"), SUB))
    with OnvifDevice(liar) as device:
        found = ended("-a", device.address)
    assert found.returncode == 0
    assert all(line.isprintable() for line in (found.stdout + found.stderr).splitlines())
    assert "[red]x[/]" in found.stdout
    assert "$${HOME}" in found.stdout
