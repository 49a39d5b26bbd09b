"""What `scripts/bench_peers.py` is built of: numbers in pictures, departures, ages, and a run of camfleet itself."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "peers")]

import bench_peers  # noqa: E402
from consume_camfleet import Numbers  # noqa: E402
from peers.ages import UNKNOWN, age_ms, figures  # noqa: E402
from peers.blocks import MOST, draw, read  # noqa: E402
from peers.dear import dear_model  # noqa: E402
from peers.environment import python_of  # noqa: E402
from peers.served import Served, best_kind, serve  # noqa: E402
from peers.truth import streamed  # noqa: E402
from peers.verify import verify  # noqa: E402
from window import Job, Window  # noqa: E402

from pipeline.camera.source import open_source  # noqa: E402
from pipeline.evaluate.ground_truth import GroundTruth, read_ground_truth  # noqa: E402

MS = 1_000_000
FPS = 25
KINDS = [
    "replay",
    pytest.param(
        "gstreamer", marks=pytest.mark.skipif(best_kind() != "gstreamer", reason="no GStreamer RTSP server here")
    ),
]


def record(path: Path, frames: int, first: int = 0) -> Path:
    """Frames of noise with numbers from `first` on, at a quality that cameras are set to."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (360 // 8, 640 // 8), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "g": str(FPS), "bf": "0", "crf": "32"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(frames):
            planes = np.full((540, 640), 128, np.uint8)
            planes[:360] = np.roll(noise, 8 * number, 1)
            draw(planes, first + number)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("numbered") / "numbered.mp4", 400)


def test_read_numbers_survive_h264(recording: Path) -> None:
    with av.open(str(recording)) as container:
        shown = [
            (read(frame.to_ndarray(format="gray")), read(frame.to_ndarray(format="bgr24")))
            for frame in container.decode(video=0)
        ]
    assert shown == [(number, number) for number in range(400)]


@pytest.mark.parametrize("number", [0, 1, 2048, MOST])
def test_draw_number_is_read_back(number: int) -> None:
    luma = np.full((16, 384), 90, np.uint8)
    draw(luma, number)
    assert read(luma) == number


@pytest.mark.parametrize("number", [-1, MOST + 1])
def test_draw_number_beyond_the_bits_raises(number: int) -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw(np.zeros((16, 384), np.uint8), number)


def test_read_picture_without_a_number_or_with_a_flipped_block_is_none() -> None:
    luma = np.full((16, 384), 90, np.uint8)
    assert read(luma) is None
    draw(luma, 77)
    luma[:, :16] = 255 - luma[:, :16]
    assert read(luma) is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param((0, 5, 130 * MS), 30.0, id="its own departure"),
        pytest.param((1, 5, 130 * MS), 10.0, id="the other camera's"),
        pytest.param((0, 5, 999 * MS), 99.0, id="sent again after the camera was opened again"),
        pytest.param((0, 6, 130 * MS), UNKNOWN, id="never left"),
        pytest.param((0, 5, 90 * MS), 0.0, id="noted late"),
        pytest.param((1, 5, 10 * MS), UNKNOWN, id="had long before it left"),
    ],
)
def test_age_ms_is_since_the_last_departure_of_that_frame(row: tuple[int, int, int], expected: float) -> None:
    departures = np.array([(0, 5, 100 * MS), (1, 5, 120 * MS), (0, 5, 900 * MS)])
    assert age_ms(np.array([row]), departures).tolist() == [expected]


def test_figures_rates_and_ages_of_detected_and_filled() -> None:
    rows = [(0, 0, 20 * MS, True), (0, 1, 70 * MS, False), (0, 2, 140 * MS, True), (0, 9, 200 * MS, False)]
    departures = np.array([(0, number, 40 * number * MS) for number in range(5)])
    told = figures({"rows": rows, "unreadable": 1, "seconds": 2.0}, departures)
    assert (told.boxes_hz, told.detected_hz) == (2.5, 1.5)
    assert (told.age_p50_ms, told.unmatched) == (30.0, 2)
    assert told.detected_age_p95_ms == pytest.approx(58, abs=0.1)


def test_figures_of_nothing_are_zero() -> None:
    told = figures({"rows": [], "unreadable": 0, "seconds": 2.0}, np.empty((0, 3), np.int64))
    assert (told.boxes_hz, told.age_p95_ms, told.unmatched) == (0.0, 0.0, 0)


