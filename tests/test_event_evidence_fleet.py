"""Evidence of a running fleet's events: the moments that were detected, and what is left of a killed process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import pytest

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from pipeline import Evidence, Fleet, Subscriber
from pipeline.evidence.finish import CUT_OFF
from pipeline.evidence.record import Record, read_record
from pipeline.replay.options import Playback, ReplayOptions
from pipeline.replay.process import ServedRecordings, serve_recordings
from tests.plugin_numbered import PERIOD, number_in, number_of, write
from tests.test_evidence import LATER
from tests.waiting import DEADLINE_S, wait_until

LASTING = {"all": {"when": "dwell > 0.2s"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRecordings]:
    """The same pictures, small and large, the large with B-frames."""
    folder = tmp_path_factory.mktemp("numbered")
    files = write(folder / "sub.mp4", (320, 180)), write(folder / "main.mp4", (640, 360), bf=2)
    with serve_recordings(ReplayOptions(files, playback=Playback(offset_s=0))) as served:
        yield served


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def fleet_file(folder: Path, cameras: dict[str, object], **evidence: object) -> Path:
    content = {
        "model": {"path": "-", "backend": "tests.plugin_numbered:make"},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "slo": {"p95_ms": 5000},
        "defaults": {"stride": 1},
        "evidence": {"folder": "kept", "before_s": 1, "after_s": 1, **evidence},
        "cameras": cameras,
    }
    file = folder / "fleet.yaml"
    file.write_text(json.dumps(content))
    return file


def first_kept(fleet: Fleet, cameras: set[str]) -> dict[str, Evidence]:
    """The first word on what is kept of each camera's events."""
    found: dict[str, Evidence] = {}
    with Subscriber(fleet.endpoint, events="all", timeout_s=DEADLINE_S) as messages:
        for message in messages:
            if isinstance(message, Evidence):
                found.setdefault(message.camera_id, message)
            if set(found) == cameras:
                return found
    raise AssertionError


def read(kept: Evidence) -> Record:
    record = read_record(Path(kept.record))
    assert record is not None
    return record


def apart(record: Record, jpeg: Path, later: float = 0.0) -> float:
    """By how many pictures the snapshot differs from the frame whose box is told."""
    assert record.snapshot is not None
    shown = number_in(cv2.imread(str(jpeg), cv2.IMREAD_GRAYSCALE))
    return abs((number_of(record.snapshot.score) - shown - later + PERIOD) % (2 * PERIOD) - PERIOD)


def pictures(clip: str) -> int:
    with av.open(clip) as container:
        return sum(1 for _ in container.decode(video=0))


def is_whole(record: Record) -> bool:
    """Whether a clip has all of its time; it ends without what a machine that pauses lets come too late."""
    return record.clip is not None and abs(record.clip.to_ns - record.event.at_ns - 2e9) < 0.1e9


def test_evidence_shows_the_very_frame_and_of_the_second_stream_the_moment(server: ServedRecordings, tmp_path: Path):
    sub, main = server.urls
    cameras = {"yard": {"url": sub, "zones": LASTING}, "gate": {"url": sub, "evidence_url": main, "zones": LASTING}}
    for turn in range(3):
        folder = tmp_path / str(turn)
        folder.mkdir()
        with Fleet(fleet_file(folder, cameras, longest_s=3)) as fleet:
            found = first_kept(fleet, set(cameras))
        yard, gate = read(found["yard"]), read(found["gate"])
        if is_whole(yard) and is_whole(gate):
            break
    assert apart(yard, Path(found["yard"].snapshot)) < 0.5
    assert yard.snapshot is not None and yard.snapshot.wh == (320, 180)
    assert gate.snapshot is not None and gate.snapshot.wh == (640, 360)
    assert gate.snapshot.xyxy == (20, 20, 200, 200)
    assert gate.snapshot.error_ms == 20.0, gate
    assert apart(gate, Path(found["gate"].snapshot), LATER) <= 1.0
    for kept, record in ((found["yard"], yard), (found["gate"], gate)):
        assert record.clip is not None and record.detail == kept.detail == ""
        assert pictures(kept.clip) == record.clip.frames > 20
        assert is_whole(record)
        assert {file.suffix for file in Path(kept.clip).parent.iterdir()} == {".mp4", ".jpg", ".json"}


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_evidence_that_is_killed_while_it_writes_is_kept_up_to_there(
    server: ServedRecordings, kind: str, tmp_path: Path, within: Callable
):
    cameras = {"yard": {"url": server.urls[0], "zones": LASTING}}
    with Fleet(fleet_file(tmp_path, cameras, format=kind)) as fleet:
        half = f"yard/*/.*.{kind}"
        wait_until(within, lambda: any(file.stat().st_size > 20_000 for file in (tmp_path / "kept").glob(half)))
        assert not list((tmp_path / "kept").glob(f"yard/*/[!.]*.{kind}"))
        (process,) = [one for one in fleet.processes if one.role == "evidence"]
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        kept = first_kept(fleet, {"yard"})["yard"]
    record = read(kept)
    assert record.detail == CUT_OFF and record.clip is not None
    assert pictures(kept.clip) == record.clip.frames > 20
    assert not list((tmp_path / "kept").glob("*/*/.*"))
