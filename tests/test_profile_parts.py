"""The parts of a profile, one at a time: threads, cores by stage, milliseconds by step, samples, page and terminal."""

from __future__ import annotations

import io
import json
import os
import re
import threading
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from pipeline.bench.figures import CameraCost
from pipeline.bench.fleet import FrameOutcome
from pipeline.child import name_thread
from pipeline.errors import ProfileError
from pipeline.profile import look, sampler
from pipeline.profile.figures import Alone
from pipeline.profile.page import page, write_page
from pipeline.profile.priority import NICE, standing_back
from pipeline.profile.split import Rates, fit, split_camera, split_worker
from pipeline.profile.steps import MOST_OPENED, choose, mean_cost
from pipeline.profile.terminal import report
from pipeline.profile.threads import Spent, Use, between, parts_of, read
from pipeline.profile.way import Alone as WayAlone
from pipeline.profile.way import steps_of, ways, within_age
from pipeline.wire import CameraState
from tests.profiles import camera, process, profile

ALONE = Alone(boxes=5.0, update_ms=1.0, predict_ms=0.1, encode_ms=0.05, lay_ms=0.1)
STEPS = WayAlone(decode={"gate": 2.0}, resize={"gate": 0.5}, after=3.0, track=0.4, predict=0.1, encode=0.05)


def cost(camera_id: str = "gate", error: str = "", decode_ms: float = 2.0) -> CameraCost:
    return CameraCost(camera_id=camera_id, decode_ms=decode_ms, receive_ms=0.5, scale_ms=0.4, error=error)


def frame(age_ms: float = 50.0, detected: bool = True, because: str | None = None) -> FrameOutcome:
    stages = {"capture": 1.0, "decode": 4.0, "publish": 2.0} | (
        {"slot": 3.0, "detect": age_ms - 10} if detected else {}
    )
    stages["publish"] += age_ms - sum(stages.values())
    return FrameOutcome("gate", age_ms, detected, because, {}, stages)


def test_name_thread_is_what_the_kernel_says_and_what_its_children_inherit():
    names: list[str] = []

    def note() -> None:
        names.append(Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip())

    def named() -> None:
        name_thread("detector")
        note()
        child = threading.Thread(target=note)
        child.start()
        child.join()

    thread = threading.Thread(target=named)
    thread.start()
    thread.join()
    assert names == ["detector", "detector"]


def test_standing_back_leaves_one_thread_at_the_priority_that_there_was():
    nices: list[int] = []

    def nice_of_this_thread() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def stand_back() -> None:
        nices.append(nice_of_this_thread())
        with standing_back() as urgent:
            nices.extend([urgent.submit(nice_of_this_thread).result(), nice_of_this_thread()])

    thread = threading.Thread(target=stand_back)
    thread.start()
    thread.join()
    before, urgent, behind = nices
    assert (urgent, behind) == (before, NICE)


def test_parts_of_library_threads_that_a_lane_started_are_the_detectors():
    names = {7: "python", 8: "lane-0", 9: "lane-1", 12: "lane-1", 10: "detector", 11: "ZMQbg/IO/0", 13: "evidence"}
    assert parts_of(7, {**names, 14: "python"}) == {
        7: "main", 8: "lane", 9: "lane", 12: "detector", 10: "detector", 11: "sockets", 13: "evidence", 14: "other",
    }  # fmt: skip


def test_read_this_process_finds_what_it_spent():
    first = read([], os.getppid())
    assert set(first.processes) == {"supervisor"}
    assert sum(spent_s for _, spent_s in first.threads["supervisor"].values()) >= 0


def spent(at_s: float, worker_s: float, threads: dict[int, float], pid: int = 5) -> Spent:
    parts = {tid: ("main" if tid == pid else "lane", value) for tid, value in threads.items()}
    return Spent(at_s, {"worker": worker_s}, {"worker": parts}, {"worker": (pid,)}, 0, 0.0, 0.0)  # type: ignore[dict-item]


def test_between_counts_new_threads_from_their_start():
    (use,) = between(spent(0.0, 10.0, {5: 8.0}), spent(2.0, 12.0, {5: 9.0, 6: 1.0}))
    assert (use.cores, use.parts) == (1.0, {"main": 0.5, "lane": 0.5})


def test_between_process_that_was_started_anew_counts_from_its_start():
    (use,) = between(spent(0.0, 10.0, {5: 10.0}), spent(2.0, 1.0, {9: 1.0}, pid=9))
    assert use.cores == 0.5


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        pytest.param(1.0, {"decode": 0.4, "resize": 0.2, "slot": 0.4}, id="a rest"),
        pytest.param(0.3, {"decode": 0.2, "resize": 0.1, "slot": 0.0}, id="steps dearer alone than the thread was"),
        pytest.param(0.0, {"decode": 0.0, "resize": 0.0, "slot": 0.0}, id="nothing"),
    ],
)
def test_fit_parts_add_up_to_the_whole(whole: float, expected: dict[str, float]):
    assert fit({"decode": 0.4, "resize": 0.2}, whole, "slot") == pytest.approx(expected)


