"""`camfleet demo` as a newcomer runs it: from an empty folder, with no home, beside others who have the usual ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pipeline import Subscriber
from pipeline.cli.demo import CAMERAS, free_port
from pipeline.config import load_fleet
from tests.image_modules import hide_others
from tests.servers import usual_ports_taken
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
DEADLINE_S = 60
ENOUGH = 3
"""Detections of each camera after which it counts as detected, however the machine is loaded."""


def environment(folder: Path, runtime: Path, **more: str) -> dict[str, str]:
    """What a bare account has: no home. Paths of sockets end at 107 bytes, so what is temporary lies in `runtime`."""
    (runtime / "tmp").mkdir(exist_ok=True)
    path = os.pathsep.join((str(more.pop("PYTHONPATH", "")), str(ROOT))).strip(os.pathsep)
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "TMPDIR": str(runtime / "tmp"),
        "XDG_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": path,
        "COLUMNS": "300",
        **more,
    }


@contextmanager
def demo(*options: str, cwd: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pipeline", "demo", *options]
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(DEADLINE_S)


def said_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What a program says, to the end of the first line in which this is found."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if re.search(pattern, line):
            return told
    pytest.fail(told)


def test_demo_with_the_base_alone_shows_boxes_of_all_cameras_and_leaves_nothing(tmp_path: Path, short_path: Path):
    """Nothing of the extras is there, and somebody has the ports that everybody takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    modules = tmp_path / "modules"
    modules.mkdir()
    hidden = hide_others(project["dependencies"], modules)
    assert {"torch", "ultralytics", "matplotlib", "scipy", "starlette"} <= hidden
    work, env = tmp_path / "work", environment(tmp_path, short_path, PYTHONPATH=str(modules))
    work.mkdir()
    with usual_ports_taken(), demo("--duration", "0", cwd=work, env=env) as process:
        begun = said_until(process, "subscribe")
        (endpoint,) = re.findall(r"subscribe (tcp://127\.0\.0\.1:\d+) ", begun)
        assert not re.search(r":(8554|5555)\b", begun)
        seen: dict[str, int] = dict.fromkeys(CAMERAS, 0)
        with Subscriber(endpoint, timeout_s=DEADLINE_S) as results:
            while min(seen.values()) < ENOUGH:
                result = results.receive()
                seen[result.camera_id] += bool(result.origin == "detected" and result.tracks)
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=DEADLINE_S)
    # On a machine that does much else, a camera may be blind at that moment.
    assert process.returncode == (0 if "none of 6 down" in told else 1), told
    missing = "starlette, uvicorn, websockets and prometheus_client, which are not installed"
    assert f"Without a page: the page needs {missing}: pip install 'camfleet[page]'\n" in begun
    assert "fleet demo, the whole run" in told
    assert list(work.iterdir()) == []
    assert not (tmp_path / "home").exists()
    assert [path for path in (short_path / "tmp").rglob("*") if path.name.startswith("camfleet-demo-")] == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "TERM", "KILL"])
def test_demo_that_is_ended_takes_its_cameras_with_it(
    how: signal.Signals, tmp_path: Path, short_path: Path, within: Callable[[float], object]
):
    env = environment(tmp_path, short_path)
    with usual_ports_taken(), demo("--duration", "0", cwd=tmp_path, env=env) as process:
        said_until(process, "6 cameras ")
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("pipeline.replay.serve" in " ".join(one.cmdline()) for one in family)
        process.send_signal(how)
        told, _ = process.communicate(timeout=DEADLINE_S)
        wait_until(within, lambda: not any(one.is_running() for one in family))
    assert "Traceback" not in told


def test_demo_writes_its_files_where_it_is_told_to_and_never_over_others(tmp_path: Path, short_path: Path):
    env = environment(tmp_path, short_path)
    command = [sys.executable, "-m", "pipeline", "demo", "--files", "mine"]
    done, again = (
        subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        for _ in range(2)
    )
    assert "mine/configs/minimal.yaml" in done.stdout
    fleet = load_fleet(tmp_path / "mine/configs/minimal.yaml")
    assert Path(fleet.model.path) == tmp_path / "mine/samples/model/demo_openvino_model"
    assert (tmp_path / "mine/configs/scenarios/ci.yaml").is_file()
    assert (again.returncode, again.stderr) == (
        2,
        "camfleet: --files mine: there is a “configs” already; name another folder\n",
    )


def test_free_port_is_the_wanted_one_unless_somebody_has_it():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        assert free_port(port) not in (0, port)
    assert free_port(port) == port
