"""A whole rehearsal by the command: a recording as a camera, a fleet that sees it, and one that does not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from tests.camera_media import TcpServer

CAMFLEET = Path(sys.executable).parent / "camfleet"
ROOT = Path(__file__).parent.parent
DEADLINE_S = 120.0
LINE = {"points": [[0.3, 0.0], [0.3, 1.0]]}
"""The square of the recording crosses it after 1.3 s, from the left to the right as the picture is seen."""


class Hook(TcpServer):
    """Where a real alarm would be rung; counts its connections, and none may come."""

    def serve(self, connection: Any) -> None:
        connection.recv(1)


@pytest.fixture
def files(tmp_path: Path, recording: Path) -> tuple[Path, Path, Path]:
    """A that sees, B that sees something else, and the recording with its ground truth beside it."""
    camera = {"url": "rtsp://gate.example/1", "lines": {"door": LINE}, "stride": 1}
    for name, backend in (("a", "tests.plugin_bright:make"), ("b", "stub")):
        body = {"model": {"path": "none", "backend": backend}, "slo": {"p95_ms": 3000}, "cameras": {"gate": camera}}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(body))
    (tmp_path / "gate.mp4").write_bytes(recording.read_bytes())
    truth = tmp_path / "ground_truth" / "gate"
    (truth / "gt").mkdir(parents=True)
    (truth / "seqinfo.ini").write_text("[Sequence]\nseqLength=75\nimWidth=320\nimHeight=180\nframeRate=25\n")
    (truth.parent / "labels.txt").write_text("bright\n")
    rows = [f"{n + 1},1,{2 * n + 1},61,60,60,1,1,1" for n in range(75)]
    (truth / "gt" / "gt.txt").write_text("\n".join(rows) + "\n")
    return tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "gate.mp4"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAMFLEET, "rehearse", *map(str, arguments)],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.timeout(400)
def test_rehearsal_tells_what_only_one_side_saw_and_rings_nobody(files: tuple[Path, Path, Path], tmp_path: Path):
    a, b, recording = files
    with Hook() as hook:
        for file in (a, b):
            body = yaml.safe_load(file.read_text())
            alarm = {"kind": "webhook", "url": f"http://127.0.0.1:{hook.port}/", "events": "only"}
            body["sinks"] = {
                "alarm": alarm,
                "kept": {"kind": "file", "path": str(tmp_path / "kept"), "format": "jsonl"},
            }
            file.write_text(yaml.safe_dump(body))
        # A side may miss what happens while the machine stands still.
        for number in range(3):
            out = tmp_path / f"out-{number}"
            done = run(a, b, recording, "--duration", 2, "--report", out, "--json", "--expect", "events.missed <= 0")
            assert hook.connections == 0
            assert done.returncode == 1, done.stderr
            told = json.loads(done.stdout)
            figures = {row["key"]: row for row in told["figures"]}
            if figures["events.caught"]["a"]["median"] == 1 and figures["lost"]["a"]["median"] < 40:
                break
    assert not (tmp_path / "kept").exists()
    (event,) = [one for one in told["events"] if one["truth"] == "yes"]
    assert (event["by"], event["rule"], event["what"]) == ("only_a", "door", "out")
    assert event["at_s"] == pytest.approx(1.3, abs=0.1) and event["a_at_s"] == pytest.approx(event["at_s"], abs=0.3)
    assert figures["hota"]["a"]["median"] > figures["hota"]["b"]["median"]
    assert figures["events.caught"]["a"]["median"] == 1 and figures["events.caught"]["b"]["median"] == 0
    assert figures["lost"]["a"]["median"] < 40
    assert figures["p95_ms"]["a"]["median"] > 0
    assert any("sinks (alarm, kept)" in line for line in told["b"]["left_out"])
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]
    assert "data:image/jpeg" in (out / "report.html").read_text()


@pytest.mark.long
def test_rehearsal_that_is_interrupted_ends_everything(files: tuple[Path, Path, Path], within: Callable):
    a, b, recording = files
    command = [CAMFLEET, "rehearse", a, b, recording]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip().endswith("waiting for the cameras"):
                break
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130 and len(family) >= 3
    for _ in within(DEADLINE_S):
        if not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family):
            break
        threading.Event().wait(0.05)


def test_rehearsal_of_recordings_without_a_camera_says_so(files: tuple[Path, Path, Path], tmp_path: Path):
    a, b, recording = files
    other = recording.rename(tmp_path / "roof.mp4")
    done = run(a, b, other)
    assert done.returncode == 2
    assert "there is no camera “roof”" in done.stderr and "Traceback" not in done.stderr
