"""What a page hears, keeps and sends, without a browser; snapshots; a page as a member of its fleet."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from msgspec.structs import replace
from websockets.sync.client import ClientConnection, connect

from pipeline import ConfigError, Fleet, PageError
from pipeline.config import load_fleet
from pipeline.config.page import Page
from pipeline.runscope import running
from pipeline.supervise.changes import compare
from pipeline.viewing import Unit
from pipeline.web.happened import MOST, Happened
from pipeline.web.history import KEPT_S, History
from pipeline.web.notices import SURE_S, Notices
from pipeline.web.records import of_result, of_unit
from pipeline.web.snapshot import snapshot
from pipeline.web.viewer import MOST_BYTES, MOST_IN_FLIGHT, MOST_STATES, Viewer
from pipeline.wire import CameraFigures, CameraState, Counts, FleetState, FrameResult, ProcessFigures
from tests.pages import NUMBERED, write_numbered
from tests.waiting import DEADLINE_S, wait_until
from tests.wire_messages import EVENT, FRAME

Record = tuple[dict[str, Any], bytes]
ZONES = {"all": {"when": "count > 2"}}
"""The whole picture, in which the stub detector always sees three objects."""


def records(message: bytes) -> list[Record]:
    found, at = [], 0
    while at < len(message):
        head_bytes, data_bytes = struct.unpack_from("<II", message, at)
        at += 8
        found.append((json.loads(message[at : at + head_bytes]), message[at + head_bytes :][:data_bytes]))
        at += head_bytes + data_bytes
    return found


def fleet_state(at_s: int, broken: dict[str, str] | None = None, restarts: int = 0) -> FleetState:
    figures = CameraFigures(
        state="live",
        frame_hz=25.0,
        detect_hz=12.5,
        age_p50_ms=20.0,
        age_p95_ms=50.0,
        detection_age_ms=60.0,
        kept_percent=100.0,
        objects=3,
        stride=2,
    )
    return FleetState(
        fleet="test",
        at_ns=at_s * 10**9,
        since_ns=0,
        window_s=5.0,
        p95_ms=150.0,
        kept=not broken,
        broken_by=broken or {},
        counts=Counts(decoded=0, detected=0, filled={}, lost={}),
        cameras={"gate": figures},
        processes=(ProcessFigures(name="worker", role="worker", condition="running", restarts=restarts),),
    )


def frame_result(**changes: Any) -> FrameResult:
    return replace(FRAME, **changes)


def camera_state(state: Any, detail: str = "") -> CameraState:
    return CameraState(fleet="test", camera_id="gate", session_id="", state=state, detail=detail, at_ns=1)


def test_record_of_a_key_picture_begins_with_its_extradata():
    unit = Unit(unit=7, key=True, codec="h264", extradata=b"abc", turns=1)
    ((head, data),) = records(of_unit("gate", unit, b"picture"))
    assert head == {"t": "unit", "c": "gate", "n": 7, "key": 1, "codec": "h264", "turns": 1, "mirrored": False, "x": 3}
    assert data == b"abcpicture"


def test_record_of_a_result_names_the_frame_as_the_camera_counts_it():
    result = frame_result(session=9, session_id="000000000009.100", frame_id=5)
    ((head, _),) = records(of_result(result))
    assert (head["s"], head["f"]) == (9, 105)


def test_notices_tell_a_change_of_state_once():
    notices = Notices()
    assert notices.hear(camera_state("connecting")) == []
    (live,) = notices.hear(camera_state("live"))
    assert (live.name, live.what, live.level) == ("gate", "is live", "good")
    assert notices.hear(camera_state("live")) == []
    (gone,) = notices.hear(camera_state("retrying", "nothing listens there"))
    assert (gone.level, gone.detail) == ("bad", "nothing listens there")


def test_notices_tell_of_a_promise_that_stays_broken_and_not_of_one_that_flickers():
    notices = Notices()
    for second in range(10):
        assert notices.hear(fleet_state(second, {"gate": "late"} if second % 2 else None)) == []
    told = [notices.hear(fleet_state(second, {"gate": "late"})) for second in range(10, 10 + 2 * SURE_S)]
    assert [notice.what for batch in told for notice in batch] == ["does not keep the promise"]
    told = [notices.hear(fleet_state(second)) for second in range(20, 20 + 2 * SURE_S)]
    assert [notice.what for batch in told for notice in batch] == ["keeps the promise again"]


def test_notices_tell_of_a_process_that_was_started_again():
    notices = Notices()
    assert notices.hear(fleet_state(1)) == []
    (notice,) = notices.hear(fleet_state(2, restarts=1))
    assert (notice.about, notice.name, notice.what) == ("process", "worker", "was started again")


def test_history_counts_what_was_lost_in_each_second_and_forgets():
    history = History()
    history.hear(frame_result(camera_id="gate", filled_because="stale", lost={"network": 2}))
    history.hear(frame_result(camera_id="gate", filled_because="stride", lost={}))
    for second in range(KEPT_S + 5):
        history.hear(fleet_state(second))
    points = history.of("gate")
    assert len(points) == KEPT_S and points[-1].drops == {}
    first = History()
    first.hear(frame_result(camera_id="gate", filled_because="stale", lost={"network": 2}))
    first.hear(fleet_state(1))
    assert first.of("gate")[0].drops == {"stale": 1, "network": 2} == first.newest_drops()["gate"]
    assert first.of("none") == []


def test_history_knows_the_restarts_of_the_processes_a_camera_depends_on():
    history = History()
    own, other = (
        ProcessFigures(name=f"camera {name}", role="camera", condition="running", restarts=restarts)
        for name, restarts in (("gate", 3), ("yard", 7))
    )
    state = fleet_state(1, restarts=2)
    history.hear(replace(state, processes=(*state.processes, own, other)))
    assert [point.restarts for point in history.of("gate")] == [2 + 3]


def sent_by(viewer: Viewer, feed: Callable[[Viewer], None]) -> list[bytes]:
    """The messages that a browser gets that acknowledges none of them."""
    messages: list[bytes] = []

    async def send(message: bytes) -> None:
        messages.append(message)

    async def run() -> None:
        feed(viewer)
        sending = asyncio.create_task(viewer.run(send))
        await asyncio.sleep(0.2)
        sending.cancel()

    asyncio.run(run())
    return messages


def test_viewer_that_reads_nothing_loses_groups_and_never_grows():
    viewer = Viewer(lambda one: {"gate"})
    picture = bytes(MOST_BYTES // 8)

    def feed(viewer: Viewer) -> None:
        for number in range(25):
            viewer.show("gate", b"%d:" % number + picture, key=number % 10 == 0)

    messages = sent_by(viewer, feed)
    assert sum(map(len, messages)) <= 2 * MOST_BYTES
    assert viewer.dropped == 2
    assert messages[0].startswith(b"20:"), "after a gap it begins with a key picture"


def test_viewer_sends_no_more_than_is_acknowledged():
    async def run() -> list[bytes]:
        viewer, messages = Viewer(lambda one: set()), []

        async def send(message: bytes) -> None:
            messages.append(message)

        sending = asyncio.create_task(viewer.run(send))
        for number in range(4 * MOST_IN_FLIGHT):
            viewer.tell(b"%d " % number)
            await asyncio.sleep(0.02)
        assert len(messages) == MOST_IN_FLIGHT
        viewer.acknowledge(1)
        async with asyncio.timeout(10):
            while len(messages) == MOST_IN_FLIGHT:
                await asyncio.sleep(0.01)
        sending.cancel()
        return messages

    assert b"".join(asyncio.run(run())) == b"".join(b"%d " % number for number in range(4 * MOST_IN_FLIGHT))


def test_viewer_that_never_reads_what_the_fleet_says_is_sent_away():
    async def run() -> None:
        viewer = Viewer(lambda one: set())
        for _ in range(MOST_STATES + 1):
            viewer.tell(b"state")
        async with asyncio.timeout(10):
            await viewer.run(lambda message: asyncio.sleep(0))

    asyncio.run(run())


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered(tmp_path_factory.mktemp("numbered") / "numbered.mp4")


@pytest.fixture(scope="module")
def file(numbered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    body = {
        "name": "shown",
        "model": {"backend": "stub", "options": {"a_ms": 2}},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "page": {"port": 0},
        "cameras": {
            "gate": {"url": str(numbered), "loop": True, "zones": ZONES},
            "gone": {"url": "rtsp://127.0.0.1:9/x"},
        },
    }
    file.write_text(json.dumps(body))
    return file


@pytest.fixture(scope="module")
def fleet(file: Path) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(file.parent / "state"))
        with Fleet(file) as running_fleet, running_fleet.results(timeout_s=30) as results:
            results.receive()
            yield running_fleet


def number_in(jpeg: bytes) -> int:
    row = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)[12]
    bits = row[12 : 12 * 24 : 24] > 128
    return int(sum(1 << at for at, bit in enumerate(bits) if bit))


def marked_in_blue(jpeg: bytes) -> bool:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
    return bool((np.ptp(picture, axis=2) > 60).any())


def taken(client: httpx.Client, path: str, within: Callable) -> httpx.Response:
    """A snapshot; tried again where the machine is so busy that its picture or its boxes do not come in time."""
    answers: list[httpx.Response] = []
    for _ in within(DEADLINE_S):
        answers.append(client.get(path))
        if answers[-1].status_code == 200:
            break
    return answers[-1]


def test_snapshot_has_the_boxes_of_its_own_frame(fleet: Fleet, within: Callable):
    with httpx.Client(base_url=fleet.page, timeout=30) as client:
        plain, marked = (taken(client, f"/cameras/gate.jpg{how}", within) for how in ("", "?boxes=1"))
        assert plain.headers["content-type"] == "image/jpeg"
        assert cv2.imdecode(np.frombuffer(plain.content, np.uint8), cv2.IMREAD_COLOR).shape == (360, 640, 3)
        assert not marked_in_blue(plain.content) and marked_in_blue(marked.content)
        assert 0 <= number_in(marked.content) < NUMBERED
        assert client.get("/cameras/none.jpg").status_code == 404
        gone = client.get("/cameras/gone.jpg")
        assert gone.status_code == 504 and "no picture" in gone.text


def test_snapshot_command_writes_a_picture_and_says_what_is_wrong(fleet: Fleet, tmp_path: Path, within: Callable):
    def camfleet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline", "snapshot", *arguments, "--fleet", "shown"]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    wait_until(within, lambda: camfleet("gate", tmp_path / "gate.jpg", "--boxes").returncode == 0)
    assert marked_in_blue((tmp_path / "gate.jpg").read_bytes())
    for arguments, words in [
        (("none", tmp_path / "a.jpg"), "there is gate, gone"),
        (("gate", tmp_path / "a.png"), "is a .jpg file"),
        (("gate", tmp_path / "no" / "a.jpg"), "cannot be written"),
    ]:
        refused = camfleet(*arguments)
        assert refused.returncode == 2 and words in refused.stderr


def test_snapshot_of_a_camera_that_shows_nothing_says_so(tmp_path: Path):
    with pytest.raises(PageError, match="has shown no picture"):
        snapshot(tmp_path, f"ipc://{tmp_path}/outlet", "gate")


def heard(connection: ClientConnection, until: Callable[[list[Record]], object]) -> list[Record]:
    found: list[Record] = []
    while not until(found):
        found += records(bytes(connection.recv(timeout=30)))
        connection.send('{"ack": 1}')
    return found


def of(kind: str, found: list[Record]) -> list[dict[str, Any]]:
    return [head for head, _ in found if head["t"] == kind]


def test_page_answers_what_machines_ask(fleet: Fleet, within: Callable):
    with httpx.Client(base_url=fleet.page, timeout=30) as client:
        wait_until(within, lambda: client.get("/readyz").status_code == 200)
        assert client.get("/livez").json()["ok"]
        assert 'camfleet_frames_decoded_total{camera="gate"}' in client.get("/metrics").text
        assert "page" in {one["process"]["role"] for one in client.get("/status").json()["processes"]}


def test_live_sends_states_at_once_and_pictures_of_what_is_watched_only(fleet: Fleet):
    url = fleet.page.replace("http", "ws") + "live"
    with connect(url, proxy=None) as connection:
        found = heard(connection, lambda found: len(of("fleet", found)) > 2)
        assert {"hello", "camera", "fleet"} <= {head["t"] for head, _ in found}
        assert not of("unit", found) and not of("result", found)
        connection.send('{"watch": {"gate": "units"}}')
        found = heard(
            connection, lambda found: len(of("unit", found)) > 30 and of("result", found) and of("shown", found)
        )
        units = of("unit", found)
        assert units[0].get("key") and [unit["n"] for unit in units] == list(range(units[0]["n"], units[-1]["n"] + 1))
        # Whoever comes in the midst of a group gets it from its beginning.
        with connect(url, proxy=None) as second:
            second.send('{"watch": {"gate": "units"}}')
            assert of("unit", heard(second, lambda found: len(of("unit", found)) > 3))[0].get("key")
        connection.send('{"watch": {"gate": "stills"}}')
        found = heard(connection, lambda found: len(of("still", found)) > 3)
        assert next(data for head, data in found if head["t"] == "still").startswith(b"\xff\xd8")


def test_live_tells_zones_and_events_to_whoever_comes_and_when_they_change(fleet: Fleet, file: Path):
    def told(kind: str, found: list[Record]) -> list[Any]:
        return [json.loads(data) for head, data in found if head["t"] == kind]

    with connect(fleet.page.replace("http", "ws") + "live", proxy=None) as connection:
        found = heard(
            connection, lambda found: told("rules", found) and any(told("events", found) + told("event", found))
        )
        (rules,) = told("rules", found)
        assert set(rules) == {"gate"} and rules["gate"]["zones"]["all"]["when"] == ["count > 2"]
        (event, *_) = [*told("events", found)[0], *told("event", found)]
        assert (event["camera_id"], event["rule"], event["happening"]) == ("gate", "all", "count")
        body = json.loads(file.read_text())
        body["cameras"]["gate"]["lines"] = {"door": {"points": [[0, 0], [1, 1]]}}
        file.write_text(json.dumps(body))
        fleet.reload()
        changed = heard(connection, lambda found: bool(told("rules", found)))
        assert set(told("rules", changed)[0]["gate"]["lines"]) == {"door"}
        # Who comes later is told what has happened before.
        with connect(fleet.page.replace("http", "ws") + "live", proxy=None) as second:
            late = heard(second, lambda found: bool(told("events", found)))
            assert event["event_id"] in {one["event_id"] for one in told("events", late)[0]}


def test_happened_keeps_the_newest_of_each_event_and_the_counts_of_lines():
    happened = Happened()
    for number in range(MOST + 5):
        happened.hear(replace(EVENT, event_id=str(number), direction="in", count=number))
    happened.hear(replace(EVENT, event_id="7", direction="in", count=400, revised=True))
    happened.hear(replace(EVENT, event_id="out", direction="out", count=2))
    assert len(happened.events) == MOST
    assert [event.event_id for event in happened.events[-2:]] == ["7", "out"]
    assert happened.counts == {EVENT.camera_id: {EVENT.rule: {"in": 400, "out": 2}}}
    happened.hear(replace(camera_state("removed"), camera_id=EVENT.camera_id))
    assert happened.counts == {}


def test_history_counts_the_events_that_began_in_each_second_by_rule():
    history = History()
    for phase, revised in [("begin", False), ("update", False), ("end", False), ("once", False), ("once", True)]:
        history.hear(replace(EVENT, camera_id="gate", phase=phase, revised=revised))
    history.hear(fleet_state(1))
    assert history.newest_begun() == {"gate": {EVENT.rule: 2}}
    history.hear(fleet_state(2))
    assert [point.begun for point in history.of("gate")] == [{EVENT.rule: 2}, {}]


def test_page_checks_what_is_drawn_and_writes_nothing(fleet: Fleet, file: Path):
    before = file.read_bytes()
    square = [[0.1, 0.1], [0.50004, 0.1], [0.5, 0.5]]
    shapes = [
        {"section": "zones", "name": "yard", "keys": {"polygon": square, "when": ["enter", "dwel > 3s"]}},
        {"section": "lines", "name": "door", "keys": {"points": square[:2], "when": ["in"]}},
    ]
    with httpx.Client(base_url=fleet.page, timeout=30) as client:
        answer = client.post("/api/rules/check", json=shapes)
        assert answer.status_code == 200
        assert answer.json()["yaml"].splitlines()[:3] == [
            "    lines:",
            "      door:",
            "        points: [[0.1, 0.1], [0.5, 0.1]]",
        ]
        (mistake,) = answer.json()["mistakes"]
        assert mistake["key"] == "when.1" and "found “dwel > 3s”; did you mean “dwell > 30s”?" in mistake["text"]
        for body, status in [
            (b"[" * 5000, 400),
            (b"{}", 400),
            (b'[{"section": "sinks"}]', 400),
            (b"[" * (1 << 17), 413),
        ]:
            refused = client.post("/api/rules/check", content=body)
            assert refused.status_code == status and refused.json()["error"], body[:20]
        assert client.get("/api/rules/check").status_code == 405
    assert file.read_bytes() == before


def test_live_shows_a_camera_that_joins_after_it_was_asked_for(fleet: Fleet, numbered: Path):
    with connect(fleet.page.replace("http", "ws") + "live", proxy=None) as connection:
        connection.send('{"watch": {"late": "units"}}')
        heard(connection, lambda found: len(of("fleet", found)) > 1)
        fleet.add_camera("late", url=str(numbered), loop=True)
        assert heard(connection, lambda found: len(of("unit", found)) > 3)
        fleet.remove_camera("late")
        heard(connection, lambda found: any(head["t"] == "camera" and b'"removed"' in data for head, data in found))


def test_page_that_dies_comes_back_at_its_port_and_costs_no_camera_anything(fleet: Fleet, within: Callable):
    def page() -> Any:
        return next(process for process in fleet.processes if process.role == "page")

    with fleet.results(["gate"], timeout_s=30) as results:
        before, restarts = results.receive(), page().restarts
        os.kill(page().pid, signal.SIGKILL)
        wait_until(within, lambda: page().restarts > restarts and page().condition == "running")
        wait_until(within, lambda: _answers(fleet.page))
        after = results.receive()
    assert after.session_id == before.session_id
    assert dict(results.statistics().missed) == {}


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_fleet_with_a_page_whose_libraries_are_missing_says_what_to_install(
    fleet_file: Callable[..., Path], recording: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.extras.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'camfleet\[page\]'"):
        Fleet(fleet_file({"gate": str(recording)}, page={"port": 0}))


def test_reload_leaves_the_page_and_says_so_only_where_the_file_has_another(
    fleet_file: Callable[..., Path], recording: Path
):
    plain = load_fleet(fleet_file({"gate": str(recording)}))
    asked = plain.model_copy(update={"page": Page(port=9000)})
    assert compare(asked, plain).nothing
    moved = compare(asked, plain.model_copy(update={"page": Page(port=9001)}))
    assert moved.kept == ("page",)


def test_run_with_page_prints_its_address_and_without_a_port_takes_the_files(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path
):
    file = fleet_file({"gate": {"url": str(recording), "loop": True}}, page={"port": 0})
    command = [sys.executable, "-m", "pipeline", "run", "--page", str(file), "-q", "--duration"]
    for seconds in ("2", "12", "30"):  # On a machine that does much else, two may be too few for the camera.
        done = subprocess.run([*command, seconds], check=False, capture_output=True, text=True, timeout=DEADLINE_S)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    assert "page: http://127.0.0.1:" in done.stderr
    assert running(runtime / "camfleet") == []
