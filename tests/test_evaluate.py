"""Scores: perfect tracks are perfect, distractors do not count, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.evaluate import app
from pipeline.detections import Origin, Tracks
from pipeline.errors import EvaluationError
from pipeline.evaluate.mot import Sequence, read_sequence
from pipeline.evaluate.score import score
from pipeline.evaluate.tracking import Setup, track, track_reference
from pipeline.track.fill import FillMode
from pipeline.track.tracker import TrackerConfig

pytest.importorskip("trackeval")

MOT17 = Path(os.environ.get("CAMFLEET_DATA", Path(__file__).parents[2] / "shared" / "data")) / "mot17"
FRAMES = 40
STATUE = 9


def write_sequence(folder: Path, fps: float = 10.0) -> Path:
    """Three walkers and a statue that MOTChallenge calls a distractor; the detector sees all of them, exactly."""
    folder.mkdir()
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname=walk\nframeRate={fps}\nseqLength={FRAMES}\nimWidth=800\nimHeight=600\nimExt=.jpg\n"
    )
    truth, found = [], []
    for frame in range(1, FRAMES + 1):
        for person in (1, 2, 3):
            box = f"{50 + 2 * person * frame},{100 * person},40,90"
            truth.append(f"{frame},{person},{box},1,1,1")
            found.append(f"{frame},-1,{box},0.9,-1,-1,-1")
        truth.append(f"{frame},{STATUE},700,400,40,90,0,7,1")
        found.append(f"{frame},-1,700,400,40,90,0.9,-1,-1,-1")
    (folder / "gt.txt").write_text("\n".join(truth))
    (folder / "det.txt").write_text("\n".join(found))
    return folder


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    return write_sequence(tmp_path / "walk")


def as_tracks(sequence: Sequence, swap_from: int = FRAMES) -> list[Tracks]:
    """The truth as a tracker's answer; two people change their ids at `swap_from`."""
    answers = []
    for frame, truth in enumerate(sequence.truth):
        ids = truth.object_id.copy()
        if frame >= swap_from:
            ids = np.array([{1: 2, 2: 1}.get(i, i) for i in ids.tolist()], np.int64)
        xyxy = np.concatenate([truth.ltwh[:, :2], truth.ltwh[:, :2] + truth.ltwh[:, 2:]], axis=1).astype(np.float32)
        zeros = np.zeros(len(ids), np.float32)
        answers.append(
            Tracks.of(
                track_id=ids,
                xyxy=xyxy,
                score=zeros + 0.9,
                class_id=np.zeros(len(ids), np.int32),
                origin=np.full(len(ids), Origin.DETECTED, np.uint8),
                since_detected_s=zeros,
                uncertainty_px=zeros,
                velocity_px_s=xyxy * 0,
                uncertainty_px_s=zeros,
            )
        )
    return answers


def test_score_the_truth_itself_is_perfect_and_the_statue_is_not_counted(walk: Path) -> None:
    sequence = read_sequence(walk, second_half=False)
    combined, [single] = score([sequence], [as_tracks(sequence)])
    assert combined == single
    assert combined.as_dict() == pytest.approx(
        {"HOTA": 100, "DetA": 100, "AssA": 100, "LocA": 100, "MOTA": 100, "IDF1": 100, "IDSW": 0}, abs=0.01
    )


