"""`scripts/chaos.py` and `scripts/soak.py`: a short run of each, and how they judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from signal import Signals

import psutil
import pytest
from msgspec import structs

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from endurance.books import Books  # noqa: E402
from endurance.faults import WEIGHTS, Fault, Injected, plan  # noqa: E402
from endurance.gauges import slope_per_h  # noqa: E402
from endurance.recovery import recoveries, unprovoked  # noqa: E402

from pipeline.wire import Counts, FrameResult  # noqa: E402
from tests.test_wire import frame  # noqa: E402


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments], capture_output=True, text=True, check=False, timeout=400
    )


@pytest.mark.whole_machine
@pytest.mark.timeout(420)
def test_a_little_chaos():
    """Faults of every signal on every kind of process; how long cameras took is not judged here."""
    run = script("chaos.py", "--seconds", "22", "--faults", "14", "--seed", "1", "--json")
    report = json.loads(run.stdout)
    assert report["faults"] == 14
    assert len(report["by signal"]) == 4
    assert set(report["by kind"]) >= {"camera", "worker", "publisher", "supervisor", "fork server"}
    assert set(report["does not hold"]) <= {"late"}, run.stderr + run.stdout


@pytest.mark.whole_machine
@pytest.mark.timeout(420)
def test_a_short_soak(tmp_path: Path):
    """What grows cannot be judged in half a minute; everything else can."""
    run = script("soak.py", "--duration", "30s", "--seed", "1", "--json", "--report", str(tmp_path / "soak.html"))
    report = json.loads(run.stdout)
    assert report["messages"] > 100
    assert not [name for name in report["does not hold"] if "grow" not in name], run.stderr + run.stdout
    page = (tmp_path / "soak.html").read_text("utf-8")
    assert page.count("<svg") == 4
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_same_seed_is_the_same_plan():
    faults = plan(5, 500, 60.0)
    assert faults == plan(5, 500, 60.0) != plan(6, 500, 60.0)
    assert {one.kind for one in faults} == set(WEIGHTS)
    assert [one.at_s for one in faults] == sorted(one.at_s for one in faults)


def injected(name: str, since_s: float, over_s: float) -> Injected:
    fault = Fault(0.0, name.partition(" ")[0], Signals.SIGKILL, 0.0, 0.0)
    return Injected(fault, name, psutil.Process(), since_s, over_s)


def every(*spans_s: tuple[float, float]) -> list[float]:
    """Frames ten times a second within these spans."""
    return [number / 10 for begin_s, end_s in spans_s for number in range(int(begin_s * 10), int(end_s * 10) + 1)]


def test_a_camera_is_back_with_its_first_frame_after_the_silence():
    arrivals_s = every((0, 10.2), (12.5, 30))
    [found] = recoveries("a", arrivals_s, [injected("camera a", 10.0, 10.0), injected("camera b", 11.0, 11.0)])
    assert (found.kind, found.faults, found.took_s, found.is_late) == ("camera", 1, 2.5, False)
    assert unprovoked(arrivals_s, [found]) == []


def test_a_camera_that_a_fault_does_not_silence_is_back_at_once():
    [found] = recoveries("a", every((0, 30)), [injected("worker", 10.0, 10.5)])
    assert (found.took_s, found.is_late) == (0.0, False)


def test_faults_before_a_camera_is_back_count_together_by_the_slowest():
    arrivals_s = every((0, 10), (17, 30))
    [found] = recoveries("a", arrivals_s, [injected("worker", 10.0, 10.0), injected("camera a", 12.0, 12.5)])
    assert (found.kind, found.faults, found.took_s, found.is_late) == ("worker", 2, 4.5, False)


def test_a_camera_that_was_late_is_late_whatever_comes_after():
    arrivals_s = every((0, 10), (30, 40))
    found = recoveries("a", arrivals_s, [injected("camera a", 10.0, 10.0), injected("camera a", 29.0, 29.0)])
    assert [(one.took_s, one.is_late) for one in found] == [(20.0, True), (1.0, False)]


def test_a_camera_that_never_comes_back_is_late():
    [found] = recoveries("a", every((0, 10)), [injected("publisher", 10.0, 10.0)])
    assert found.is_late


def test_a_silence_without_a_fault_is_told():
    assert unprovoked(every((0, 10), (12, 20)), []) == [(10.0, 2.0)]


def result(frame_id: int, lost: int = 0, decoded: int = 0, lost_in_all: int = 0) -> FrameResult:
    """A frame of one session, of which `lost` before it were told to be lost."""
    told = {"replaced": lost_in_all} if lost_in_all else {}
    counts = Counts(decoded=decoded or frame_id + 1, detected=frame_id + 1 - lost_in_all, filled={}, lost=told)
    return structs.replace(frame("a", frame_id), lost={"replaced": lost} if lost else {}, counts=counts)


def test_books_tell_what_was_neither_heard_nor_told():
    books = Books()
    for message in (result(0), result(1), result(4, lost=1, lost_in_all=1), result(5, lost_in_all=1)):
        books.hear(message)
    assert [count for _, _, count in books.missing] == [1]
    assert (books.messages, books.unbalanced) == (4, 0)
    books.hear(result(6, decoded=9, lost_in_all=1))
    assert books.unbalanced == 1


def test_a_slope_is_not_moved_by_a_step_of_a_few_looks():
    at_s = [float(number) for number in range(0, 3600, 60)]
    assert slope_per_h(at_s, [100 + second / 3600 for second in at_s]) == pytest.approx(1.0)
    assert slope_per_h(at_s, [100.0] * 55 + [180.0] * 5) == 0.0
