"""The mistakes that are made most: each gets one message with what, where, and what to do; no traceback, no secret.

The commands are run as a user runs them, in a folder with the fleet file that has the mistake.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.coded_pictures import coded
from tests.publishing import Publisher
from tests.rtsp_camera import Habits, RtspCamera
from tests.test_client import publish_until_heard
from tests.test_client_names import TOWN
from tests.test_wire import frame

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "samples" / "model" / "demo_openvino_model"
DEADLINE_S = 90
STUB = "model: {backend: stub}\npublish: {bind: 'tcp://127.0.0.1:0'}\n"
GATE = "cameras: {gate: {url: 'rtsp://bob:hunter2@127.0.0.1:9/live', open_timeout_s: 30}}\n"
DEMO = f"publish: {{bind: 'tcp://127.0.0.1:0'}}\n{GATE}"


@dataclass(frozen=True)
class Mistake:
    """A fleet file, a command, and what is said about it.

    Attributes:
        fleet: The file's text; `{port}` is a port that is taken, by a camera that wants another password.
        command: Its words; the file is fleet.yaml.
        what: What is wrong, as the message says.
        where: Where it is.
        todo: What to do.
        code: The exit code.
        lines: Of the message.
    """

    fleet: str
    command: str
    what: str
    where: str
    todo: str
    code: int = 2
    lines: int = 2


MISTAKES = {
    "a typo of a key": Mistake(
        STUB + GATE.replace("open_timeout_s", "open_timout_s"),
        "check fleet.yaml",
        "open_timout_s: is no key",
        "fleet.yaml:3:",
        "did you mean “open_timeout_s”?",
    ),
    "a unit behind the number": Mistake(
        STUB + "slo: {p95_ms: 150ms}\n" + GATE,
        "check fleet.yaml",
        "slo.p95_ms: found “150ms”",
        "fleet.yaml:3:15:",
        "expected a number above 0 to 60000; the number alone, which is in milliseconds",
    ),
    "a path": Mistake(
        STUB + "cameras: {gate: {url: recordings/gaet.mp4}}\n",
        "check fleet.yaml",
        "there is no recording “recordings/gaet.mp4”",
        "fleet.yaml:3:",
        "the address of a network camera begins with a scheme such as rtsp://",
    ),
    "a port of an address": Mistake(
        STUB + GATE.replace(":9/", ":99999/"),
        "check fleet.yaml",
        "cameras.gate.url: the port is none",
        "fleet.yaml:3:",
        "rtsp://HOST:PORT/PATH with a number from 1 to 65535",
    ),
    "a variable that is not set": Mistake(
        STUB + GATE.replace("hunter2", "${GATE_PASSWORD}"),
        "check fleet.yaml",
        "the environment variable GATE_PASSWORD is not set",
        "fleet.yaml:3:",
        "set it before starting camfleet",
    ),
    "weights that are none": Mistake(
        "model: {path: ./no-model.pt}\n" + DEMO,
        "run fleet.yaml",
        "no-model.pt is not a loadable checkpoint",
        "model.path: ",
        "name the .pt that training has written",
        lines=1,
    ),
    "an ONNX file that is none": Mistake(
        "model: {path: ./no-model.onnx}\n" + DEMO,
        "run fleet.yaml",
        "no-model.onnx is no OpenVINO model, and no ONNX file",
        "model.path: ",
        "name one that camfleet export or your training has written",
        lines=1,
    ),
    "an OpenVINO model that is none": Mistake(
        "model: {path: ./no-model.xml}\n" + DEMO,
        "run fleet.yaml",
        "no-model.xml is no OpenVINO model, and no ONNX file",
        "model.path: ",
        "name one that camfleet export or your training has written",
        lines=1,
    ),
    "a model of no kind": Mistake(
        "model: {path: ./no-model.txt}\n" + DEMO,
        "run fleet.yaml",
        "no-model.txt",
        "model.path: ",
        "expected an OpenVINO folder or .xml, a .pt, an .onnx or an .engine",
        lines=1,
    ),
    "a class that the model does not know": Mistake(
        f"model: {{path: '{MODEL}', classes: [persn]}}\n{DEMO}",
        "run fleet.yaml",
        "the model knows no class 'persn'",
        "model.classes: ",
        "did you mean 'person'?",
        lines=1,
    ),
    "a camera that is off": Mistake(
        STUB + GATE,
        "check fleet.yaml --probe --no-open",
        "cannot open rtsp://***@127.0.0.1:9/live: nothing listens there",
        "gate: ",
        "check host and port, and that the camera is on",
        code=1,
        lines=1,
    ),
    "a wrong password": Mistake(
        STUB + GATE.replace(":9/", ":{camera}/"),
        "check fleet.yaml --probe --no-open",
        "it wants another user or password (401)",
        "gate: cannot open rtsp://***@127.0.0.1:{camera}/live",
        "check those in the address",
        code=1,
        lines=1,
    ),
    "a camera that is there twice": Mistake(
        STUB + "cameras:\n  gate: {url: 'rtsp://10.0.0.1/'}\n  gate: {url: 'rtsp://10.0.0.2/'}\n",
        "check fleet.yaml",
        "cameras.gate: is there twice",
        "fleet.yaml:5:3:",
        "in line 4 and in line 5",
    ),
    "a second fleet on a port": Mistake(
        STUB.replace(":0'", ":{port}'") + GATE,
        "run fleet.yaml",
        "cannot publish on tcp://127.0.0.1:{port}: address already in use",
        "tcp://127.0.0.1:{port}",
        "choose another port in publish.bind, or end that program",
        lines=1,
    ),
    "a subscriber to a wrong port": Mistake(
        "",
        "subscribe tcp://127.0.0.1:9 --timeout 1",
        "no frame within 1 s; nothing heard, and no connection",
        "tcp://127.0.0.1:9",
        "is the fleet running, is this its publish.bind",
        lines=1,
    ),
    "a subscriber to a wrong camera": Mistake(
        "",
        "subscribe tcp://127.0.0.1:{town} --camera gaet --timeout 4",
        "has no camera “gaet”",
        "the fleet “town”",
        "did you mean “gate”? there is “g”, “gate”, “yard”",
        lines=1,
    ),
    "a tab": Mistake(
        STUB + "cameras:\n\tgate: {url: 'rtsp://10.0.0.1/'}\n",
        "check fleet.yaml",
        "is indented by a tab",
        "fleet.yaml:4:1:",
        "YAML takes spaces only, two for each level",
        lines=1,
    ),
    "an extra that is not installed": Mistake(
        STUB + "page: {port: 0}\n" + GATE,
        "run fleet.yaml",
        "the page needs starlette",
        "is not installed",
        "pip install 'camfleet[page]'",
        lines=1,
    ),
}


@dataclass(frozen=True)
class Around:
    """What a mistake may meet: a port that is taken, a camera with another password, and a fleet."""

    port: int
    camera: int
    town: int

    def placed(self, text: str) -> str:
        for name in ("port", "camera", "town"):
            text = text.replace(f"{{{name}}}", str(getattr(self, name)))
        return text


@contextmanager
def around() -> Iterator[Around]:
    habits = Habits(challenges=('Basic realm="cam"',), password="another")
    publisher, heard = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()
    thread = publish_until_heard(publisher, [TOWN, frame("gate")], heard)
    try:
        with socket.socket() as other, RtspCamera(coded("h264"), habits) as camera:
            other.bind(("127.0.0.1", 0))
            other.listen()
            town = int(publisher.endpoint.rpartition(":")[2])
            yield Around(other.getsockname()[1], camera.port, town)
    finally:
        heard.set()
        thread.join(DEADLINE_S)
        publisher.close()


@pytest.mark.parametrize("mistake", [pytest.param(one, id=name) for name, one in MISTAKES.items()])
def test_mistake_gets_one_message_with_what_where_and_what_to_do(tmp_path: Path, mistake: Mistake) -> None:
    for name in ("no-model.pt", "no-model.onnx", "no-model.txt", "no-model.xml", "no-model.bin"):
        (tmp_path / name).write_text("this is no model\n")
    # What the extra `page` brings is not found where this folder is looked at first.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['starlette'] = None\n")
    hides = [str(tmp_path)] if "page:" in mistake.fleet else []
    with around() as met:
        (tmp_path / "fleet.yaml").write_text(met.placed(mistake.fleet))
        command = met.placed(mistake.command).split()
        ended = subprocess.run(
            [sys.executable, "-m", "pipeline", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*hides, str(ROOT)]), "COLUMNS": "400"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert ended.returncode == mistake.code, ended.stderr
    said = ended.stdout if "--probe" in command else ended.stderr
    for words in (mistake.what, mistake.where, mistake.todo):
        assert met.placed(words) in said, said
    assert "Traceback" not in ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr
    if "--probe" not in command:
        # `run` says before that it loads the model, and a subscriber that it waits.
        lines = [line for line in said.splitlines() if not re.match(r"loading |the fleet .* has no camera", line)]
        assert len(lines) == mistake.lines, said
        assert lines[0].startswith("camfleet: ")
