"""Runs against ground truth: whose boxes count, under which class, and what is said when things do not fit together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline import Counts, FrameResult, TrackedBox
from pipeline.cli.evaluate import app
from pipeline.config import load_fleet
from pipeline.detections import Tracks
from pipeline.errors import EvaluationError
from pipeline.evaluate.ground_truth import GroundTruth, read_ground_truth
from pipeline.evaluate.play import play, require_recordings, require_whole
from pipeline.evaluate.run import find_ground_truth, published_tracks, score_run
from pipeline.supervise.supervisor import Supervisor
from tests.conftest import RECORDING_FRAMES

pytest.importorskip("trackeval")

FleetFile = Callable[..., Path]
FRAMES = 10
PERFECT = {"HOTA": 100, "DetA": 100, "AssA": 100, "LocA": 100, "MOTA": 100, "IDF1": 100, "IDSW": 0}
PERSON, CAR = (100.0, 50.0, 140.0, 150.0), (300.0, 60.0, 400.0, 120.0)
HIDDEN = (500.0, 50.0, 540.0, 150.0)


def row(frame: int, track_id: int, xyxy: tuple[float, ...], class_id: int, visibility: float = 1.0) -> str:
    """A line of gt.txt, whose pixels count from 1."""
    left, top, right, bottom = xyxy
    return f"{frame},{track_id},{left + 1},{top + 1},{right - left},{bottom - top},1,{class_id},{visibility}"


def write_ground(folder: Path, rows: list[str], frames: int = FRAMES, wh: tuple[int, int] = (640, 360)) -> Path:
    (folder / "gt").mkdir(parents=True)
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname=x\nframeRate=25\nseqLength={frames}\nimWidth={wh[0]}\nimHeight={wh[1]}\n"
    )
    (folder / "gt" / "gt.txt").write_text("\n".join(rows))
    (folder.parent / "labels.txt").write_text("person\ncar\n")
    return folder


@pytest.fixture
def scene(tmp_path: Path) -> GroundTruth:
    """A person, a car, and a second person of whom a tenth can be seen, standing still for ten frames."""
    rows = []
    for frame in range(1, FRAMES + 1):
        rows += [row(frame, 1, PERSON, 1), row(frame, 2, CAR, 2), row(frame, 3, HIDDEN, 1, 0.1)]
    return read_ground_truth(write_ground(tmp_path / "ground_truth" / "gate", rows))


def box(track_id: int, class_name: str, xyxy: tuple[float, ...]) -> TrackedBox:
    return TrackedBox(
        track_id=track_id,
        class_id=0,
        class_name=class_name,
        score=0.9,
        xyxy=xyxy,  # type: ignore[arg-type]
        origin="detected",
        since_detected_ms=0,
        uncertainty_px=1,
    )


def published(boxes: list[TrackedBox], **changes: Any) -> list[FrameResult]:
    """The same boxes on each of ten frames; every second one was detected."""
    results = []
    for frame in range(FRAMES):
        counts = Counts(decoded=frame + 1, detected=frame // 2 + 1, filled={"stride": (frame + 1) // 2}, lost={})
        values = {
            "fleet": "test",
            "camera_id": "gate",
            "session_id": "1",
            "frame_id": frame,
            "pts_s": frame / 25,
            "captured_at_ns": 0,
            "capture_clock": "file",
            "published_at_ns": 0,
            "age_ms": 0,
            "frame_wh": (640, 360),
            "origin": "predicted" if frame % 2 else "detected",
            "filled_because": "stride" if frame % 2 else None,
            "stride": 2,
            "lost": {},
            "counts": counts,
            "latency_ms": {},
            "tracks": tuple(boxes),
        }
        results.append(FrameResult(**(values | changes)))
    return results


@pytest.mark.parametrize(
    ("boxes", "combined", "person", "car"),
    [
        pytest.param(
            [box(7, "person", PERSON), box(8, "car", CAR)], PERFECT, PERFECT, PERFECT, id="the truth itself is perfect"
        ),
        pytest.param(
            [box(7, "person", PERSON), box(8, "car", CAR), box(9, "person", HIDDEN)],
            PERFECT,
            PERFECT,
            PERFECT,
            id="a box on somebody hidden is neither right nor false",
        ),
        pytest.param(
            [box(7, "person", PERSON), box(8, "person", CAR)],
            PERFECT,
            {"MOTA": 0, "IDF1": 66.667},
            {"HOTA": 0, "MOTA": 0},
            id="a car called a person is in place, false for persons and missing for cars",
        ),
        pytest.param(
            [box(7, "person", PERSON), box(8, "car", CAR), box(9, "car", HIDDEN)],
            PERFECT,
            PERFECT,
            {"MOTA": 0, "IDF1": 66.667},
            id="somebody hidden called a car is false for cars",
        ),
        pytest.param(
            [box(7, "person", PERSON), box(8, "car", CAR), box(9, "dog", (10, 10, 60, 60))],
            PERFECT,
            PERFECT,
            PERFECT,
            id="a dog, of which the truth says nothing, is left out",
        ),
        pytest.param(
            [box(7, "person", PERSON)],
            {"MOTA": 50, "IDF1": 66.667},
            PERFECT,
            {"HOTA": 0, "MOTA": 0},
            id="a missing car is missing",
        ),
        pytest.param([], {"HOTA": 0, "MOTA": 0}, {"HOTA": 0}, {"HOTA": 0}, id="nothing at all"),
    ],
)
def test_score_run_counts_boxes_by_place_and_class(
    scene: GroundTruth,
    boxes: list[TrackedBox],
    combined: dict[str, float],
    person: dict[str, float],
    car: dict[str, float],
) -> None:
    scored = score_run({"gate": scene}, {"gate": published(boxes)})
    for found, expected in (
        (scored.combined, combined),
        (scored.classes["person"], person),
        (scored.classes["car"], car),
    ):
        told = found.as_dict()
        assert {name: told[name] for name in expected} == pytest.approx(expected, abs=0.01)
    assert set(scored.left_out) == ({"dog"} if "dog" in {found.class_name for found in boxes} else set())


def test_score_run_cameras_are_scored_alone_and_together(scene: GroundTruth) -> None:
    good, bad = published([box(1, "person", PERSON), box(2, "car", CAR)]), published([box(1, "person", PERSON)])
    scored = score_run({"gate": scene, "yard": scene}, {"gate": good, "yard": bad})
    gate, yard = scored.cameras
    assert (gate.camera_id, gate.frames, gate.detected, gate.filled) == ("gate", FRAMES, 5, {"stride": 5})
    assert (gate.scores.mota, yard.scores.mota, scored.combined.mota) == pytest.approx((100, 50, 75))
    assert scored.classes["car"].mota == pytest.approx(50)


def test_published_tracks_frame_0_is_the_first_row_and_a_lost_frame_is_empty(scene: GroundTruth) -> None:
    results = published([box(3, "dog", PERSON), box(4, "car", CAR)])
    tracks = published_tracks(scene, results[:2] + results[3:])
    assert [len(found) for found in tracks] == [1, 1, 0, *[1] * 7]
    assert (tracks[0].track_id.tolist(), tracks[0].class_id.tolist()) == ([4], [2])
    np.testing.assert_allclose(tracks[0].xyxy[0], CAR)
    np.testing.assert_allclose(scene.sequence.truth[0].ltwh[1], (CAR[0], CAR[1], CAR[2] - CAR[0], CAR[3] - CAR[1]))


@pytest.mark.parametrize(
    ("size_wh", "visibility", "conf", "asked"),
    [
        pytest.param((4, 10), 0.25, 1, True, id="just large and visible enough"),
        pytest.param((3.9, 10), 1, 1, False, id="narrow"),
        pytest.param((4, 9.9), 1, 1, False, id="low"),
        pytest.param((40, 90), 0.24, 1, False, id="hidden"),
        pytest.param((40, 90), 1, 0, False, id="marked as not to be scored"),
        pytest.param((40, 90), None, 1, True, id="nothing said of visibility"),
    ],
)
def test_read_ground_asks_for_what_can_be_seen(
    tmp_path: Path, size_wh: tuple[float, float], visibility: float | None, conf: int, asked: bool
) -> None:
    line = f"1,1,10,10,{size_wh[0]},{size_wh[1]},{conf},1" + ("" if visibility is None else f",{visibility}")
    ground = read_ground_truth(write_ground(tmp_path / "gate", [line]))
    assert ground.asked_for("person") == int(asked)
    assert ground.of_class("person").truth[0].class_id.tolist() == [1 if asked else 8]
    assert ground.tracks_of_class([Tracks.empty()], "car")[0].class_id.tolist() == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda gate: (gate / "seqinfo.ini").unlink(), "seqinfo.ini", id="no seqinfo"),
        pytest.param(lambda gate: (gate / "gt" / "gt.txt").unlink(), "gt.txt", id="no gt"),
        pytest.param(lambda gate: (gate.parent / "labels.txt").unlink(), "no labels.txt", id="no labels"),
        pytest.param(lambda gate: (gate / "labels.txt").write_text("car\ncar\n"), "names a class twice", id="twice"),
        pytest.param(lambda gate: (gate / "labels.txt").write_text("car\n"), "classes outside 1 to 1", id="too few"),
        pytest.param(
            lambda gate: (gate / "gt" / "gt.txt").write_text(row(FRAMES + 1, 1, CAR, 1)),
            "frames outside 1 to 10",
            id="beyond the end",
        ),
    ],
)
def test_read_ground_broken_is_told_with_the_file(
    scene: GroundTruth, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(tmp_path / "ground_truth" / "gate")
    with pytest.raises(EvaluationError, match=words):
        read_ground_truth(tmp_path / "ground_truth" / "gate")


@pytest.mark.parametrize(
    ("results", "words"),
    [
        pytest.param(published([])[:-1], "has 9 frames of 640×360.*is of 10 frames of 640×360", id="other length"),
        pytest.param(published([], frame_wh=(320, 180)), "of 320×180.*of 640×360", id="other size"),
        pytest.param(published([box(1, "dog", CAR)]), "knows person, car.*it saw dog", id="no class in common"),
    ],
)
def test_score_run_what_does_not_belong_together_is_refused(
    scene: GroundTruth, results: list[FrameResult], words: str
) -> None:
    with pytest.raises(EvaluationError, match=words):
        score_run({"gate": scene}, {"gate": results})


def test_find_grounds_a_camera_without_is_named(fleet_file: FleetFile, recording: Path, tmp_path: Path) -> None:
    fleet = load_fleet(fleet_file({"gate": str(recording)}))
    with pytest.raises(EvaluationError, match=rf"camera gate: .*{recording.parent}/ground_truth/gate.*--ground-truth"):
        find_ground_truth(fleet, None)
    with pytest.raises(EvaluationError, match=rf"camera gate: .*{tmp_path}/gate"):
        find_ground_truth(fleet, tmp_path)


def test_find_grounds_other_labels_are_refused(
    fleet_file: FleetFile, recording: Path, scene: GroundTruth, tmp_path: Path
) -> None:
    yard = write_ground(tmp_path / "ground_truth" / "yard", [])
    (yard / "labels.txt").write_text("car\nperson\n")
    fleet = load_fleet(fleet_file({"gate": str(recording), "yard": str(recording)}))
    with pytest.raises(EvaluationError, match="yard and gate differ"):
        find_ground_truth(fleet, tmp_path / "ground_truth")


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        pytest.param({"url": "rtsp://bob:hunter2@10.0.0.1/live"}, r"camera gate: rtsp://\*\*\*@10.0.0.1", id="rtsp"),
        pytest.param({"url": "/dev/video0"}, "is no recording", id="device"),
        pytest.param({"loop": True}, "loop: true", id="loop"),
    ],
)
def test_require_recordings_others_are_refused(
    fleet_file: FleetFile, recording: Path, camera: dict[str, Any], words: str
) -> None:
    with pytest.raises(EvaluationError, match=words):
        require_recordings(load_fleet(fleet_file({"gate": {"url": str(recording)} | camera})))


def test_play_a_recording_that_cannot_be_played_is_named_with_the_reason(fleet_file: FleetFile, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no recording")
    with pytest.raises(EvaluationError, match=r"camera gate never delivered a frame: .*broken\.mp4"):
        play(load_fleet(fleet_file({"gate": str(broken)})), lambda count: None)


def test_play_interrupted_ends_before_the_recordings(
    fleet_file: FleetFile, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(supervisor: Supervisor) -> None:
        raise KeyboardInterrupt

    counts = [0]
    monkeypatch.setattr(Supervisor, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        play(load_fleet(fleet_file({"gate": {"url": str(recording), "pace": "realtime"}})), counts.append)
    assert counts[-1] < RECORDING_FRAMES


@pytest.mark.parametrize(
    ("results", "words"),
    [
        pytest.param([], "never delivered a frame: the lines above", id="nothing"),
        pytest.param(published([])[2:], "2 published frames were not heard", id="heard too late"),
        pytest.param(published([])[:4] + published([], session_id="2"), "came in 2 sessions", id="began anew"),
    ],
)
def test_require_whole_what_is_not_one_whole_session_is_refused(results: list[FrameResult], words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        require_whole("gate", results, None)


STUB_BOX = (320 / 4, 60.0, 320 * 3 / 4, 120.0)
"""What the stub sees with `boxes: 1` and the recording's own shape as its input: half as wide, a third as high."""


