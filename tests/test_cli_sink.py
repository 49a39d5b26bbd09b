"""The command `camfleet sink` beside a publisher."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.config.sinks.options import sink_by_options
from pipeline.errors import ConfigError
from tests.publishing import Publisher
from tests.sinks import frame
from tests.waiting import wait_until

PLANTED = "hunter2-is-secret"
END_S = 30


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher("tcp://127.0.0.1:0", 10_000)
    yield publisher
    publisher.close()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **options) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(Path.cwd())}
        command = [sys.executable, "-m", "pipeline", "sink", *words]
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environ, text=True, **pipes))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def parts(folder: Path) -> list[Path]:
    return list(folder.glob("out/*"))


def test_sink_beside_a_fleet_keeps_its_results_until_it_is_ended(
    publisher: Publisher, start: Callable, tmp_path: Path, within: Callable
):
    sink = start("file", publisher.endpoint, "--set", "path=out", "--set", "classes=[person]", "--name", "mine")
    numbers = iter(range(1_000_000))
    wait_until(within, lambda: publisher.look() and publisher.publish(frame(next(numbers))) is None and parts(tmp_path))
    sink.send_signal(signal.SIGTERM)
    out, errors = sink.communicate(timeout=END_S)
    assert (sink.returncode, errors) == (0, f"waiting for a fleet on {publisher.endpoint} …\n")
    (file,) = parts(tmp_path)
    lines = [json.loads(line)["frame_id"] for line in file.read_text().splitlines()]
    assert lines == list(range(lines[0], lines[0] + len(lines)))
    # What cannot be written within half a second is kept for the next start.
    assert re.fullmatch(rf"mine: {len(lines)} messages written, 0 lost(; \d+ wait in .+)?\n", out)
    assert (tmp_path / "state" / "camfleet" / "town" / "sinks" / "mine" / "spool.sqlite").exists()


def test_sink_on_a_terminal_shows_a_line_and_ends_with_its_time(
    publisher: Publisher, start: Callable, tmp_path: Path, within: Callable
):
    ours, theirs = pty.openpty()
    words = ("file", publisher.endpoint, "--set", "path=out", "--spool", str(tmp_path / "spool"), "--duration", "1")
    sink = start(*words, stderr=theirs)
    os.close(theirs)
    numbers = iter(range(1_000_000))
    wait_until(
        within,
        lambda: publisher.look() and publisher.publish(frame(next(numbers))) is None and sink.poll() is not None,
    )
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert sink.returncode == 0
    assert "\r\x1b[Kfile: " in shown
    assert " waiting" in shown
    assert (tmp_path / "spool" / "spool.sqlite").exists()


def test_sink_that_waits_for_a_fleet_ends_with_ctrl_c(start: Callable):
    sink = start("file", "tcp://127.0.0.1:9", "--set", "path=out")
    assert sink.stderr is not None
    assert "waiting" in sink.stderr.readline()
    sink.send_signal(signal.SIGINT)
    sink.communicate(timeout=END_S)
    assert sink.returncode == 130


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fil"], "kind: found “fil”, expected "),
        (["file"], "--set path: is missing; expected text"),
        (["file", "--set", "path=x", "--set", "rotate_s=0"], "--set rotate_s: found “0”, expected a number from 1"),
        (["file", "--set", "path=x", "--set", "pth=y"], "--set pth: is no key; did you mean “path”?"),
        (["file", "--set", "path"], "--set path: expected KEY=VALUE"),
        (["webhook", "--set", "url=${NO_SUCH}"], "--set url: the environment variable NO_SUCH is not set"),
        (["webhook", "--set", f"url=ftp://{PLANTED}@h"], "--set url: expected an address such as https://"),
        (["no_such.module:make"], "there is no module “no_such”"),
        (["file", "nowhere", "--set", "path=x"], "cannot subscribe to nowhere"),
        (["file", "--set", "path=x", "--name", "a/b"], "--name: a name is 1 to 63 letters"),
    ],
)
def test_sink_that_is_wrong_is_told_in_one_line(words: list[str], told: str, start: Callable):
    sink = start(*words)
    out, errors = sink.communicate(timeout=END_S)
    assert (sink.returncode, out) == (2, "")
    assert errors.splitlines()[-1].startswith(f"camfleet: {told}")
    assert PLANTED not in errors


def test_sink_whose_spool_another_has_is_told(publisher: Publisher, start: Callable, tmp_path: Path, within: Callable):
    from pipeline.sink.spool import Spool

    spool = Spool(tmp_path / "spool", 1_000_000)
    sink = start("file", publisher.endpoint, "--set", "path=out", "--spool", str(tmp_path / "spool"))
    wait_until(within, lambda: publisher.look() and publisher.publish(frame(0)) is None and sink.poll() is not None)
    assert sink.communicate()[1].splitlines()[-1].startswith("camfleet: another process uses the spool")
    assert sink.returncode == 2
    spool.close()


def test_options_of_a_sink_are_those_of_a_fleet_file():
    made = sink_by_options("webhook", {"url": "https://h/${KEY}", "cameras": ["a"]}, {"KEY": PLANTED})
    assert (made.url.reveal(), made.cameras) == (f"https://h/{PLANTED}", ("a",))
    with pytest.raises(ConfigError, match=r"^--set cameras\.0: found “a/b”; a name is") as caught:
        sink_by_options("webhook", {"url": "https://h/${KEY}", "cameras": ["a/b"]}, {"KEY": PLANTED})
    assert PLANTED not in str(caught.value)
