"""What should have been seen: ground truth and references as witnesses, and accuracy against them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")
pytest.importorskip("trackeval", reason="scores need TrackEval: pip install 'camfleet[evaluate]'")

from pipeline.config import Fleet
from pipeline.config.rules import Rules
from pipeline.errors import EvaluationError
from pipeline.rehearse.score import accuracy
from pipeline.rehearse.sides import Side
from pipeline.rehearse.take import Clip, Take
from pipeline.rehearse.yardstick import _of_reference, _with_reference, find_truth, true_witness

ROOT = Path(__file__).parent.parent
GATE = ROOT / "samples" / "gate.mp4"
RULES = Rules.model_validate({"lines": {"gateway": {"points": [[0.1, 0.62], [0.9, 0.62]]}}})


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.read(GATE)


def test_ground_truth_beside_a_recording_tells_what_happens_at_its_line(clip: Clip):
    found = find_truth({"entry": GATE}, {"entry": clip}, None)
    witness = true_witness(found, {"entry": RULES}, {"entry": clip})
    told = [(one.what, one.class_name, round(one.at_s, 1)) for one in witness.sightings if one.wanted]
    assert told == [("out", "person", 0.9), ("in", "car", 4.6), ("in", "van", 11.6)]
    assert all(one.told_ms is None for one in witness.sightings), "nobody told it"
    first = witness.sightings[0]
    assert witness.takes["entry"].path(first.object_key, first.at_s, 0.1)


def test_truth_itself_is_exact_and_half_of_it_is_not(clip: Clip):
    (yardstick,) = find_truth({"gate": GATE}, {"gate": clip}, None).values()
    exact = yardstick.take(clip)
    shown = Take(clip, exact.boxes, exact.objects, exact.labels, exact.captured_ns + 1, exact.zero_ns, exact.frame_wh)
    best = accuracy({"gate": shown}, {"gate": yardstick})
    assert best["hota"] == pytest.approx(100) and best["sap50"] > 90
    half = exact.boxes[exact.boxes["frame"] % 2 == 0]
    worse = accuracy(
        {"gate": Take(clip, half, exact.objects, exact.labels, exact.captured_ns, 0, exact.frame_wh)},
        {"gate": yardstick},
    )
    assert worse["hota"] < 80
    never = Take(clip, exact.boxes, exact.objects, exact.labels, np.zeros(clip.frames, np.int64), 0, exact.frame_wh)
    assert accuracy({"gate": never}, {"gate": yardstick})["sap50"] == 0, "nobody ever held them"


def test_ground_truth_of_another_recording_is_refused(clip: Clip):
    with pytest.raises(EvaluationError, match="do not belong together"):
        find_truth({"gate": GATE}, {"gate": Clip(GATE, clip.times_s, 0.0, (1280, 720))}, None)
    with pytest.raises(EvaluationError, match="no folder called as one of gate"):
        find_truth({"gate": GATE}, {"gate": clip}, ROOT / "samples")
    assert find_truth({"other": ROOT / "other.mp4"}, {"other": clip}, None) == {}


def test_reference_sees_every_frame_with_another_model_and_is_truth_by_its_detections(clip: Clip):
    camera = {"camera_id": "gate", "url": "rtsp://cam.example/1", "stride": 5, **RULES.model_dump()}
    fleet = Fleet.model_validate(
        {"name": "f", "model": {"path": "small", "confidence": 0.3}, "cameras": {"gate": camera}}
    )
    made = _with_reference(Side("a", Path("a.yaml"), fleet), "heavy.pt", {"gate": clip})
    gate = made.cameras["gate"]
    assert (made.model.path, made.model.confidence) == ("heavy.pt", 0.3)
    assert (gate.stride.max, gate.pace, gate.url.path, gate.lines) == (1, "fastest", GATE, {})
    results = find_truth({"gate": GATE}, {"gate": clip}, None)["gate"].results
    yardstick = _of_reference(results, clip, ("bicycle", "car", "person", "van"), "heavy.pt on every frame")
    truth = yardstick.ground.sequence.truth[0]
    assert len(truth.object_id) == len(results[0].tracks) and set(truth.considered.tolist()) <= {0, 1}


def test_frame_that_a_reference_lost_moves_none_of_those_behind_it(clip: Clip):
    results = find_truth({"gate": GATE}, {"gate": clip}, None)["gate"].results
    labels = ("bicycle", "car", "person", "van")
    yardstick = _of_reference(
        [one for one in results if one.frame_id not in (3, clip.frames - 1)], clip, labels, "heavy"
    )
    seen = [len(truth.object_id) for truth in yardstick.ground.sequence.truth]
    assert seen == [0 if one.frame_id in (3, clip.frames - 1) else len(one.tracks) for one in results]
