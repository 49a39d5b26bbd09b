"""Cameras of a fleet over several machines, looked at from the machine of its front: real shards, in threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from websockets.sync.client import ClientConnection, connect

from pipeline.cli.snapshot import snapshot
from pipeline.clock import NS_PER_S
from pipeline.config import load_fleet
from pipeline.errors import ControlError, PageError
from pipeline.replay.options import Playback, ReplayOptions
from pipeline.replay.process import serve_recordings
from pipeline.supervise import control
from pipeline.supervise.requests import Requests
from pipeline.web import snapshot as taking
from tests.test_front import NAMES, running
from tests.test_page import heard, of
from tests.waiting import wait_until


def watch(tab: ClientConnection, camera_id: str, mode: str) -> None:
    tab.send(f'{{"watch": {{"{camera_id}": "{mode}"}}}}')


def test_page_of_the_front_shows_a_camera_of_another_machine_and_goes_on_when_it_moves(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable
):
    cameras = {name: {"url": str(recording), "loop": True} for name in NAMES}
    with running(load_fleet(fleet_file(cameras, page={"port": 0})), "a", "b") as it:
        it.more_of(NAMES, within)
        moving = min(it.on["a"])
        with connect(it.front.page.replace("http", "ws") + "live", proxy=None) as tab:
            found = heard(tab, lambda found: len(of("fleet", found)) > 2)
            assert not of("unit", found)
            assert not of("still", found)
            watch(tab, moving, "units")
            assert of("unit", heard(tab, lambda found: len(of("unit", found)) > 30))[0].get("key")
            Requests(it.front).drain("a")
            wait_until(within, lambda: it.on == {"b": set(NAMES)})
            watch(tab, moving, "stills")
            found = heard(tab, lambda found: len(of("still", found)) > 3)
            assert next(data for head, data in found if head["t"] == "still").startswith(b"\xff\xd8")


def test_snapshot_that_does_not_come_says_on_which_machine_its_camera_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def nothing(*asked: object, **how: object) -> bytes:
        raise PageError("camera gate has shown no picture for 3 s")

    shards = [{"machine": "abc 10.0.0.1", "cameras": ["yard"]}, {"machine": "def 10.0.0.2", "cameras": ["gate"]}]
    status = {"cameras": ["gate", "yard"], "inside": "", "shards": shards}
    monkeypatch.setattr(control, "ask", lambda *asked, **how: status)
    monkeypatch.setattr(control, "find", lambda fleet: tmp_path)
    monkeypatch.setattr(taking, "snapshot", nothing)
    with pytest.raises(PageError, match=r"no picture for 3 s; it is on def 10\.0\.0\.2$"):
        snapshot("gate", tmp_path / "gate.jpg")


def test_clip_of_a_camera_of_another_machine_is_written_here(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable, tmp_path: Path
):
    with serve_recordings(ReplayOptions((recording,), playback=Playback())) as server:
        url = server.urls[0]
        fleet = load_fleet(fleet_file({"gate": {"url": url, "evidence_url": url}}))
        with running(fleet, "a") as it:
            wait_until(within, lambda: any(one.evidence and one.evidence.seconds > 2.0 for one in it.books.states))
            requests, now_ns = Requests(it.front), time.time_ns()
            clip = requests.clip("gate", tmp_path / "clip.mp4", now_ns - 30 * NS_PER_S, now_ns)
            assert clip.path == str(tmp_path / "clip.mp4")
            with av.open(clip.path) as container:
                assert len(list(container.decode(video=0))) == clip.frames >= 5
            with pytest.raises(ControlError, match="nothing of that time is kept"):
                requests.clip("gate", tmp_path / "old.mp4", now_ns - 3600 * NS_PER_S, now_ns - 3599 * NS_PER_S)
            assert not (tmp_path / "old.mp4").exists()