def test_split_camera_by_what_steps_take_alone():
    stages = split_camera(
        Use("camera gate", 0.2, {"main": 0.1, "evidence": 0.05, "sockets": 0.02}), Rates(25, 25, 12.5, 12.5), cost()
    )
    assert stages == pytest.approx({"receive": 0.0625, "decode": 0.0375, "resize": 0.005, "slot": 0.065})
    assert sum(stages.values()) == pytest.approx(0.17)


def test_split_camera_whose_steps_nobody_knows_is_told_as_one():
    stages = split_camera(Use("camera gate", 0.1, {"main": 0.1}), Rates(25, 25, 12.5, 12.5), None)
    assert stages == pytest.approx({"receive": 0.0, "decode": 0.1, "slot": 0.0})


@pytest.mark.parametrize(
    ("parts", "inference", "after"),
    [
        pytest.param({"main": 0.3, "lane": 0.05, "detector": 1.2}, 1.2, 0.044, id="a library with threads of its own"),
        pytest.param({"main": 0.3, "lane": 1.2, "detector": 0.1}, 1.294, 0.0, id="lanes that compute themselves"),
    ],
)
def test_split_worker_lanes(parts: dict, inference: float, after: float):
    stages = split_worker(Use("worker", 1.6, parts), Rates(150, 150, 60, 60), ALONE)
    assert (stages["inference"], stages["after"]) == pytest.approx((inference, after))
    assert (stages["track"], stages["slot"]) == pytest.approx((0.069, 0.006))
    assert sum(stages.values()) == pytest.approx(sum(parts.values()))


def test_rates_count_late_detections_and_pictures_left_out():
    frames = [frame(), frame(detected=False, because="overdue"), frame(detected=False, because="behind")]
    assert Rates.of(frames, 1.0) == Rates(3, 2, 2, 2)


@pytest.mark.parametrize("detected", [True, False], ids=["detected", "filled"])
def test_steps_of_a_frame_add_up_to_its_age(detected: bool):
    steps = steps_of(frame(60.0, detected, None if detected else "stride"), 1.5, STEPS)
    assert within_age(steps) == pytest.approx(60.0)
    assert steps["encode"] + steps["publish"] == pytest.approx(1.5)
    assert ("inference" in steps) is detected


def test_ways_typical_and_late_frames_add_up():
    frames = [(frame(float(age)), 1.0) for age in range(20, 120)]
    typical, late = ways(frames, STEPS)
    assert (typical.frames, typical.rank, late.rank) == ("detected", "p50", "p95")
    assert typical.age_ms == pytest.approx(69, abs=2) and late.age_ms == pytest.approx(114, abs=2)
    for way in (typical, late):
        assert within_age(way.steps) == pytest.approx(way.age_ms, abs=0.02)


def test_ways_of_one_frame_is_that_frame():
    assert [way.count for way in ways([(frame(), 1.0)], STEPS)] == [1, 1]


def test_ways_of_nothing_is_nothing():
    assert ways([], STEPS) == []


def state(camera_id: str, codec: str = "h264") -> CameraState:
    return CameraState(fleet="town", camera_id=camera_id, session_id="", state="live", codec=codec, frame_wh=(640, 360))


def test_choose_opens_a_few_cameras_of_every_kind(fleet_file):
    from pipeline.config import load_fleet

    names = [f"cam{number}" for number in range(20)]
    cameras = load_fleet(fleet_file(dict.fromkeys(names, "rtsp://cam/1") | {"own": "/dev/video0"})).cameras
    states = {name: state(name, "hevc" if name == "cam19" else "h264") for name in [*names, "own"]}
    chosen = choose(cameras, states)
    assert len(chosen) == MOST_OPENED and {"cam19", "cam0"} <= set(chosen)
    assert "own" not in chosen, "a device can be opened once"


def test_mean_cost_leaves_out_what_failed():
    mean = mean_cost([cost(), cost(error="refused", decode_ms=99.0), cost(decode_ms=4.0)])
    assert mean is not None and mean.decode_ms == 3.0
    assert mean_cost([cost(error="refused")]) is None


def test_sampler_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sampler.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProfileError, match=r"pip install 'camfleet\[profile\]'"):
        sampler.require_sampler()


@pytest.mark.parametrize(("content", "scope"), [("1\n", 1), ("0\n", 0), ("", 0)])
def test_ptrace_scope_is_read(tmp_path: Path, content: str, scope: int):
    (tmp_path / "scope").write_text(content)
    assert sampler.ptrace_scope(tmp_path / "scope") == scope
    assert sampler.ptrace_scope(tmp_path / "none") == 0


