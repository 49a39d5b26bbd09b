"""Fleets that change while they run: real processes, the stub detector."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest
import yaml

from pipeline import CameraState, ConfigError, ControlError, DetectorError, Fleet, FrameResult, Subscriber
from pipeline.config import load_fleet
from pipeline.supervise.control import ControlServer, ask, find
from pipeline.supervise.watch import FileWatch, stamp_of
from tests.test_fleet import assert_books_are_right
from tests.waiting import wait_until

DEADLINE_S = 60.0


class Heard:
    """Everything a fleet says, kept by a thread."""

    def __init__(self, endpoint: str) -> None:
        self.results: list[FrameResult] = []
        self.states: list[CameraState] = []
        self._subscriber = Subscriber(endpoint, states=True, timeout_s=0.2, queue=0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def of(self, camera_id: str) -> list[FrameResult]:
        return [result for result in list(self.results) if result.camera_id == camera_id]

    def state(self, camera_id: str) -> CameraState | None:
        return next((state for state in reversed(self.states) if state.camera_id == camera_id), None)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._subscriber.close()

    def _run(self) -> None:
        from pipeline import SubscriberTimeout

        while not self._stop.is_set():
            try:
                message = self._subscriber.receive()
            except SubscriberTimeout:
                continue
            (self.results if isinstance(message, FrameResult) else self.states).append(message)


@pytest.fixture
def path(fleet_file: Callable[..., Path], recording: Path) -> Path:
    return fleet_file({name: {"url": str(recording), "loop": True} for name in ("a", "b")})


@pytest.fixture
def fleet(path: Path, runtime: Path) -> Iterator[Fleet]:
    with Fleet(path) as running:
        yield running


@pytest.fixture
def heard(fleet: Fleet) -> Iterator[Heard]:
    heard = Heard(fleet.endpoint)
    yield heard
    heard.close()


def change(path: Path, edit: Callable[[dict], None]) -> None:
    body = yaml.safe_load(path.read_text())
    edit(body)
    path.write_text(yaml.safe_dump(body))


def assert_untouched(results: list[FrameResult]) -> None:
    """One session, every frame, no id anew; a machine that stands still for seconds makes frames late."""
    assert len({result.session_id for result in results}) == 1
    assert {cause for result in results for cause in result.lost} <= {"late"}
    assert_books_are_right(results)


def test_reload_adds_removes_and_changes_cameras_and_leaves_the_others_alone(
    fleet: Fleet, heard: Heard, path: Path, recording: Path, within: Callable
):
    wait_until(within, lambda: heard.of("a") and heard.of("b"))
    pid = next(process.pid for process in fleet.processes if process.name == "camera a")

    def edit(body: dict) -> None:
        del body["cameras"]["b"]
        body["cameras"]["c"] = {"url": str(recording), "loop": True}

    change(path, edit)
    changes = fleet.reload()
    assert (changes.added, changes.removed, changes.restarted, changes.adjusted) == (("c",), ("b",), (), ())
    wait_until(within, lambda: heard.of("c"))
    wait_until(within, lambda: (state := heard.state("b")) and state.state == "removed")
    known = len(heard.of("a"))
    wait_until(within, lambda: len(heard.of("a")) > known + 25)
    assert_untouched(heard.of("a"))
    assert pid == next(process.pid for process in fleet.processes if process.name == "camera a")
    assert fleet.cameras == ["a", "c"]


def test_reload_of_how_a_camera_is_served_keeps_its_session(fleet: Fleet, heard: Heard, path: Path, within: Callable):
    wait_until(within, lambda: heard.of("a"))
    change(path, lambda body: body["cameras"]["a"].update(stride=5, track={"fill": "none"}))
    changes = fleet.reload()
    assert (changes.adjusted, changes.restarted) == (("a",), ())
    wait_until(within, lambda: heard.of("a")[-1].stride == 5)
    known = len(heard.of("a"))
    wait_until(within, lambda: "detected" in {result.origin for result in heard.of("a")[known + 15 :]})
    assert_untouched(heard.of("a"))
    assert {result.origin for result in heard.of("a")[known + 5 :]} == {"detected", "skipped"}


def test_reload_of_the_promise_reaches_the_worker(fleet: Fleet, path: Path):
    change(path, lambda body: body.update(slo={"p95_ms": 300}, publish={"bind": "tcp://127.0.0.1:9", "queue": 50}))
    changes = fleet.reload()
    assert (set(changes.settings), changes.kept) == ({"slo.p95_ms", "publish.queue"}, ("publish.bind",))
    assert "publish.bind cannot change while the fleet runs" in changes.words
    assert fleet.reload().nothing


def test_reload_of_a_file_with_mistakes_changes_nothing(fleet: Fleet, heard: Heard, path: Path, within: Callable):
    wait_until(within, lambda: heard.of("a"))
    change(path, lambda body: body["cameras"].update(c={"url": "rtsp://cam/1", "strid": 2}))
    with pytest.raises(ConfigError, match="strid"):
        fleet.reload()
    assert fleet.cameras == ["a", "b"]


def test_another_model_takes_over_between_two_frames(fleet: Fleet, heard: Heard, path: Path, within: Callable):
    wait_until(within, lambda: len(heard.of("a")) > 10)
    change(path, lambda body: body.update(model={"backend": "stub", "input_wh": [320, 192], "options": {"a_ms": 4}}))
    assert fleet.reload().model
    known = len(heard.of("a"))
    wait_until(within, lambda: "detected" in {result.origin for result in heard.of("a")[known + 40 :]})
    for name in ("a", "b"):
        assert_untouched(heard.of(name))


def test_a_model_that_cannot_be_loaded_leaves_the_one_at_work(
    fleet: Fleet, heard: Heard, path: Path, tmp_path: Path, within: Callable
):
    wait_until(within, lambda: heard.of("a"))
    (tmp_path / "broken.xml").write_text("<net/>")
    change(path, lambda body: body.update(model={"backend": "openvino", "path": "broken.xml"}))
    with pytest.raises(DetectorError, match="the model stays as it was"):
        fleet.reload()
    known = len(heard.of("a"))
    wait_until(within, lambda: len(heard.of("a")) > known + 15)
    assert_untouched(heard.of("a"))


OTHER = {"backend": "stub", "options": {"a_ms": 2, "boxes": 7}}


def boxes(heard: Heard) -> int:
    """Of the last frame that has any."""
    return next((len(result.tracks) for result in reversed(heard.of("a")) if result.tracks), 0)


def test_a_model_that_is_prepared_is_not_used_before_the_fleet_says_so(
    fleet: Fleet, heard: Heard, path: Path, within: Callable
):
    wait_until(within, lambda: len(heard.of("a")) > 10)
    change(path, lambda body: body.update(model=OTHER))
    fleet.prepare(load_fleet(path))
    fleet.prepare(load_fleet(path))
    known = len(heard.of("a"))
    wait_until(within, lambda: len(heard.of("a")) > known + 20)
    assert boxes(heard) == 3
    assert fleet.reload().model
    wait_until(within, lambda: boxes(heard) == 7)
    assert_untouched(heard.of("a"))


def test_a_model_that_is_prepared_and_not_wanted_any_more_is_let_go_of(
    fleet: Fleet, heard: Heard, path: Path, within: Callable
):
    wait_until(within, lambda: len(heard.of("a")) > 10)
    before = load_fleet(path)
    change(path, lambda body: body.update(model=OTHER))
    fleet.prepare(load_fleet(path))
    fleet.unprepare()
    assert not fleet.reload(before).model
    known = len(heard.of("a"))
    wait_until(within, lambda: len(heard.of("a")) > known + 10)
    assert boxes(heard) == 3
    assert fleet.reload().model
    wait_until(within, lambda: boxes(heard) == 7)


def test_cameras_come_and_go_while_a_model_is_prepared(fleet: Fleet, heard: Heard, path: Path, within: Callable):
    wait_until(within, lambda: heard.of("a"))
    url = load_fleet(path).cameras["a"].url.reveal()
    change(path, lambda body: body.update(model=OTHER))
    fleet.prepare(load_fleet(path))
    fleet.add_camera("new", url=url, loop=True)
    wait_until(within, lambda: heard.of("new"))
    assert len(heard.of("new")[-1].tracks) in (0, 3)
    fleet.remove_camera("b")
    assert fleet.reload().model
    wait_until(within, lambda: boxes(heard) == 7)


def test_who_waits_for_a_model_when_the_fleet_ends_is_told(path: Path, runtime: Path):
    errors: list[Exception] = []
    asked = threading.Event()

    def prepare(fleet: Fleet) -> None:
        asked.set()
        try:
            fleet.prepare(load_fleet(path))
        except ControlError as error:
            errors.append(error)

    with Fleet(path) as fleet:
        change(path, lambda body: body.update(model={"backend": "tests.plugin_stuck:make", "path": "-"}))
        thread = threading.Thread(target=prepare, args=(fleet,))
        thread.start()
        assert asked.wait(DEADLINE_S)
    thread.join(DEADLINE_S)
    assert [str(error) for error in errors] == ["the fleet has ended"]


def test_cameras_kept_paused_are_so_also_when_they_join_later(fleet: Fleet, heard: Heard, path: Path, within: Callable):
    wait_until(within, lambda: heard.of("a"))
    wait_until(within, lambda: heard.of("b"))
    fleet.keep_paused({"b", "new"})
    wait_until(within, lambda: (state := heard.state("b")) and state.state == "paused")
    fleet.add_camera("new", url=load_fleet(path).cameras["a"].url.reveal(), loop=True)
    wait_until(within, lambda: (state := heard.state("new")) and state.state == "paused")
    assert {"camera b", "camera new"}.isdisjoint({process.name for process in fleet.processes})
    fleet.keep_paused({"new"})
    known = len(heard.of("b"))
    wait_until(within, lambda: len(heard.of("b")) > known + 5)
    assert heard.of("new") == []
    fleet.keep_paused(())
    wait_until(within, lambda: heard.of("new"))


def test_paused_camera_has_no_process_says_so_and_comes_back(fleet: Fleet, heard: Heard, within: Callable):
    wait_until(within, lambda: heard.of("b"))
    fleet.pause_camera("b")
    wait_until(within, lambda: (state := heard.state("b")) and state.state == "paused")
    assert "camera b" not in [process.name for process in fleet.processes]
    said = len(heard.states)
    wait_until(within, lambda: sum(state.state == "paused" for state in heard.states[said:]) > 1)
    known = len(heard.of("b"))
    fleet.resume_camera("b")
    wait_until(within, lambda: len(heard.of("b")) > known + 10)
    wait_until(within, lambda: (state := heard.state("b")) and state.state == "live")
    assert_untouched(heard.of("a"))


def test_camera_that_the_fleet_does_not_have_is_told_with_a_hint(fleet: Fleet):
    with pytest.raises(ControlError, match="no camera “aa”; did you mean “a”"):
        fleet.pause_camera("aa")
    with pytest.raises(ConfigError, match="a camera “a” already"):
        fleet.add_camera("a", url="rtsp://cam/1")
    with pytest.raises(ConfigError, match="strid"):
        fleet.add_camera("c", url="rtsp://cam/1", strid=2)


def test_camera_given_up_by_its_supervisor_is_failed_for_subscribers(fleet: Fleet, heard: Heard, within: Callable):
    wait_until(within, lambda: heard.of("b"))
    supervisor = fleet._supervisor
    supervisor._members.get("camera b").child.budget.most = 0
    pid = next(process.pid for process in fleet.processes if process.name == "camera b")
    os.kill(pid, signal.SIGKILL)
    wait_until(within, lambda: (state := heard.state("b")) and state.state == "failed")
    assert "was ended by SIGKILL" in heard.state("b").detail


def test_a_late_subscriber_hears_why_a_camera_failed_and_that_a_recording_has_ended(
    fleet: Fleet, recording: Path, tmp_path: Path, within: Callable
):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no recording")
    fleet.add_camera("broken", url=str(broken))
    fleet.add_camera("short", url=str(recording), pace="fastest")
    done = {"camera broken", "camera short"}
    wait_until(within, lambda: done <= {one.name for one in fleet.processes if one.condition == "done"})
    late = Heard(fleet.endpoint)
    try:
        wait_until(within, lambda: late.state("broken") and late.state("short"))
        assert (late.state("broken").state, late.state("short").state) == ("failed", "ended")
        assert "no video FFmpeg can read" in late.state("broken").detail
    finally:
        late.close()


def test_many_comings_and_goings_leave_nothing_behind(fleet: Fleet, heard: Heard, recording: Path, within: Callable):
    me = psutil.Process()
    worker = psutil.Process(next(process.pid for process in fleet.processes if process.role == "worker"))
    directory = find()

    def come_and_go(name: str) -> None:
        fleet.add_camera(name, url=str(recording), loop=True)
        wait_until(within, lambda: heard.of(name))
        fleet.remove_camera(name)
        wait_until(within, lambda: (state := heard.state(name)) and state.state == "removed")

    def count() -> list[int]:
        # Not Path.glob: it cannot go on where a folder vanishes while it looks.
        files = sum(len(folders) + len(names) for _, folders, names in os.walk(directory))
        return [me.num_fds(), worker.num_fds(), len(me.children(recursive=True)), files]

    wait_until(within, lambda: heard.of("a") and heard.of("b"))
    come_and_go("first")
    wait_until(within, lambda: not fleet._supervisor._members._leaving)
    before = count()
    for number in range(8):
        come_and_go(f"c{number}")
    wait_until(within, lambda: all(now <= then for now, then in zip(count(), before, strict=True)))


def test_control_socket_is_its_owners_only_and_answers_in_json(fleet: Fleet):
    directory = find("test")
    assert (directory / "control").stat().st_mode & 0o077 == 0
    assert ask({"command": "status"})["cameras"] == ["a", "b"]
    with pytest.raises(ControlError, match="unknown command “dance”; there is status"):
        ask({"command": "dance"})
    with pytest.raises(ControlError, match="no fleet “other” runs here; there is test"):
        ask({"command": "status"}, "other")


def test_a_fleet_that_does_not_answer_is_told_and_not_waited_for(path: Path, runtime: Path, within: Callable):
    run = subprocess.Popen([sys.executable, "-m", "pipeline", "run", str(path), "-q"])
    try:
        wait_until(within, lambda: asked({"command": "status"}))
        run.send_signal(signal.SIGSTOP)
        with pytest.raises(ControlError, match="does not answer: timed out"):
            ask({"command": "status"}, timeout_s=0.5)
    finally:
        run.send_signal(signal.SIGCONT)
        run.terminate()
        run.wait(DEADLINE_S)


def test_a_request_at_which_the_fleet_fails_is_answered(runtime: Path):
    directory = runtime / "camfleet" / f"{os.getpid()}-0"
    directory.mkdir(parents=True)
    server = ControlServer(directory, "town", lambda request: 1 // 0)
    try:
        with (
            patch("pipeline.supervise.control.find", return_value=directory),
            pytest.raises(ControlError, match="the fleet failed at this; its log says how"),
        ):
            ask({"command": "status"})
    finally:
        server.close()


@pytest.mark.parametrize("line", [b"[]\n", b"1\n", b"{}\n", b'{"ok": false}\n'])
def test_an_answer_of_something_else_is_told(tmp_path: Path, line: bytes):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "control"))
        listening.listen()

        def answer() -> None:
            with listening.accept()[0] as link:
                link.recv(4096)
                link.sendall(line)

        threading.Thread(target=answer, daemon=True).start()
        with (
            patch("pipeline.supervise.control.find", return_value=tmp_path),
            pytest.raises(ControlError, match="is no fleet of this version"),
        ):
            ask({"command": "status"})


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("weight={", "--set weight={: the value is no YAML; put it in quotes"),
        ("weight=2026-99-99", "camera “c”: weight found “2026-99-99”, expected a number above 0 to 100"),
        ("weight=[1]", "camera “c”: weight found a list or mapping, expected a number above 0 to 100"),
        ("read_timeout_s=5s", "found “5s”, expected a number above 0 to 300; the number alone, which is in seconds"),
    ],
)
def test_settings_that_are_no_yaml_or_no_value_are_told(fleet: Fleet, setting: str, words: str):
    told = camfleet("camera", "add", "c", "--url", "rtsp://cam.example/1", "--set", setting)
    assert told.returncode == 2
    assert words in told.stderr
    assert len(told.stderr.splitlines()) == 1


def asked(request: dict) -> bool:
    try:
        return bool(ask(request))
    except ControlError:
        return False


@pytest.mark.parametrize(
    "line", [b"\n", b"{\n", b"[]\n", b'{"command": 1}\n', b'{"command": "camera-add"}\n', b"[" * 9999]
)
def test_control_socket_refuses_what_it_does_not_understand(fleet: Fleet, line: bytes):
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(find() / "control"))
        link.sendall(line)
        link.shutdown(socket.SHUT_WR)
        answer = json.loads(link.makefile("rb").readline())
    assert (answer["ok"], bool(answer["error"])) == (False, True)


def camfleet(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def test_commands_ask_and_change_a_fleet_that_runs(fleet: Fleet, heard: Heard, recording: Path, within: Callable):
    wait_until(within, lambda: heard.of("a") and heard.of("b"))

    def both_see() -> bool:
        told = json.loads(camfleet("status", "--json").stdout)
        states = {one["camera_id"]: one["state"] for one in told["now"]["cameras"]}
        assert states.keys() == {"a", "b"}
        return set(states.values()) <= {"live", "degraded"}

    wait_until(within, both_see)
    added = camfleet("camera", "add", "c", "--url", str(recording), "--set", "loop=true", "--set", "track.fill=none")
    assert (added.stdout, added.returncode) == ("added c\n", 0), added.stderr
    assert load_fleet is not None
    wait_until(within, lambda: heard.of("c"))
    assert camfleet("camera", "remove", "c").stdout == "removed c\n"
    refused = camfleet("camera", "remove", "x")
    assert (refused.returncode, refused.stderr) == (2, "camfleet: the fleet has no camera “x”; there is a, b\n")
    assert camfleet("reload").stdout == "nothing changed\n"


def test_commands_without_a_fleet_say_so(runtime: Path):
    for arguments in (("status",), ("reload",), ("camera", "pause", "a")):
        told = camfleet(*arguments)
        assert (told.returncode, told.stderr[:29]) == (2, "camfleet: no fleet of this us")


@pytest.mark.parametrize("how", ["hangup", "watch"])
def test_run_applies_its_changed_file(path: Path, runtime: Path, recording: Path, within: Callable, how: str):
    command = [sys.executable, "-m", "pipeline", "run", str(path), "--quiet", *(["--watch"] if how == "watch" else [])]
    said = path.with_suffix(".log")
    with said.open("wb") as log, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log) as process:
        try:
            wait_until(within, lambda: list(runtime.glob("camfleet/*/control")))
            wait_until(within, lambda: asked({"command": "status"}))
            change(path, lambda body: body["cameras"].update(c={"url": str(recording), "loop": True}))
            if how == "hangup":
                process.send_signal(signal.SIGHUP)
            wait_until(within, lambda: ask({"command": "status"})["cameras"] == ["a", "b", "c"])
            wait_until(within, lambda: "added c" in said.read_text())
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE_S)
            print(said.read_text())
    assert "Traceback" not in said.read_text()


def test_fleet_whose_recordings_have_ended_takes_another_camera(
    path: Path, runtime: Path, recording: Path, within: Callable
):
    change(path, lambda body: body.update(cameras={"a": {"url": str(recording), "pace": "fastest"}}))
    with Fleet(path) as fleet:
        assert fleet.wait(DEADLINE_S)
        assert fleet.add_camera("b", url=str(recording), loop=True).added == ("b",)
        assert not fleet.wait(0.5)
    with pytest.raises(ControlError, match="the fleet has ended"):
        fleet.remove_camera("b")


def test_file_that_changed_after_it_was_read_and_before_it_is_watched_has_changed(path: Path, within: Callable):
    as_read, told = stamp_of(path), []
    change(path, lambda body: body["cameras"].pop("b"))
    watching = FileWatch(path, lambda: told.append(True), as_read)
    try:
        wait_until(within, lambda: told)
    finally:
        watching.close()
    assert told == [True]