def job(folder: Path, **changes: Any) -> Job:
    asked = {"urls": [], "model": "", "warmup_s": 1.0, "seconds": 2.0, "options": {}, "answer": str(folder / "a.json")}
    (folder / "job.json").write_text(json.dumps(asked | changes))
    return Job(str(folder / "job.json"))


def test_window_notes_frames_between_warm_up_and_end(tmp_path: Path) -> None:
    window = Window(job(tmp_path))
    assert window.note(0, 1, at_ns=5_000 * MS)
    assert window.note(0, 2, at_ns=5_999 * MS)
    assert window.note(0, 3, at_ns=6_000 * MS, detected=False)
    assert window.note(1, None, at_ns=7_000 * MS)
    assert not window.note(0, 4, at_ns=8_000 * MS)
    window.write("numpy")
    answer = json.loads((tmp_path / "a.json").read_text())
    assert answer["rows"] == [[0, 3, 6_000 * MS, False]]
    assert answer["unreadable"] == 1 and answer["versions"] == {"numpy": np.__version__}


def test_numbers_by_the_streams_time_are_believed_while_frame_id_agrees() -> None:
    numbers = Numbers()

    def of(frame_id: int, pts_s: float, session: str = "first") -> int | None:
        return numbers.of(SimpleNamespace(camera_id="cam0", session_id=session, frame_id=frame_id, pts_s=pts_s))

    assert [of(0, 0.2), of(1, 0.24), of(2, 0.28), of(50, 2.21)] == [5, 6, 7, 55]
    assert of(51, 2.28) is None, "one frame went by uncounted"
    assert of(52, 2.08, session="second") is None


def test_departures_of_gstreamer_are_read_as_noted(tmp_path: Path) -> None:
    log = tmp_path / "departures"
    log.write_text("0 0 100\n1 0 110\n0 1 140\n")
    assert Served([], "gstreamer", log).departures().tolist() == [[0, 0, 100], [1, 0, 110], [0, 1, 140]]


