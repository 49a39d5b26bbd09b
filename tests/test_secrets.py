"""A secret in every form that cameras' addresses have, in every place: it comes out nowhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import yaml
import zmq
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import ControlError
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.rtsp.auth import Login
from pipeline.supervise.control import ask
from tests.waiting import DEADLINE_S, wait_until

SECRET = "S3cr3t"
NOBODY = "127.0.0.1:9"
"""Nothing listens there."""

NAMES = (
    "access_token sig session jwt X-Amz-Signature access_key api_key apikey key token auth password PASSWORD pass pwd "
    "passphrase sid userpwd loginpas stream_key signature secret code hash ticket pass%77ord"
)
FORMS = [
    *(f"http://{NOBODY}/video?a=1&{name}={SECRET}" for name in NAMES.split(" ")),
    f"rtsp://bob:{SECRET}@{NOBODY}/live",
    f"rtsp://{SECRET}:x@{NOBODY}/live",
    f"rtsp://{SECRET}@{NOBODY}/live",
    f"rtsp://bob:a%40{SECRET}@{NOBODY}/live?x=a@b",
    f"rtsp://bob:p@ss{SECRET}@{NOBODY}/live",
    f"http://{NOBODY}/video?password=ab@{SECRET}",
    f"http://{NOBODY}/video?password=ab;{SECRET}",
    f"http://{NOBODY}/video?password=ab%26{SECRET}",
    f"http://{NOBODY}/video?password=ab#{SECRET}",
    f"http://{NOBODY}/video?{SECRET}",
    f"http://{NOBODY}/video#token={SECRET}",
    f"http://{NOBODY}/video#{SECRET}",
    f"rtsp://{NOBODY}/live?user=a&password={SECRET}@x",
    f"rtsp://{NOBODY}/user=admin&password={SECRET}&channel=1&stream=0.sdp",
    f"rtsp://{NOBODY}/user=admin_password={SECRET}_channel=1_stream=0.sdp",
    f"rtsp://{NOBODY}/password={SECRET}/live",
    f"rtsp://{NOBODY}/live;token={SECRET}",
    f"RTSP://bob:{SECRET}@{NOBODY}/live",
    f"rtsp://bob:{SECRET}@[::1]:9/live",
    f"https://bob:{SECRET}@{NOBODY}/video?token={SECRET}",
]
"""Addresses that carry a secret."""
MISTAKES = {
    "port": {"url": f"rtsp://bob:{SECRET}@h:99999/"},
    "password with /": {"url": f"rtsp://bob:p/{SECRET}@h/live"},
    "password with ?": {"url": f"rtsp://bob:p?{SECRET}@h/live"},
    "password with #": {"url": f"rtsp://bob:p#{SECRET}@h/live"},
    "password with digits and /": {"url": f"rtsp://bob:1/{SECRET}@h/live", "stride": 0},
    "space": {"url": f"rtsp://bob:a {SECRET}@h/"},
    "newline": {"url": f"rtsp://bob:a\n{SECRET}@h/"},
    "quote": {"url": f"rtsp://bob:a'{SECRET}@h/"},
    "scheme": {"url": f"rtmp://bob:{SECRET}@h/"},
    "no scheme": {"url": f"bob:{SECRET}@10.0.0.1/stream"},
    "key": {"urll": f"rtsp://bob:{SECRET}@h/"},
    "another key": {"url": "rtsp://h/", "password": SECRET},
    "number": {"url": "rtsp://h/", "stride": f"rtsp://bob:{SECRET}@h/"},
    "variable as number": {"url": "rtsp://h/", "stride": "${PASSWORD}"},
    "variable as device": {"url": "/dev/${PASSWORD}"},
    "variable as file": {"url": "${PASSWORD}.mp4"},
    "variable as scheme": {"url": "${PASSWORD}://h/"},
    "variable in a wrong port": {"url": "rtsp://h:${PASSWORD}/"},
    "default": {"url": f"rtsp://bob:${{NOPE:-{SECRET}}}@h:0/"},
}


def environment() -> dict[str, str]:
    return {**os.environ, "PASSWORD": SECRET}


def camfleet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=DEADLINE_S * 2,
    )


def assert_clean(*texts: str) -> None:
    for text in texts:
        at = text.find("cr3t")
        assert at < 0, f"it says …{text[max(0, at - 200) : at + 20]}…"


def written(path: Path, cameras: dict[str, dict], **sections: object) -> Path:
    short = {"open_timeout_s": 2, "read_timeout_s": 2}
    body = {"model": {"backend": "stub"}, "publish": {"bind": "tcp://127.0.0.1:0"}, "defaults": short, **sections}
    path.write_text(yaml.safe_dump({**body, "cameras": cameras}))
    return path


@pytest.mark.parametrize("how", [(), ("--json",), ("--probe",), ("--probe", "--json")], ids=" ".join)
def test_check_shows_no_secret(tmp_path: Path, how: tuple[str, ...]):
    file = written(tmp_path / "fleet.yaml", {f"c{number}": {"url": form} for number, form in enumerate(FORMS)})
    done = camfleet("check", file, *how)
    assert "c0" in done.stdout
    assert_clean(done.stdout, done.stderr)


@pytest.mark.parametrize("camera", [pytest.param(camera, id=name) for name, camera in MISTAKES.items()])
def test_mistake_in_a_fleet_file_repeats_no_secret(tmp_path: Path, camera: dict):
    done = camfleet("check", written(tmp_path / "fleet.yaml", {"gate": camera}))
    assert done.returncode == 2
    assert "cameras.gate" in done.stderr
    assert_clean(done.stdout, done.stderr)


OPTIONS = {"password": SECRET, "headers": f"X-Who: {SECRET}", "cookies": [SECRET], "at": f"http://h/?x={SECRET}"}


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({"model": {"backend": "stub", "options": OPTIONS}}, id="options"),
        pytest.param({"model": {"backend": f"http://u:{SECRET}@h/"}}, id="backend"),
        pytest.param({"model": {"backend": "stub", "device": f"http://u:{SECRET}@h/"}}, id="device"),
        pytest.param({"model": {"path": f"rtsp://u:{SECRET}@h/m.pt"}}, id="model"),
        pytest.param({"publish": {"bind": f"tcp://u:{SECRET}@h:1"}}, id="bind"),
        pytest.param({"publish": {"bind": "${PASSWORD}"}}, id="variable as bind"),
    ],
)
def test_section_of_a_fleet_file_repeats_no_secret(tmp_path: Path, sections: dict):
    done = camfleet("check", written(tmp_path / "fleet.yaml", {"gate": {"url": "rtsp://h/"}}, **sections))
    assert_clean(done.stdout, done.stderr)


PASSWORDS = [f"a@{SECRET}", f"a#{SECRET}", f"a/{SECRET}", f"a {SECRET}", f"{SECRET} b", f"a'{SECRET}", f"a\\{SECRET}"]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("discover", "{}"), id="unexpected"),
        pytest.param(("check", "fleet.yaml", "{}"), id="one too many"),
        pytest.param(("record", "--nope={}", "rtsp://h/", "a.mkv"), id="unknown option"),
        pytest.param(("record", "rtsp://h/", "a.mkv", "--duration", "{}"), id="no number"),
        pytest.param(("record", "rtsp://h/", "a.mkv", "--duration={}"), id="no number, joined"),
        pytest.param(("keys", "new", "{}", "{}", "{}"), id="of a group"),
        pytest.param(("{}",), id="no command"),
    ],
)
def test_mistake_on_the_command_line_repeats_no_secret(arguments: tuple[str, ...]) -> None:
    for password in PASSWORDS:
        done = CliRunner().invoke(app, [word.format(f"rtsp://bob:{password}@h/live") for word in arguments])
        assert done.exit_code == 2
        assert_clean(done.output)


@contextmanager
def overheard(runtime: Path) -> Iterator[list[str]]:
    """Everything that processes show of themselves, and that the fleet publishes."""
    heard: list[str] = []
    stop = threading.Event()

    def listen() -> None:
        own, subscribed = psutil.Process(), False
        with zmq.Context.instance().socket(zmq.SUB) as subscriber:
            subscriber.subscribe(b"")
            while not stop.wait(0.05):
                for process in own.children(recursive=True):
                    with suppress(psutil.Error):
                        heard.append(" ".join(process.cmdline()))
                if not subscribed:
                    with suppress(ControlError):
                        subscriber.connect(ask({"command": "status"})["endpoint"])
                        subscribed = True
                while subscriber.poll(0):
                    heard.append(b"".join(subscriber.recv_multipart()).decode("utf-8", "replace"))

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield heard
    finally:
        stop.set()
        thread.join(DEADLINE_S)


def test_fleet_tells_no_secret(tmp_path: Path, recording: Path, runtime: Path, within: Callable):
    options = ReplayOptions((recording,), login=Login("bob", "another"))
    with serve_recordings(options) as server:
        wrong = server.urls[0].replace("://", f"://bob:{SECRET}@")
        urls = [wrong, "rtsp://bob:${PASSWORD}@h.invalid/", "http://127.0.0.1:9/?${PASSWORD}", *FORMS[-8:]]
        file = written(tmp_path / "fleet.yaml", {f"c{number}": {"url": url} for number, url in enumerate(urls)})
        summary = tmp_path / "summary.json"
        command = [sys.executable, "-m", "pipeline", "run", str(file), "--summary", str(summary)]
        with (
            overheard(runtime) as heard,
            subprocess.Popen(
                command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process,
        ):
            try:
                # The camera's states are heard.
                wait_until(within, lambda: any("another user or password" in text for text in list(heard)))
            finally:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=DEADLINE_S)
    assert "c0" in out
    assert_clean(out, err, summary.read_text(), *heard)


def shown(pid: int) -> str:
    return " ".join(psutil.Process(pid).cmdline())


@pytest.mark.parametrize("command", ["record", "push"])
@pytest.mark.parametrize("form", ["rtsp://bob:S3cr3t@{}/live", "rtsp://{}/live?access_token=S3cr3t"])
def test_process_list_shows_no_secret(tmp_path: Path, recording: Path, within: Callable, command: str, form: str):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = form.format(f"127.0.0.1:{silent.getsockname()[1]}")
        arguments = {"record": ["record", url, tmp_path / "a.mkv"], "push": ["replay", recording, "--push", url]}
        with subprocess.Popen(
            [sys.executable, "-m", "pipeline", *map(str, arguments[command])], stderr=subprocess.PIPE, text=True
        ) as process:
            wait_until(within, lambda: "***" in shown(process.pid))
            assert "127.0.0.1" in shown(process.pid)
            assert_clean(shown(process.pid))
            process.kill()