def test_score_two_people_swapped_halfway_is_two_switches(walk: Path) -> None:
    sequence = read_sequence(walk, second_half=False)
    combined, _ = score([sequence], [as_tracks(sequence, swap_from=FRAMES // 2)])
    assert combined.idsw == 2
    assert combined.det_a == pytest.approx(100, abs=0.01)
    assert combined.ass_a == pytest.approx((1 + 2 * 1 / 3) / 3 * 100, abs=0.5)


def test_score_nothing_tracked_is_nought(walk: Path) -> None:
    sequence = read_sequence(walk, second_half=False)
    combined, _ = score([sequence], [[Tracks.empty()] * FRAMES])
    assert (combined.hota, combined.mota, combined.idsw) == (0, 0, 0)


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize(("fill", "hota"), [(FillMode.INTERPOLATE, 98), (FillMode.PREDICT, 90)])
def test_track_walkers_seen_exactly_are_followed(walk: Path, stride: int, fill: FillMode, hota: float) -> None:
    sequence = read_sequence(walk, second_half=False)
    done = track(sequence, Setup(stride, fill, tracker=TrackerConfig(clip=False)))
    assert len(done.tracks) == FRAMES
    assert done.ms_per_frame > 0
    combined, _ = score([sequence], [done.tracks])
    assert combined.hota > hota
    assert combined.idsw == 0


def test_track_fill_none_has_boxes_on_detected_frames_alone(walk: Path) -> None:
    done = track(read_sequence(walk, second_half=False), Setup(4, FillMode.NONE))
    assert [len(tracks) > 0 for tracks in done.tracks] == [frame % 4 == 0 for frame in range(FRAMES)]


def test_track_gmc_without_pictures_is_refused(walk: Path) -> None:
    with pytest.raises(EvaluationError, match="img1"):
        track(read_sequence(walk, second_half=False), Setup(gmc=True))


@pytest.mark.parametrize("fill", list(FillMode))
def test_track_reference_walkers_have_one_answer_a_frame(walk: Path, fill: FillMode) -> None:
    done = track_reference(read_sequence(walk, second_half=False), Setup(3, fill))
    assert len(done.tracks) == FRAMES
    filled = [len(tracks) for frame, tracks in enumerate(done.tracks[9:36], start=9) if frame % 3]
    assert set(filled) == ({0} if fill is FillMode.NONE else {4})


def test_read_sequence_second_half_is_the_later_half(walk: Path) -> None:
    whole, half = read_sequence(walk, second_half=False), read_sequence(walk, second_half=True)
    assert (len(whole), len(half)) == (FRAMES, FRAMES // 2)
    np.testing.assert_array_equal(half.detections[0].xyxy, whole.detections[FRAMES // 2].xyxy)


def test_read_sequence_folders_of_the_benchmark_itself_are_understood(walk: Path) -> None:
    for name in ("gt", "det"):
        (walk / name).mkdir()
        (walk / f"{name}.txt").rename(walk / name / f"{name}.txt")
    assert len(read_sequence(walk, second_half=False)) == FRAMES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("seqinfo.ini", None, id="no seqinfo"),
        pytest.param("seqinfo.ini", "[Sequence]\nname=x\n", id="seqinfo without a length"),
        pytest.param("seqinfo.ini", "no ini at all", id="seqinfo is something else"),
        pytest.param(
            "seqinfo.ini", "[Sequence]\nframeRate=0\nseqLength=9\nimWidth=9\nimHeight=9\n", id="no frames a second"
        ),
        pytest.param("gt.txt", None, id="no truth"),
        pytest.param("gt.txt", "1,2,3\n", id="truth with too few columns"),
        pytest.param("det.txt", "these are,no,numbers\n", id="detections that are text"),
    ],
)
def test_read_sequence_broken_folder_is_told_with_the_file(walk: Path, name: str, text: str | None) -> None:
    if text is None:
        (walk / name).unlink()
    else:
        (walk / name).write_text(text)
    with pytest.raises(EvaluationError, match=name):
        read_sequence(walk, second_half=False)


def test_score_without_trackeval_says_what_to_install(walk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackeval", None)
    sequence = read_sequence(walk, second_half=False)
    with pytest.raises(EvaluationError, match="pip install"):
        score([sequence], [as_tracks(sequence)])


@pytest.mark.parametrize("tracker", ["camfleet", "ultralytics"])
def test_evaluate_tracking_json_has_combined_and_sequences(walk: Path, tracker: str) -> None:
    options = ["--stride", "2", "--fill", "interpolate", "--tracker", tracker, "--json"]
    result = CliRunner().invoke(app, ["tracking", str(walk), *options])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["tracker"], told["stride"], told["fill"]) == (tracker, 2, "interpolate")
    assert told["sequences"]["walk"]["HOTA"] == told["combined"]["HOTA"] > 80
    assert told["combined"]["ms_per_frame"] > 0


def test_evaluate_tracking_table_has_a_line_a_sequence_and_the_sum(walk: Path) -> None:
    result = CliRunner().invoke(app, ["tracking", str(walk)])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines() if line.strip()] == ["sequence", "walk", "combined"]


@pytest.mark.skipif(not MOT17.is_dir(), reason="MOT17 is not at hand")
def test_track_mot17_at_a_stride_is_far_above_the_reference() -> None:
    sequence = read_sequence(MOT17 / "MOT17-05", second_half=True)
    setup = Setup(3, FillMode.INTERPOLATE)
    ours, _ = score([sequence], [track(sequence, setup).tracks])
    theirs, _ = score([sequence], [track_reference(sequence, setup).tracks])
    assert ours.hota > theirs.hota + 5
