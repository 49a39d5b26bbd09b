"""Events of a running fleet: real processes, the demo's model on the samples."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from pipeline import Event, Fleet, Subscriber, SubscriberTimeout
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent
RULES = {
    "lines": {"upright": {"points": [[0.5, 0], [0.5, 1]]}, "level": {"points": [[0, 0.6], [1, 0.6]]}},
    "zones": {"middle": {"polygon": [[0.3, 0.4], [0.7, 0.4], [0.7, 0.9], [0.3, 0.9]], "when": ["enter", "leave"]}},
}
KILLS = 3
CAMERAS = ("gate", "crossing")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def file(fleet_file: Callable[..., Path], tmp_path: Path) -> Path:
    cameras = {name: {"url": str(ROOT / f"samples/{name}.mp4"), "loop": True, **RULES} for name in CAMERAS}
    kept = {"kind": "file", "path": str(tmp_path / "kept"), "format": "jsonl"}
    model = {"path": str(ROOT / "samples/model/demo_openvino_model"), "nms_iou": 0.5}
    return fleet_file(cameras, sinks={"kept": kept}, model=model, defaults={"stride": 3})


@pytest.fixture
def heard() -> Iterator[Callable[[str], list[Event]]]:
    """Everything that is told at an endpoint from now on."""
    stop, threads = threading.Event(), []

    def hear(endpoint: str) -> list[Event]:
        found: list[Event] = []

        def run() -> None:
            with Subscriber(endpoint, events=True, timeout_s=0.2) as events:
                while not stop.is_set():
                    try:
                        found.append(events.receive())
                    except SubscriberTimeout:
                        continue

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return found

    yield hear
    stop.set()
    for thread in threads:
        thread.join()


def told(events: list[Event]) -> Counter[tuple[str, str, int]]:
    return Counter((event.event_id, event.phase, event.at_ns) for event in events)


def kept(tmp_path: Path, rules: Path) -> list[Event]:
    """What the command makes of the results that the sink has kept."""
    import msgspec

    command = [sys.executable, "-m", "pipeline", "events", str(tmp_path / "kept"), str(rules), "--updates", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return [msgspec.json.decode(line, type=Event) for line in done.stdout.splitlines()]


def test_events_of_a_fleet_whose_rules_are_killed_are_those_of_its_results(
    file: Path, runtime: Path, tmp_path: Path, within: Callable, heard: Callable[[str], list[Event]]
):
    with Fleet(file) as fleet:
        found = heard(fleet.inside)
        for _ in range(KILLS):
            count = len(found)
            wait_until(within, lambda count=count: len(found) > count)
            (process,) = [one for one in fleet.processes if one.role == "events"]
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            wait_until(
                within,
                lambda old=process.pid: any(
                    one.role == "events" and one.pid not in (None, old) for one in fleet.processes
                ),
            )
        count = len(found)
        wait_until(within, lambda: len(found) > count)
        for camera_id in CAMERAS:
            fleet.pause_camera(camera_id)
        (process,) = [one for one in fleet.processes if one.role == "events"]
        assert process.restarts == KILLS
        wait_until(within, lambda: told(found) == told(kept(tmp_path, file)))
    expected = kept(tmp_path, file)
    assert len(expected) > KILLS
    assert told(found) == told(expected)


def test_rules_change_with_the_file_and_cameras_are_not_touched(file: Path, runtime: Path, within: Callable):
    body = yaml.safe_load(file.read_text())
    with Fleet(file) as fleet, Subscriber(fleet.inside, events=True, timeout_s=30) as events:
        assert events.receive().rule in ("upright", "level", "middle")
        before = {one.name: one.pid for one in fleet.processes if one.role != "events"}
        body["cameras"]["gate"]["lines"] = {"slant": {"points": [[0.1, 0.3], [0.9, 0.9]]}}
        file.write_text(yaml.safe_dump(body))
        changes = fleet.reload()
        assert (changes.rules, changes.restarted, changes.adjusted) == (("gate",), (), ())
        wait_until(within, lambda: events.receive().rule == "slant")
        for camera in body["cameras"].values():
            del camera["lines"], camera["zones"]
        file.write_text(yaml.safe_dump(body))
        fleet.reload()
        assert {one.name: one.pid for one in fleet.processes} == before


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        pytest.param(
            {"zones": {"a": {"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}}},
            "cameras.gate.zones.a.polygon: crosses itself",
            id="crosses itself",
        ),
        pytest.param(
            {"zones": {"a": {"polygon": [[0, 0], [1.2, 0], [1, 1]]}}},
            "[1.2, 0] is outside the picture",
            id="outside",
        ),
        pytest.param({"zones": {"a": {"when": "dwel > 3s"}}}, "“dwel > 3s”; did you mean “dwell > 30s”?", id="typo"),
        pytest.param({"zones": {"a": {"when": "dwell > 3"}}}, "“dwell > 3”; did you mean “dwell > 30s”?", id="no unit"),
        pytest.param({"zones": {"a": {"when": "xyz"}}}, "found “xyz”; expected one of enter", id="nothing like it"),
        pytest.param({"zones": {"a": {"when": "cross"}}}, "“cross” is nothing that happens to a zone", id="of lines"),
        pytest.param({"lines": {"a": {"points": [[0, 0], [0, 0]]}}}, "has both ends at the same point", id="no line"),
        pytest.param({"lines": {"a": {"points": [[0, 0], [0, 1]]}}, "zones": {"a": {}}}, "both called “a”", id="name"),
        pytest.param({"zones": {"a": {"between": "25:00-06:00"}}}, 'such as "22:00-06:00"', id="hours"),
        pytest.param({"zones": {"a": {"timezone": "Moon/Crater"}}}, "is no timezone", id="timezone"),
        pytest.param({"zones": {"a": {"timezone": "UTC"}}}, "timezone: is that of `between`", id="timezone of nothing"),
    ],
)
def test_check_tells_mistakes_in_rules_with_key_and_line(fleet_file: Callable[..., Path], rules: dict, words: str):
    file = fleet_file({"gate": {"url": str(ROOT / "samples/gate.mp4"), **rules}}, model={"backend": "stub"})
    command = [sys.executable, "-m", "pipeline", "check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert "cameras.gate" in done.stderr
    assert "Traceback" not in done.stderr


def test_command_tells_totals_of_kept_results_and_mistakes(tmp_path: Path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"cameras": {"gate": RULES, "moon": RULES}}))
    command = [sys.executable, "-m", "pipeline", "events"]
    alone = subprocess.run([*command, "x.jsonl"], capture_output=True, text=True, timeout=60, check=False)
    assert (alone.returncode, "results need RULES.yaml behind them" in alone.stderr) == (2, True)
    rules.write_text(json.dumps({"cameras": {"gate": {"zone": {}}}}))
    wrong = subprocess.run([*command, "x.jsonl", str(rules)], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 2
    assert "did you mean “zones”" in wrong.stderr
