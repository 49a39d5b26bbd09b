"""Forms of the sample model, made and judged by real levers on a sample recording with ground truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.config import load_fleet
from pipeline.errors import ConfigError, PipelineError
from pipeline.tune.models import Variant
from pipeline.tune.order import Order, prepare

pytest.importorskip("pipeline.levers.accuracy", reason="forms of models are made by pipeline.levers")

SAMPLES = Path(__file__).parents[1] / "samples"
MODEL = str(SAMPLES / "model" / "demo_openvino_model")


def fleet_of(folder: Path, recording: Path) -> Path:
    file = folder / "fleet.yaml"
    body = {"model": {"path": MODEL, "nms_iou": 0.5}, "cameras": {"gate": {"url": str(recording)}}}
    file.write_text(yaml.safe_dump(body))
    return file


def test_variants_of_the_sample_model_are_judged_on_recordings_with_ground_truth(tmp_path: Path):
    from pipeline.tune.by_levers import variants

    fleet = load_fleet(fleet_of(tmp_path, SAMPLES / "gate.mp4"))
    judge, why = variants(fleet, fleet, tmp_path / "models", None, None)
    assert judge is not None and why == ""
    assert judge.is_int8(MODEL) and judge.input_wh(MODEL) == (640, 384)
    assert judge.make(Variant(MODEL, (320, 192))) == MODEL, "a fleet file sets the input"
    assert judge.loss(Variant(MODEL)) == 0
    assert judge.loss(Variant(MODEL, (320, 192))) > 3, "a quarter of the pixels costs small objects"
    assert "with ground truth" in judge.basis


def test_variants_without_labels_or_ground_truth_are_none(tmp_path: Path, recording: Path):
    from pipeline.tune.by_levers import variants

    fleet = load_fleet(fleet_of(tmp_path, recording))
    assert variants(fleet, fleet, tmp_path / "models", None, None) == (None, "")
    with pytest.raises(PipelineError, match=r"gone\.yaml"):
        variants(fleet, fleet, tmp_path / "models", tmp_path / "gone.yaml", None)


def test_tune_other_model_that_is_none_is_told_before_any_run(tmp_path: Path):
    file = fleet_of(tmp_path, SAMPLES / "gate.mp4")
    (tmp_path / "half.xml").write_text("")
    with pytest.raises(ConfigError, match=r"--model: \S+half\.xml: the weights \S+half\.bin are missing"):
        prepare(Order(fleet_file=file, models=(tmp_path / "half.xml",)), lambda line: None)
    assert not (tmp_path / "profiles").exists()
