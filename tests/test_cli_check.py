"""`camfleet check` opens what a run would: the model, ports and keys; and says how many mistakes there are."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import Fleet
from pipeline.doctor.finding import failure, ok
from pipeline.doctor.places import holder_of
from tests.key_files import KeyRing

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "samples" / "model" / "demo_openvino_model"
DEADLINE_S = 90

Write = Callable[..., Path]


def check(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "check", str(file), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def told(file: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = check(file, "--json", *options)
    return done.returncode, json.loads(done.stdout)


def by_about(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["about"]: finding for finding in report["findings"]}


def test_check_opens_the_model_as_a_run_does(fleet_file: Write, recording: Path) -> None:
    file = fleet_file({"gate": str(recording)}, model={"path": str(MODEL), "classes": ["person"]})
    code, report = told(file)
    (model,) = report["models"]
    assert (code, report["ok"], report["mistakes"]) == (0, True, 0)
    assert (model["name"], model["backend"], model["device"]) == ("demo_openvino_model", "openvino", "CPU")
    assert model["input_wh"] == [640, 384] and model["max_batch"] >= 1 and model["lanes"] >= 1
    assert "person" in model["class_names"] and model["kept"] == ["person"]
    assert report["fleet"]["model"]["classes"] == ["person"]


def test_check_prints_the_fleet_and_then_what_was_found(fleet_file: Write, recording: Path) -> None:
    done = check(fleet_file({"gate": str(recording)}))
    assert done.returncode == 0
    assert yaml.safe_load(done.stdout)["name"] == "test"
    lines = done.stderr.splitlines()
    assert lines[-1] == "OK"
    assert lines[0].split() == ["ok", "publish.bind:", "a", "free", "port", "will", "be", "taken"]
    assert any(line.startswith("ok       model: stub: ") for line in lines)


def test_check_of_a_port_that_is_taken_says_by_whom(fleet_file: Write, recording: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"(pid {os.getpid()})" in holder_of(port)
        file = fleet_file({"gate": str(recording)}, publish={"bind": f"tcp://127.0.0.1:{port}"}, page={"port": port})
        done = check(file)
        code, report = told(file)
    found = by_about(report)
    assert done.returncode == code == 2
    assert done.stderr.splitlines()[-1] == "2 mistakes" and report["mistakes"] == 2
    for about in ("publish.bind", "page"):
        assert found[about]["verdict"] == "failure"
        assert "in use" in found[about]["found"] and f"(pid {os.getpid()})" in found[about]["advice"]


def test_check_of_a_fleet_that_runs_finds_its_own_ports_well(fleet_file: Write, recording: Path, runtime: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        bind = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    file = fleet_file({"gate": {"url": str(recording), "loop": True}}, publish={"bind": bind})
    with Fleet(file):
        # A fleet that does not answer in time is a stranger.
        found = ((code, by_about(report)["publish.bind"]["found"]) for code, report in (told(file) for _ in range(3)))
        assert (0, f"{bind} is that of the fleet itself, which runs") in found


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        pytest.param("ipc://{folder}/nowhere/fleet.sock", "nowhere of ipc://", id="no folder"),
        pytest.param("tcp://192.0.2.1:5555", "takes an address of this machine", id="another machine's"),
    ],
)
def test_check_of_an_address_that_cannot_be_had_says_why(
    fleet_file: Write, recording: Path, short_path: Path, bind: str, words: str
) -> None:
    endpoint = bind.format(folder=short_path)
    file = fleet_file({"gate": str(recording)}, publish={"bind": endpoint, "insecure": True})
    code, report = told(file)
    finding = by_about(report)["publish.bind"]
    assert (code, finding["verdict"]) == (2, "failure")
    assert words in finding["found"]


def test_check_of_a_socket_file_leaves_it_to_who_has_it(fleet_file: Write, recording: Path, short_path: Path) -> None:
    path = short_path / "fleet.sock"
    file = fleet_file({"gate": str(recording)}, publish={"bind": f"ipc://{path}"})
    assert told(file)[0] == 0
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        code, report = told(file)
        assert path.exists()
    assert code == 2
    assert "another program listens" in by_about(report)["publish.bind"]["found"]


def test_check_looks_at_keys(fleet_file: Write, recording: Path, runtime: Path) -> None:
    ring = KeyRing(runtime / "ring")
    keys = {"server": str(ring.server.secret), "clients": str(ring.clients)}
    file = fleet_file({"gate": str(recording)}, publish={"bind": "tcp://127.0.0.1:0", "keys": keys})
    found = by_about(told(file)[1])
    assert found["publish.keys.server"]["verdict"] == "ok"
    assert "nobody may subscribe" in found["publish.keys.clients"]["found"]
    ring.server.secret.chmod(0o644)
    code, report = told(file)
    assert (code, report["mistakes"]) == (2, 1)
    assert "chmod 600" in report["findings"][0]["found"]


def test_check_of_a_model_that_ends_its_process_says_what_it_said(fleet_file: Write, recording: Path) -> None:
    (Path(recording).parent / "ends_the_process.py").write_text(
        "import os\n\ndef make(model):\n    os.write(2, b'the driver is gone\\n')\n    os.abort()\n"
    )
    file = fleet_file({"gate": str(recording)}, model={"backend": "ends_the_process:make", "path": "x"})
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "check", str(file)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{recording.parent}"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "was ended by SIGABRT" in done.stderr and "the driver is gone" in done.stderr
    assert done.stderr.splitlines()[-1] == "1 mistake"


def test_check_without_opening_reads_the_file_alone(fleet_file: Write, recording: Path) -> None:
    done = check(fleet_file({"gate": str(recording)}, model={"path": "yolo26n.pt"}), "--no-open")
    assert (done.returncode, done.stderr) == (0, "OK\n")


def test_check_of_a_file_with_mistakes_counts_them_in_json_too(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("model: {backend: stub, confidance: 1}\ncameras: {gate: {url: 'rtsp://bob:hunter2@cam:x/'}}\n")
    code, report = told(file)
    assert (code, report["ok"], report["mistakes"], len(report["findings"])) == (2, False, 2, 2)
    assert "confidance" in report["findings"][0]["found"] and ":1:" in report["findings"][0]["found"]
    assert "hunter2" not in str(report)


def test_finding_that_names_its_key_is_not_named_twice() -> None:
    assert failure("model", "model.classes: no such").words == "model.classes: no such"
    assert failure("page", "it is taken", "give another").words == "page: it is taken; give another"
    assert ok("model", "it opens").words == "model: it opens"
