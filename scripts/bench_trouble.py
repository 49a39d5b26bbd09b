"""How soon cameras in trouble are named: in messages, in the live table, by `camfleet status`, and in the summary.

    .venv/bin/python scripts/bench_trouble.py          # one run, a minute

Twelve recorded cameras over RTSP and a stub detector that is short for them: one camera becomes blind (every packet is
damaged), one freezes, one is switched off, one is starved from the beginning (it is to be detected more often than the
stub can). Times count from the fault; for the starved one, from its first frame. `camfleet status` listens for two
seconds, which are counted.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pipeline import CameraState, FrameResult
from pipeline.errors import ControlError
from pipeline.listen import Listener
from pipeline.replay import Fault, Playback, ReplayOptions, serve_recordings
from pipeline.supervise.control import ask

SAMPLES = Path(__file__).parent.parent / "samples"
CAMERAS = 12
CALM_S, TROUBLE_S, GIVE_UP_S = 8.0, 14.0, 60.0
STUB = {"backend": "stub", "input_wh": [640, 384], "lanes": 1, "options": {"a_ms": 20, "b_ms": 15}}
BLIND, FROZEN, OFFLINE, STARVED = "cam8", "cam9", "cam10", "cam11"
EXPECTED = {BLIND: "blind", FROZEN: "blind", OFFLINE: "retrying", STARVED: "degraded"}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Seen:
    """When each camera was first seen in its expected state, monotonic s, by where."""

    def __init__(self) -> None:
        self.first: dict[tuple[str, str], float] = {}
        self.frame_s: dict[str, float] = {}
        self.faults_s = float("inf")

    def note(self, where: str, camera_id: str, state: str) -> None:
        """A camera was said to be in this state."""
        if EXPECTED.get(camera_id) == state and (camera_id == STARVED or time.monotonic() > self.faults_s):
            self.first.setdefault((where, camera_id), time.monotonic())

    def hear(self, message: FrameResult | CameraState) -> None:
        """A message came."""
        if isinstance(message, CameraState):
            self.note("messages", message.camera_id, message.state)
        else:
            self.frame_s.setdefault(message.camera_id, time.monotonic())

    def read_table(self, terminal: int) -> None:
        """Follow what is drawn until the terminal closes."""
        drawn = ""
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                return
            drawn = (drawn + ESCAPES.sub("", part.decode(errors="replace")))[-20_000:]
            for camera_id, state in EXPECTED.items():
                if re.search(rf"{camera_id}\s+{state}", drawn):
                    self.note("table", camera_id, state)
            drawn = drawn[drawn.rfind("\n") + 1 :]

    def ask_status(self, stop: threading.Event) -> None:
        """Ask again and again."""
        while not stop.is_set():
            told = subprocess.run(
                [sys.executable, "-m", "pipeline", "status", "--json"], capture_output=True, text=True, check=False
            ).stdout
            for one in json.loads(told)["now"]["cameras"] if told else ():
                self.note("status", one["camera_id"], one["state"])

    def after_s(self, where: str, camera_id: str) -> float | None:
        """How long it took."""
        at_s = self.first.get((where, camera_id))
        since_s = self.frame_s.get(camera_id, 0.0) if camera_id == STARVED else self.faults_s
        return None if at_s is None else round(at_s - since_s, 1)


def main() -> None:
    """Run it, and print what was named when."""
    with tempfile.TemporaryDirectory(prefix="trouble") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        recordings = tuple(sorted(SAMPLES.glob("*.mp4")))
        options = ReplayOptions(recordings, CAMERAS, playback=Playback(fps=25.0), own_ports=True)
        with serve_recordings(options) as server:
            file = _fleet_file(Path(folder), server.urls)
            seen, summary = _run(file, lambda: _break(server.inject, server.names))
    print(json.dumps(_figures(seen, summary), indent=2, ensure_ascii=False))


def _fleet_file(folder: Path, urls: list[str] | tuple[str, ...]) -> Path:
    cameras: dict[str, dict[str, Any]] = {f"cam{number}": {"url": url} for number, url in enumerate(urls)}
    cameras[STARVED] |= {"priority": "low", "min_detect_hz": 25}
    body = {
        "name": "trouble",
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "model": STUB,
        "worker": {"max_batch": 2},
        "defaults": {
            "stride": {"min": 1, "max": 4},
            "open_timeout_s": 3,
            "read_timeout_s": 2,
            "reconnect": {"initial_s": 0.2, "max_s": 1},
        },
        "cameras": cameras,
    }
    file = folder / "fleet.yaml"
    file.write_text(yaml.safe_dump(body))
    return file


def _break(inject: Callable[[str, Fault], None], names: list[str] | tuple[str, ...]) -> None:
    faults = {
        BLIND: Fault("corrupt", GIVE_UP_S, corrupt_share=1),
        FROZEN: Fault("freeze", GIVE_UP_S),
        OFFLINE: Fault("refuse", GIVE_UP_S),
    }
    for camera_id, fault in faults.items():
        inject(names[int(camera_id.removeprefix("cam"))], fault)


def _run(file: Path, break_them: Callable[[], None]) -> tuple[Seen, dict[str, Any]]:
    """The fleet on a terminal of its own: calm, then in trouble; what was seen, and its summary."""
    seen, stop, summary = Seen(), threading.Event(), file.with_name("summary.json")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "run", str(file), "--summary", str(summary)]
    environ = os.environ | {"COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environ) as process:
        os.close(theirs)
        threads = [
            threading.Thread(target=seen.read_table, args=(ours,)),
            threading.Thread(target=seen.ask_status, args=(stop,)),
        ]
        try:
            endpoint = _endpoint()
            for thread in threads:
                thread.start()
            with Listener(endpoint, seen.hear):
                stop.wait(CALM_S)
                seen.faults_s = time.monotonic()
                break_them()
                stop.wait(TROUBLE_S)
        finally:
            stop.set()
            process.send_signal(signal.SIGINT)
    for thread in threads:
        thread.join()
    os.close(ours)
    return seen, json.loads(summary.read_text())


def _endpoint() -> str:
    give_up_s = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up_s:
        try:
            return str(ask({"command": "status"})["endpoint"])
        except ControlError:
            time.sleep(0.2)
    raise SystemExit("the fleet has not come up")


def _figures(seen: Seen, summary: dict[str, Any]) -> dict[str, Any]:
    in_summary = {one["camera_id"]: one for one in summary["cameras"]}
    return {
        "named after, s": {
            f"{camera_id} ({state})": {
                where: seen.after_s(where, camera_id) for where in ("messages", "table", "status")
            }
            for camera_id, state in EXPECTED.items()
        },
        "summary": {
            camera_id: f"{in_summary[camera_id]['state']}: {in_summary[camera_id]['detail']}" for camera_id in EXPECTED
        },
        "verdict": summary["verdict"],
        "others": sorted({one["state"] for name, one in in_summary.items() if name not in EXPECTED}),
    }


if __name__ == "__main__":
    main()