def test_sampler_forbidden_by_the_kernel_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampler, "ptrace_scope", lambda: 1)
    monkeypatch.setattr(sampler.os, "geteuid", lambda: 1000)
    with pytest.raises(ProfileError, match=r"sysctl kernel\.yama\.ptrace_scope=0"):
        sampler.require_sampler()


def test_summarize_counts_what_is_on_top_of_the_stack(tmp_path: Path):
    frames = [
        {"name": "run", "file": "/x/site-packages/pipeline/worker/loop.py", "line": 12},
        {"name": "encode", "file": "/usr/lib/python3.11/json.py"},
        {"name": "Condition.wait", "file": "/usr/lib/python3.11/threading.py", "line": 3},
        {"name": "thread (7): MainThread"},
    ]
    told = {
        "shared": {"frames": frames},
        "profiles": [{"samples": [[0, 1], [0], [0, 1], []], "weights": [1, 1, 1, 1]}, {"samples": [[1], [0, 2], [3]]}],
    }
    (tmp_path / "worker.json").write_text(json.dumps(told))
    found = sampler.summarize("worker", tmp_path / "worker.json")
    assert found.samples == 4
    assert [(hot.name, hot.where, hot.percent) for hot in found.hottest] == [
        ("encode", "json.py", 75.0),
        ("run", "pipeline/worker/loop.py:12", 25.0),
    ]


def test_summarize_rubbish_is_told(tmp_path: Path):
    (tmp_path / "x").write_text("{")
    assert "cannot be read" in sampler.summarize("worker", tmp_path / "x").error


def test_core_pieces_follow_each_other_and_fill_the_cores():
    pieces = look.core_pieces(profile())
    assert pieces[-1].key == "idle"
    for before, after in pairwise(pieces):
        assert after.start == pytest.approx(before.start + before.width)
    assert pieces[-1].start + pieces[-1].width == pytest.approx(1.0)


def test_core_pieces_beyond_the_cores_still_fit():
    pieces = look.core_pieces(profile(cores=1.0, idle_cores=0.0))
    assert pieces[-1].start + pieces[-1].width == pytest.approx(1.0)


def test_rows_many_cameras_are_shown_with_the_cheap_ones_together():
    cameras = [process(f"camera c{number}", 0.01 * number) for number in range(60)]
    found = look.rows(profile(processes=[process("worker", 1.2), *cameras]))
    assert len(found) == look.MOST_PROCESSES
    assert found[-1].name == "48 other cameras"
    assert sum(row.cores for row in found) == pytest.approx(1.2 + sum(one.cores for one in cameras))


@pytest.mark.parametrize(("whole", "last"), [(170.0, 150.0), (2.08, 2.0), (8.5, 8.0), (0.0, 0.0)])
def test_ticks_are_round(whole: float, last: float):
    assert look.ticks(whole)[-1] == pytest.approx(last)


def test_page_is_whole_and_fetches_nothing(tmp_path: Path):
    write_page(profile(fleet="<town>"), tmp_path / "profile.html")
    text = (tmp_path / "profile.html").read_text()
    assert "Where fleet &lt;town&gt; spends its time" in text and "<town>" not in text
    assert not re.search(r"(?:src|href)=|url\(|@import|https?://", text)
    for words in ("The detector is at its limit.", "A smaller input.", "promised 150", "it had ended", "loop.py:1"):
        assert words in text


def test_page_that_cannot_be_written_says_so(tmp_path: Path):
    with pytest.raises(ProfileError, match="cannot be written"):
        write_page(profile(), tmp_path)


@pytest.mark.parametrize("changes", [{}, {"other_cores": None, "idle_cores": None}, {"sampled": [], "ways": []}])
def test_page_shows_what_there_is(changes: dict):
    assert page(profile(**changes)).endswith("</html>")


@pytest.mark.parametrize(("count", "folded"), [(6, False), (60, True)])
def test_page_many_cameras_are_folded(count: int, folded: bool):
    text = page(profile(cameras=[camera(f"c{number}") for number in range(count)]))
    assert (f"<summary>{count} cameras</summary>" in text) is folded


@pytest.mark.parametrize("width", [60, 100, 200])
def test_terminal_fits(width: int):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor")
    console.print(report(profile()))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined]
    assert max(map(len, plain.splitlines())) <= width
    assert "where the cores go" in plain and "█" in plain and "▒" in plain


def test_profile_as_json_is_read_back():
    from pipeline.profile.figures import Profile

    told = profile()
    assert msgspec.json.decode(msgspec.json.encode(told), type=Profile) == told