@pytest.fixture
def never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture is left out, however little of the machine is free."""
    monkeypatch.setattr("peers.verify.open_source", partial(open_source, late_s=60.0))


@pytest.mark.usefixtures("never_late")
@pytest.mark.parametrize("kind", KINDS)
def test_verify_cameras_that_begin_with_frame_0_pass(kind: str, recording: Path) -> None:
    verify(recording, kind)


@pytest.mark.usefixtures("never_late")
def test_verify_cameras_that_begin_elsewhere_end_the_program(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"shows number \d+: pts_s cannot"):
        verify(record(tmp_path / "late.mp4", 75, first=7), "replay")


@pytest.mark.parametrize("kind", KINDS)
def test_serve_same_recording_twice_numbers_each_camera_from_0(kind: str, recording: Path, tmp_path: Path) -> None:
    with serve([recording, recording], kind, tmp_path) as cameras:
        for url in cameras.urls:
            with av.open(url, options={"rtsp_transport": "tcp"}) as container:
                assert [
                    read(frame.to_ndarray(format="gray"))
                    for _, frame in zip(range(3), container.decode(video=0), strict=False)
                ] == [0, 1, 2]
    departures = cameras.departures()
    assert set(departures[:, 0]) == {0, 1}
    for camera in (0, 1):
        numbers = departures[departures[:, 0] == camera, 1]
        assert numbers.tolist() == list(range(len(numbers)))


@pytest.mark.long
def test_run_camfleet_gives_every_frame_an_age(recording: Path, tmp_path: Path) -> None:
    system = bench_peers.System("camfleet", "consume_camfleet.py", options={"model": {"backend": "stub"}})
    options = argparse.Namespace(model="none", warmup=0.5, seconds=1.5, environments=tmp_path, streaming=False)
    told, versions = bench_peers._run(system, [recording, recording], best_kind(), options, tmp_path)
    assert told["boxes_hz"] > 0 and told["detected_hz"] > 0
    assert told["unmatched"] == 0
    assert 0 <= told["age_p50_ms"] <= told["age_p95_ms"] < 10_000
    assert "camfleet" in versions


@pytest.mark.long
def test_run_consumer_that_fails_tells_its_last_words(recording: Path, tmp_path: Path) -> None:
    system = bench_peers.System("camfleet", "consume_camfleet.py", options={"model": {"path": "none.xml"}})
    options = argparse.Namespace(model="none", warmup=0.5, seconds=1.5, environments=tmp_path, streaming=False)
    with pytest.raises(bench_peers.Failed, match=r"none\.xml"):
        bench_peers._run(system, [recording], "replay", options, tmp_path)


def test_python_of_a_system_without_packages_is_ours(tmp_path: Path) -> None:
    assert python_of("camfleet", [], tmp_path) == sys.executable


def test_markdown_has_medians_and_says_why_a_system_has_none() -> None:
    def run(system: str, **rest: Any) -> dict[str, Any]:
        return {"system": system, "cameras": 6, **rest}

    def told(boxes_hz: float) -> dict[str, float]:
        return {"boxes_hz": boxes_hz, "detected_hz": 70.0, "age_p50_ms": 41.2, "age_p95_ms": 66.6}

    runs = [run("camfleet", figures=told(hz), versions={"camfleet": "1"}) for hz in (140.0, 150.0, 149.0)]
    runs.append(run("roboflow", failed="not installable here: no network"))
    options = argparse.Namespace(
        cameras=[6], systems=["camfleet", "roboflow"], seconds=25.0, warmup=8.0, repeats=3, model=Path("yolo")
    )
    lines = bench_peers.markdown(runs, "gstreamer", options).splitlines()
    assert "| camfleet, as it comes | 6 (150 fps in) | 149 | 70 | 41 / 67 |" in lines
    assert any("not installable here: no network" in line for line in lines)
    assert lines[-1] == "Versions: camfleet 1."


def walker(frame: int) -> list[float]:
    """Somebody who walks to the right by 8 px a frame."""
    return [100 + 8.0 * frame, 50.0, 140 + 8.0 * frame, 150.0]


def walk(folder: Path, frames: int) -> GroundTruth:
    rows = [f"{frame + 1},1,{101 + 8 * frame},51,40,100,1,1,1.0" for frame in range(frames)]
    (folder / "gt").mkdir()
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname=x\nframeRate=25\nseqLength={frames}\nimWidth=640\nimHeight=360\n"
    )
    (folder / "gt" / "gt.txt").write_text("\n".join(rows))
    (folder / "labels.txt").write_text("person\ncar\n")
    return read_ground_truth(folder)


@pytest.mark.parametrize("told", [True, False], ids=["velocity told", "velocity of the last two boxes"])
def test_streamed_judges_what_is_held_when_a_frame_leaves_and_carries_it_there(tmp_path: Path, told: bool):
    pytest.importorskip("trackeval")
    pytest.importorskip("faster_coco_eval")
    second, frames = 1_000_000_000, 50
    left = [(0, frame, 10 * second + frame * second // 25) for frame in range(frames)]
    speeds = [200.0, 0.0, 200.0, 0.0] if told else []
    answer = {
        "from_ns": 10 * second + 10 * second // 25,
        "seconds": 1.0,
        "rows": [(0, frame, at_ns + 1_000_000, True) for _, frame, at_ns in left],
        "boxes": [[[*walker(frame), 0.9, 0, 1, *speeds]] for frame in range(frames)],
    }
    # A client before it got the same frames: the last departures count.
    departures = np.array([(0, frame, at_ns - 5 * second) for _, frame, at_ns in left] + left, np.int64)
    found = streamed(answer, departures, [walk(tmp_path, frames)])
    assert (found.published.sap50, found.published.sap) == (100, 40)
    assert (found.present.sap, found.held_p50_ms) == (100, pytest.approx(40))


def test_dear_model_tells_what_the_model_tells_and_computes_it_so_often(tmp_path: Path):
    import openvino as ov

    model = SCRIPTS.parent / "samples" / "model" / "demo_openvino_model"
    dear = dear_model(model, 2, tmp_path)
    networks = [ov.Core().read_model(next(folder.glob("*.xml"))) for folder in (model, dear)]
    picture = np.random.default_rng(0).random((1, 3, 384, 640), np.float32)
    once, twice = (ov.compile_model(network, "CPU")(picture)[0] for network in networks)
    assert np.array_equal(once, twice)
    convolutions = [sum(op.get_type_name().endswith("Convolution") for op in network.get_ops()) for network in networks]
    assert convolutions[1] == 2 * convolutions[0]
    assert (dear / "metadata.yaml").read_bytes() == (model / "metadata.yaml").read_bytes()
