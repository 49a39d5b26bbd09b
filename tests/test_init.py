"""`camfleet init`: a fleet file by a few answers or by options, without a secret in it, and never over another."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.cli.init import init
from pipeline.config import load_fleet
from pipeline.discover.starter import Entry, entry, fleet_text
from pipeline.errors import ConfigError
from pipeline.replay.options import ReplayOptions
from pipeline.replay.process import serve_recordings
from pipeline.rtsp.auth import Login

ROOT = Path(__file__).parents[1]
DEADLINE_S = 60
SECRET = "S3cr3t-of-the-gate"
BARE = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "300"}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def camfleet(tmp_path: Path) -> Run:
    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *map(str, arguments)],
            cwd=tmp_path,
            env={**BARE, "HOME": str(tmp_path), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    return run


def test_init_by_options_writes_a_file_that_is_right_and_tells_what_the_camera_sends(
    camfleet: Run, tmp_path: Path, recording: Path
):
    done = camfleet("init", "north", "--url", recording, "--url", f"yard={recording}", "--model", "sample")
    file = tmp_path / "north/fleet.yaml"
    assert done.returncode == 0, done.stderr
    assert re.search(r"yard +h264 +320×180 +25 +1\.0 s", done.stdout)
    assert done.stdout.endswith("written: north/fleet.yaml\nthen: camfleet run north/fleet.yaml\n")
    assert file.read_text().count("  # h264 320x180, 25 fps, a key frame every 1 s\n") == 2
    fleet = load_fleet(file)
    assert list(fleet.cameras) == ["square", "yard"]
    assert fleet.cameras["yard"].url.path == recording
    assert Path(fleet.model.path) == ROOT / "samples/model/demo_openvino_model"
    assert camfleet("check", file).returncode == 0
    assert [path.name for path in file.parent.iterdir()] == ["fleet.yaml"]


def test_init_puts_no_password_into_the_file_and_says_what_to_set(camfleet: Run, tmp_path: Path):
    options = ReplayOptions((ROOT / "samples/gate.mp4",), login=Login("bob", SECRET))
    with serve_recordings(options) as served:
        (url,) = served.urls
        url = url.replace("://", f"://bob:{SECRET}@")
        done = camfleet("init", "--url", f"gate={url}", "--model", "sample")
        written = (tmp_path / "fleet.yaml").read_text()
        assert done.returncode == 0, done.stdout + done.stderr
        assert SECRET not in written + done.stdout + done.stderr
        assert "${GATE_USER}:${GATE_PASSWORD}@127.0.0.1" in written
        assert "set first: export GATE_USER=… GATE_PASSWORD=…\n" in done.stdout
        assert "GATE_PASSWORD=…" in written
        assert "h264 640x360" in written, "the camera was opened with the password all the same"
        fleet = load_fleet(tmp_path / "fleet.yaml", {"GATE_USER": "bob", "GATE_PASSWORD": SECRET})
        assert fleet.cameras["gate"].url.reveal() == url


def test_init_writes_down_who_does_not_answer_and_says_so(camfleet: Run, tmp_path: Path):
    done = camfleet("init", "--url", "rtsp://127.0.0.1:1/live", "--model", "sample")
    assert done.returncode == 1
    assert re.search(r"camera +failed", done.stdout)
    assert re.search(r"  # did not answer: .+\n  camera:\n", (tmp_path / "fleet.yaml").read_text())


def test_init_never_writes_over_a_file_unless_it_is_forced(camfleet: Run, tmp_path: Path, recording: Path):
    file = tmp_path / "fleet.yaml"
    file.write_text("mine\n")
    options = ("--url", recording, "--model", "sample", "--no-probe")
    done = camfleet("init", *options)
    assert (done.returncode, done.stdout, file.read_text()) == (2, "", "mine\n")
    assert done.stderr == "camfleet: fleet.yaml is there already; --force writes over it, or name another folder\n"
    assert camfleet("init", "--force", *options).returncode == 0
    assert "square" in load_fleet(file).cameras


def test_init_without_a_terminal_and_without_options_says_what_to_give(camfleet: Run, tmp_path: Path):
    done = camfleet("init")
    assert done.returncode == 2
    assert done.stderr == (
        "camfleet: init asks in a terminal, and there is none; give --url for each camera, and --model\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_init_of_weights_says_what_they_need_that_is_not_there(camfleet: Run, tmp_path: Path, recording: Path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ultralytics'] = None\n")
    path = f"{tmp_path}:{ROOT}"
    done = camfleet("init", "new", "--url", recording, "--model", "yolo26n.pt", "--no-probe", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert (
        "install first: model.path: yolo26n.pt needs ultralytics, which is not installed: "
        "pip install 'camfleet[ultralytics]'\n"
    ) in done.stdout


def test_init_asks_in_a_terminal(tmp_path: Path, recording: Path):
    answers = [
        ("Camera 1", "nowhere.mp4"),
        ("there is no recording nowhere.mp4", ""),
        ("Camera 1", f"gate={recording}"),
        ("Camera 2", ""),
        ("Model", "sample"),
        ("then: camfleet run fleet.yaml", ""),
    ]
    ours, theirs = pty.openpty()
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    command = [sys.executable, "-m", "pipeline", "init"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **ends) as process:
        os.close(theirs)
        try:
            rest = ""
            for asked, answer in answers:
                rest = heard(ours, asked, rest)
                if answer or asked == "Camera 2":
                    os.write(ours, f"{answer}\n".encode())
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            os.close(ours)
    assert list(load_fleet(tmp_path / "fleet.yaml").cameras) == ["gate"]


def heard(terminal: int, words: str, said: str) -> str:
    """Waits until a program has said these words; returns what came after them."""
    end_s = time.monotonic() + DEADLINE_S
    while words not in said:
        readable, _, _ = select.select([terminal], [], [], max(0, end_s - time.monotonic()))
        assert readable, f"no {words!r} in {said!r}"
        try:
            said += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            pytest.fail(f"no {words!r} in {said!r}")
    return said.partition(words)[2]


@pytest.mark.parametrize(
    ("given", "name", "url"),
    [
        pytest.param("rtsp://10.0.0.7/live", "camera", "rtsp://10.0.0.7/live", id="an address says no name"),
        pytest.param("rtsp://gate.example:8554/1", "gate", "rtsp://gate.example:8554/1", id="a host does"),
        pytest.param("north=rtsp://10.0.0.7/a=b", "north", "rtsp://10.0.0.7/a=b", id="a name of one's own"),
        pytest.param(
            "rtsp://bob:a%40b@gate/1", "gate", "rtsp://${GATE_USER}:${GATE_PASSWORD}@gate/1", id="user and password"
        ),
        pytest.param(
            "7=http://cam/video?token=abc123",
            "7",
            "http://cam/video?token=${CAMERA_7_TOKEN}",
            id="a token, of a camera that is a number",
        ),
        pytest.param("rtsp://${U}:${P}@gate/1", "gate", "rtsp://${U}:${P}@gate/1", id="variables of one's own"),
        pytest.param("/dev/video0", "video0", "/dev/video0", id="a device"),
        pytest.param("python:cams.grab:open", "camera", "python:cams.grab:open", id="a function"),
    ],
)
def test_entry_hides_what_is_secret_and_nothing_else(given: str, name: str, url: str, tmp_path: Path):
    found = entry(given, [], tmp_path)
    assert (found.camera_id, found.url) == (name, url)
    known = {"U": "u", "P": "p", **found.secrets}
    file = tmp_path / "fleet.yaml"
    file.write_text(fleet_text("stub", [found]).replace('path: "stub"', "backend: stub"))
    camera = load_fleet(file, known).cameras[name]
    assert camera.url.reveal() == given.removeprefix(f"{name}=").replace("${U}", "u").replace("${P}", "p")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("whep://gate/1", "scheme “whep://” is not supported", id="no scheme of ours"),
        pytest.param("gone.mp4", "there is no recording gone.mp4", id="no such file"),
        pytest.param(f"rtsp://${{U}}:{SECRET}@gate/1", "a variable and a secret in plain words", id="half hidden"),
        pytest.param(f"rtsp://gate/1?u=${{U}}&password={SECRET}", "a variable and a secret", id="half hidden behind"),
        pytest.param(f"srt://gate:9000?passphrase={SECRET}", "write what is secret", id="not known what is"),
        pytest.param("-=rtsp://gate/1", "found the name “-”", id="no name"),
        pytest.param("taken=rtsp://gate/1", "there are two cameras named “taken”", id="a name twice"),
    ],
)
def test_entry_that_is_none_is_told_without_what_may_be_secret(given: str, said: str, tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        entry(given, ["taken"], tmp_path)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_entry_is_named_apart_and_lies_relative_to_its_file(tmp_path: Path):
    (tmp_path / "gate.mp4").touch()
    found = entry(str(tmp_path / "gate.mp4"), ["gate"], tmp_path)
    assert (found.camera_id, found.url) == ("gate-2", "gate.mp4")
    assert entry(str(tmp_path / "gate.mp4"), [], tmp_path / "below").url == str(tmp_path / "gate.mp4")


def test_text_with_every_comment_taken_off_is_a_fleet_file(tmp_path: Path):
    """What the file offers in comments can be used as it stands there."""
    (tmp_path / "model").mkdir()
    text = fleet_text("model", [Entry("on", "rtsp://10.0.0.7/1", notes=("it’s a note",))])
    keys = re.compile(r"^(\s*)# ((?:page|sinks|  files|classes|nms_iou|stride):)", re.MULTILINE)
    opened = keys.sub(lambda found: found[1] + found[2], text)
    assert len(keys.findall(text)) == 6
    file = tmp_path / "fleet.yaml"
    file.write_text(opened)
    told = yaml.safe_load(opened)
    fleet = load_fleet(file)
    assert list(told["cameras"]) == ["on"], "names that YAML takes for something else are quoted"
    assert fleet.page is not None
    assert (fleet.cameras["on"].stride.min, list(fleet.sinks), fleet.model.nms_iou) == (3, ["files"], 0.5)


def test_init_cannot_write_where_nothing_can_be_written(tmp_path: Path, recording: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/fleet\.yaml cannot be written: File exists"):
        init(tmp_path / "file", url=[str(recording)], model="sample", probe=False)
