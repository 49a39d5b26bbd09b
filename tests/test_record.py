"""The recorder against replayed cameras: what it writes, and what is left when it or its camera goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest

from pipeline.errors import ConfigError, ReplayError, SourceError
from pipeline.record import Recorded, record, recorded_camera
from pipeline.record.arrivals import ARRIVAL, MAGIC, Arrivals, beside
from pipeline.record.container import MAX_DRIFT_MS, FileTimes
from pipeline.replay import Fault, ReplayOptions, serve_recordings
from pipeline.replay.recording import Recording
from pipeline.rtsp.rtp import CLOCK_HZ
from tests.camera_media import Clip

DEADLINE_S = 60.0
REPOSITORY = Path(__file__).parents[1]
MS_NS = 1_000_000

Within = Callable[[float], Iterator[None]]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seconds at 25 fps with a key frame every 0.4 s, in two sizes, and one with B-frames."""
    folder = tmp_path_factory.mktemp("clips")
    reordered = (("preset", "fast"), ("g", "10"), ("bf", "2"))
    return {
        "small": Clip().write(folder / "small.mp4"),
        "large": Clip(wh=(256, 192)).write(folder / "large.mp4"),
        "reordered": Clip(options=reordered).write(folder / "reordered.mp4"),
    }


def recorded_for(url: str, out: Path, seconds: float) -> Recorded:
    return record(recorded_camera(url), out, duration_s=seconds, stop=threading.Event())


def presented_ms(path: Path) -> list[int]:
    """Presentation times of the pictures in a recording, decoded, so that it must be whole."""
    with av.open(str(path)) as container:
        return [round(frame.time * 1000) for frame in container.decode(video=0) if frame.time is not None]


