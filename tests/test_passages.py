"""`scripts/passages` and `scripts/endurance/tally`: what is true, what was counted, and what is lost or doubled."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from endurance.parade import FIGURES, LOOP_S, Passage, passages, picture
from endurance.tally import aligned, expected, gaps, pause_s, tally
from passages.burst import _placed
from passages.compare import compare, total
from passages.truth import Passed, true_passages

from pipeline.evaluate.ground_truth import read_ground_truth
from pipeline.evaluate.mot import FrameTruth, Sequence
from pipeline.wire import FrameResult
from tests.wire_messages import FRAME

IN = Passage("gate", "in", 10.0)


def recording(*xs: float) -> Sequence:
    """One object whose feet are at these places of a picture of 100 x 100 px, a frame each; 10 fps."""
    truth = [FrameTruth(np.array([1]), np.array([[x - 5, 40.0, 10.0, 10.0]]), np.array([1]), np.array([1])) for x in xs]
    return Sequence("walk", (100, 100), 10.0, tuple(truth), ())


def test_true_passage_is_told_between_its_frames_once_it_stays():
    there = [one for one in true_passages(recording(40, 44, 48, 56, 60, 64, 68)) if one.rule == "upright"]
    assert [(one.way, round(one.at_s, 3)) for one in there] == [("out", 0.225)]
    assert there[0].speed == pytest.approx(28 / 6 / 10, abs=0.01)
    assert [one for one in true_passages(recording(40, 48, 52, 48, 40, 40)) if one.rule == "upright"] == []


def test_compare_tells_hits_counts_times_and_how_certain_they_were():
    truth = [Passed("door", "in", 1.0, speed=1.0), Passed("door", "in", 5.0), Passed("door", "out", 9.0, wanted=False)]
    found = [Passed("door", "in", 1.05, error_s=0.02), Passed("door", "in", 7.0), Passed("door", "out", 9.1)]
    told = total([compare(found, truth)])
    assert (told["f1"], told["false"], told["missed"], told["count_error"]) == (0.5, 1, 1, 0.0)
    assert told["off_ms"]["p95"] == told["quick_off_ms"]["p95"] == pytest.approx(50)
    assert told["within_2_sigma"] == 0.0


@pytest.mark.parametrize(
    ("told", "silent", "seldom", "found"),
    [
        pytest.param([10.4], [], [], (1, 0, 0, 0, 0, 0), id="told"),
        pytest.param([], [], [], (0, 0, 0, 1, 0, 0), id="lost"),
        pytest.param([], [(8.0, 9.5)], [], (0, 1, 0, 0, 0, 0), id="no pictures"),
        pytest.param([], [], [(10.5, 11.5)], (0, 0, 1, 0, 0, 0), id="no time for it"),
        pytest.param([], [(3.0, 8.5)], [], (0, 0, 0, 1, 0, 0), id="pictures again before it"),
        pytest.param([10.0, 10.2], [], [], (1, 0, 0, 0, 1, 0), id="twice"),
        pytest.param([10.0, 20.0], [], [], (1, 0, 0, 0, 0, 1), id="and once where nothing was"),
    ],
)
def test_tally_of_one_passage(told: list[float], silent: list, seldom: list, found: tuple[int, ...]):
    one = tally([IN], [Passage("gate", "in", at_s) for at_s in told], silent, seldom)
    counts = (one.told, one.lost_in_gaps, one.lost_seldom, len(one.lost), len(one.doubled), len(one.false))
    assert counts == found


def test_recording_is_found_again_by_what_was_told():
    start_s = 1000.3
    known = expected(passages(), start_s, 1000.0, 1000.0 + 3 * LOOP_S)
    assert len(known) >= 3 * len(passages()) - 1
    jittered = [Passage(one.rule, one.way, one.at_s + 0.05 * (-1) ** i) for i, one in enumerate(known)]
    assert (aligned(passages(), jittered) - start_s) % LOOP_S == pytest.approx(0, abs=0.06)
    with pytest.raises(ValueError, match="fit nothing"):
        aligned(passages(), [Passage("gate", "up", 1.0)])
    assert min(abs(pause_s(passages()) - one.at_s) for one in passages()) > 0.5


def test_parade_shows_each_figure_at_the_line_when_it_is_said_to_pass_it():
    for figure in FIGURES:
        luma = picture(round(figure.gate_s * 12))[figure.feet_y - 10]
        assert abs(np.flatnonzero(luma > 200).mean() - 240) < 8


def test_gaps_are_longer_than_they_may_be():
    assert gaps([0.0, 0.1, 1.0, 1.2]) == [(0.1, 1.0)]


def published(film: Sequence, number: int, at_ns: int) -> FrameResult:
    """A frame on which the truth of that number was detected."""
    ltwh = film.truth[number % len(film)].ltwh
    tracks = tuple(
        structs.replace(FRAME.tracks[0], track_id=i + 1, xyxy=(left, top, left + wide, top + high))
        for i, (left, top, wide, high) in enumerate(ltwh.tolist())
    )
    return structs.replace(FRAME, tracks=tracks, captured_at_ns=at_ns, origin="detected")


def test_camera_of_a_burst_is_placed_in_its_recording_over_several_turns():
    film = read_ground_truth(Path(__file__).parent.parent / "samples/ground_truth/gate").sequence
    begin, step_ns, start_ns = 77, round(1e9 / film.fps), 1_760_000_000_000_000_000
    results = [published(film, begin + i, start_ns + i * step_ns) for i in range(0, 400, 5)]
    zero_s, played = _placed(film, results)
    assert zero_s == pytest.approx(start_ns / 1e9 - begin / film.fps, abs=1e-3)
    assert played.results[0].pts_s == pytest.approx(begin / film.fps, abs=1e-3)
    assert len(played.recording) == 2 * len(film)
    first, second = true_passages(film), true_passages(played.recording)
    assert len(second) >= 2 * len(first)