@pytest.fixture
def square(fleet_file: FleetFile, recording: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A fleet over the recording of the tests with a stub that sees one person, and ground truth that agrees."""
    rows = [row(frame, 1, STUB_BOX, 1) for frame in range(1, RECORDING_FRAMES + 1)]
    truth = write_ground(tmp_path / "truth" / "gate", rows, RECORDING_FRAMES, (320, 180)).parent
    model = {"backend": "stub", "classes": ["person"], "input_wh": [320, 180], "options": {"a_ms": 2, "boxes": 1}}
    return fleet_file({"gate": str(recording)}, model=model, defaults={"pace": "fastest", "stride": 2}), truth


@pytest.mark.parametrize(
    ("options", "detected", "mota"),
    [
        pytest.param([], 38, 100, id="as the file says"),
        pytest.param(["--stride", "3", "--fill", "none"], 25, 100 * 25 / 75, id="every third frame alone"),
    ],
)
def test_evaluate_run_stub_that_is_right_scores_what_it_should(
    square: tuple[Path, Path], options: list[str], detected: int, mota: float
) -> None:
    fleet, truth = square
    result = CliRunner().invoke(app, ["run", str(fleet), "--ground-truth", str(truth), "--json", *options])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    gate = told["cameras"]["gate"]
    assert (gate["frames"], gate["detected"], gate["filled"], gate["lost"]) == (
        RECORDING_FRAMES,
        detected,
        {"stride": RECORDING_FRAMES - detected},
        {},
    )
    assert told["combined"]["MOTA"] == told["classes"]["person"]["MOTA"] == pytest.approx(mota, abs=0.01)
    assert (set(told["classes"]), told["left_out"], told["combined"]["IDSW"]) == ({"person"}, {}, 0)


def test_evaluate_run_realtime_table_has_a_line_a_camera_the_sum_and_the_classes(square: tuple[Path, Path]) -> None:
    fleet, truth = square
    fleet.write_text(fleet.read_text().replace("fastest", "realtime"))
    result = CliRunner().invoke(app, ["run", str(fleet), "--ground-truth", str(truth)])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert [line[0] for line in lines] == ["camera", "gate", "combined", "person"]
    assert sum(map(int, lines[1][-3:])) == RECORDING_FRAMES