def arrivals(path: Path) -> np.ndarray:
    content = beside(path).read_bytes()[len(MAGIC) :] if beside(path).is_file() else b""
    return np.frombuffer(content, ARRIVAL, count=len(content) // ARRIVAL.itemsize)


def wait_for_arrivals(within: Within, path: Path, count: int) -> None:
    for _ in within(DEADLINE_S):
        if len(arrivals(path)) >= count:
            break


@pytest.mark.parametrize("name", ["small", "reordered"])
def test_recorder_keeps_every_picture_and_its_distance(
    clips: dict[str, Path], tmp_path: Path, within: Within, name: str
) -> None:
    out = tmp_path / "out.mkv"
    with serve_recordings(ReplayOptions((clips[name],))) as server, recorder(server.urls[0], out) as results:
        wait_for_arrivals(within, out, 1)

    shown, recorded = presented_ms(out), results[0]
    apart_ms = [later - earlier for earlier, later in pairwise(shown)]
    assert set(apart_ms[:-2]) == {40}
    assert set(apart_ms) <= {40, 80, 120}, "at the end, those between two pictures have not come yet"
    assert recorded.files == (out,) and recorded.sessions == 1
    assert recorded.pictures - len(shown) <= 2, "only pictures whose reference came too late may be missing"
    assert set(arrivals(out)["pts_ms"]) <= set(shown) | {shown[-1] + 40, shown[-1] + 80}


def test_recorder_ends_after_its_time(clips: dict[str, Path], tmp_path: Path) -> None:
    with serve_recordings(ReplayOptions((clips["small"],))) as server:
        assert recorded_for(server.urls[0], tmp_path / "out.mkv", 1.0).seconds >= 1.0


@contextmanager
def recorder(url: str, out: Path) -> Iterator[list[Recorded]]:
    """A recorder in a thread; what it wrote is in the list once the `with` has ended."""
    stop = threading.Event()
    results: list[Recorded] = []
    thread = threading.Thread(
        target=lambda: results.append(record(recorded_camera(url), out, duration_s=None, stop=stop))
    )
    thread.start()
    try:
        yield results
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_recorder_keeps_the_pause_that_the_camera_made(clips: dict[str, Path], tmp_path: Path, within: Within) -> None:
    def is_kept(out: Path) -> bool:
        with serve_recordings(ReplayOptions((clips["small"],))) as server, recorder(server.urls[0], out):
            wait_for_arrivals(within, out, 5)
            server.inject("small", Fault("key_frame_pause", 0.5, pause_ms=400))
            wait_for_arrivals(within, out, 60)

        units = list(Recording(out).access_units())
        late_ms = [((unit.due or 0) - unit.dts) * 1000 // CLOCK_HZ for unit in units]
        worst = int(np.argmax(late_ms))
        assert all((later.due or 0) >= (earlier.due or 0) for earlier, later in pairwise(units))
        return late_ms[worst] > 300 and units[worst].is_key

    # Where the machine pauses for longer, another picture comes later still.
    assert any(is_kept(tmp_path / f"{turn}.mkv") for turn in range(5))


def test_camera_that_comes_back_goes_on_in_the_same_file_with_a_gap(
    clips: dict[str, Path], tmp_path: Path, within: Within
) -> None:
    out = tmp_path / "out.mkv"
    with serve_recordings(ReplayOptions((clips["small"],))) as server, recorder(server.urls[0], out) as results:
        wait_for_arrivals(within, out, 5)
        server.inject("small", Fault("disconnect"))
        wait_for_arrivals(within, out, 50)

    shown = presented_ms(out)
    assert results[0].sessions == 2 and results[0].files == (out,)
    assert sorted(shown) == shown and max(later - earlier for earlier, later in pairwise(shown)) > 40


def test_camera_that_comes_back_otherwise_goes_on_in_another_file(
    clips: dict[str, Path], tmp_path: Path, within: Within
) -> None:
    served, out, second = tmp_path / "served.mp4", tmp_path / "out.mkv", tmp_path / "out-2.mkv"
    served.write_bytes(clips["small"].read_bytes())
    with ExitStack() as recording:
        with serve_recordings(ReplayOptions((served,))) as server:
            results = recording.enter_context(recorder(server.urls[0], out))
            wait_for_arrivals(within, out, 1)
        served.write_bytes(clips["large"].read_bytes())
        with serve_recordings(ReplayOptions((served,), port=urlsplit(server.urls[0]).port or 0)):
            wait_for_arrivals(within, second, 1)
            recording.close()

    assert results[0].files == (out, second)
    assert [Recording(path).size_wh for path in (out, second)] == [(128, 96), (256, 192)]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_recording_can_be_played_however_the_recorder_ends(
    clips: dict[str, Path], tmp_path: Path, within: Within, ending: signal.Signals
) -> None:
    out = tmp_path / "out.mkv"
    with serve_recordings(ReplayOptions((clips["small"],))) as server:
        script = "from pipeline.cli import app; from pipeline.cli.record import record; app.command()(record); app()"
        process = subprocess.Popen(
            [sys.executable, "-c", script, "record", server.urls[0], str(out)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        wait_for_arrivals(within, out, 31)
        process.send_signal(ending)
        said, _ = process.communicate(timeout=DEADLINE_S)

    status = -9 if ending is signal.SIGKILL else 130
    assert process.returncode == status
    assert ("1 connection" in said) == (status != -9)
    shown = presented_ms(out)
    assert len(shown) > 20 and {later - earlier for earlier, later in pairwise(shown)} == {40}
    assert len(list(Recording(out).access_units())) == len(shown), "it can be replayed, too"


def test_recorder_refuses_a_camera_that_is_not_there_and_hides_its_password(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing listens there") as refused:
        recorded_for("rtsp://bob:hunter2@127.0.0.1:9/gate", tmp_path / "out.mkv", 1.0)

    assert "hunter2" not in str(refused.value)
    assert not (tmp_path / "out.mkv").exists()


def test_recorder_does_not_overwrite(tmp_path: Path) -> None:
    (tmp_path / "out.mkv").write_bytes(b"precious")

    with pytest.raises(ReplayError, match="exists already"):
        recorded_for("rtsp://127.0.0.1:9/gate", tmp_path / "out.mkv", 1.0)

    assert (tmp_path / "out.mkv").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("gate.mp4", "is no camera", id="a file"),
        pytest.param("ftp://host/x", "not supported", id="another protocol"),
        pytest.param("rtsp://bob:${NO_SUCH_VARIABLE}@host/x", "NO_SUCH_VARIABLE is not set", id="unset variable"),
    ],
)
def test_recorded_camera_must_be_one(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        recorded_camera(url)


def test_recorded_camera_takes_its_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_PASSWORD", "hunter2")

    camera = recorded_camera("rtsp://bob:${GATE_PASSWORD}@host/x")

    assert camera.url.reveal() == "rtsp://bob:hunter2@host/x" and "hunter2" not in repr(camera)


@pytest.mark.parametrize(
    ("camera_ms", "read_ms", "expected"),
    [
        pytest.param([500, 540, 580], [0, 40, 80], [0, 40, 80], id="begins at zero"),
        pytest.param([0, 40, 40, 30], [0, 40, 80, 120], [0, 40, 41, 42], id="never back"),
        pytest.param([0, 40, 9_000_000, 9_000_040], [0, 40, 80, 120], [0, 40, 80, 120], id="clock jumps forward"),
        pytest.param([9_000_000, 9_000_040, 0, 40], [0, 40, 80, 120], [0, 40, 80, 120], id="clock jumps back"),
        pytest.param([0, 40, 40 + MAX_DRIFT_MS], [0, 40, 80], [0, 40, 40 + MAX_DRIFT_MS], id="a little ahead is kept"),
    ],
)
def test_file_times_follow_the_camera_unless_its_clock_jumps(
    camera_ms: list[int], read_ms: list[int], expected: list[int]
) -> None:
    times = FileTimes()

    placed = [times.place(at, at, read * MS_NS)[1] for at, read in zip(camera_ms, read_ms, strict=True)]

    assert placed == expected


def test_file_times_of_another_session_leave_a_gap_as_long_as_the_absence() -> None:
    times = FileTimes()
    times.place(0, 0, 0)
    times.begin_session()

    assert times.place(77, 77, 3_000 * MS_NS) == (3_000, 3_000)


@pytest.mark.parametrize("tail", [b"", b"\x01\x02\x03"], ids=["whole", "cut short"])
def test_arrivals_are_delays_above_the_shortest(tmp_path: Path, tail: bytes) -> None:
    records = np.array([(0, 5_000 * MS_NS), (40, 5_100 * MS_NS), (80, 5_080 * MS_NS)], ARRIVAL)
    beside(tmp_path / "x.mkv").write_bytes(MAGIC + records.tobytes() + tail)

    loaded = Arrivals.load(tmp_path / "x.mkv")

    assert loaded is not None
    assert [loaded.delay_ms(pts) for pts in (0, 40, 80, 120)] == [0.0, 60.0, 0.0, None]


def test_arrivals_of_another_format_are_refused(tmp_path: Path) -> None:
    beside(tmp_path / "x.mkv").write_text("something else")

    with pytest.raises(ReplayError, match=r"x\.mkv\.arrivals: holds no arrivals"):
        Arrivals.load(tmp_path / "x.mkv")


def test_recorder_of_a_hanging_camera_can_be_ended(clips: dict[str, Path], tmp_path: Path, within: Within) -> None:
    out = tmp_path / "out.mkv"
    with serve_recordings(ReplayOptions((clips["small"],))) as server:
        with recorder(server.urls[0], out):
            wait_for_arrivals(within, out, 1)
            os.kill(server.pid, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGCONT)

    assert len(presented_ms(out)) > 1
