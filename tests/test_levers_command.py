"""`camfleet export` and `camfleet levers` on the sample model; speeds are made up but where they are the matter."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest

from pipeline.cli.export import export, require_folder, sizes_of
from pipeline.cli.levers import levers
from pipeline.config.values import Fleet
from pipeline.errors import ConfigError, DetectorError, EvaluationError
from pipeline.levers import recordings, skipping
from pipeline.levers.figures import Exported, Leaderboard, Speed
from pipeline.levers.network import open_source
from pipeline.levers.recipe import Recipe
from tests.float_model import SAMPLE, write_float_model

ROOT = Path(__file__).parents[1]
SAMPLES = SAMPLE.parents[1]
FRAMES = 50


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Two seconds of a sample recording as a fleet, with its ground truth beside it."""
    cut_recording(tmp_path / "gate.mp4")
    ground = tmp_path / "ground_truth" / "gate"
    shutil.copytree(SAMPLES / "ground_truth" / "gate", ground)
    shutil.copyfile(SAMPLES / "ground_truth" / "labels.txt", ground.parent / "labels.txt")
    rows = (ground / "gt" / "gt.txt").read_text().splitlines()
    (ground / "gt" / "gt.txt").write_text("\n".join(row for row in rows if int(row.split(",")[0]) <= FRAMES))
    seqinfo = (ground / "seqinfo.ini").read_text()
    (ground / "seqinfo.ini").write_text(seqinfo.replace("seqLength=300", f"seqLength={FRAMES}"))
    file = tmp_path / "town.yaml"
    file.write_text(f"model: {{path: {SAMPLE}, nms_iou: 0.5}}\ncameras: {{gate: {{url: gate.mp4}}}}\n")
    return file


def cut_recording(target: Path) -> None:
    """The first frames of a sample recording, as they were encoded."""
    with av.open(str(SAMPLES / "gate.mp4")) as whole, av.open(str(target), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for packet in itertools.islice(whole.demux(video=0), FRAMES):
            packet.stream = stream
            cut.mux(packet)


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """The same recording without ground truth beside it."""
    (tmp_path / "alone").mkdir()
    cut_recording(tmp_path / "alone" / "gate.mp4")
    file = tmp_path / "alone" / "fleet.yaml"
    file.write_text(f"model: {{path: {SAMPLE}, nms_iou: 0.5}}\ncameras: {{gate: {{url: gate.mp4}}}}\n")
    return file


def eight_bits(network: Any, picture_wh: tuple[int, int], calibration: Sequence[Path]) -> Any:
    assert calibration
    return open_source(SAMPLE).made_by(Recipe(picture_wh), []).network


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int | None]]:
    """Few frames, and speeds by the number of pixels; returns what was measured."""
    monkeypatch.setattr(recordings, "FRAMES", 5)
    monkeypatch.setattr(skipping, "STRIDES", (3,))
    measured: list[tuple[str, int | None]] = []

    def speed(fleet: Fleet, max_batch: int | None, seconds: float, turn: Callable[[float], None]) -> Speed:
        if max_batch:
            raise DetectorError("it takes 1 at once")
        measured.append((fleet.model.path, max_batch))
        width, height = fleet.model.input_wh or (640, 384)
        hz = 1e7 / (width * height)
        return Speed(images_hz=hz, cpu_ms_per_image=1, memory_mb=200, lanes=2, batch=1, other_cores=0)

    monkeypatch.setattr("pipeline.levers.trial.measure_speed", speed)
    # NNCF takes ten seconds (see test_levers_make.py); the sample model is what it makes of the same in floats.
    monkeypatch.setattr("pipeline.levers.quantize.quantized", eight_bits)
    return measured


def run_export(model: Path, **options: Any) -> None:
    defaults = {"inputs": "", "precision": "", "data": None, "fleet": None, "out": Path(), "seconds": 0.1}
    export(model, **(defaults | {"as_json": True} | options))


def run_levers(model: Path, **options: Any) -> None:
    defaults = {"data": None, "fleet": None, "reference": None, "others": None, "inputs": "", "out": None}
    levers(model, **(defaults | {"keep": None, "seconds": 0.1, "as_json": True} | options))


def test_export_tells_before_and_after(
    quick: list[Any], town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_export(SAMPLE, inputs="512x288,320x192", fleet=town, out=tmp_path / "out")
    told = msgspec.json.decode(capsys.readouterr().out, type=Exported)
    assert [form.name for form in told.after] == ["512×288", "320×192"]
    assert told.before.input_wh == (640, 384) and told.before.precision == "int8"
    assert all(form.accuracy is not None and form.size_mb > 1 for form in [told.before, *told.after])
    assert told.where.pictures == "5 frames of 1 recording with ground truth" and not told.where.by_model
    assert [Path(form.path).parent for form in told.after] == [tmp_path / "out"] * 2


def test_export_of_unlabelled_recordings_is_judged_by_the_model_before(
    quick: list[Any], unlabelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_float_model(tmp_path)
    run_export(model, precision="int8", inputs="320x192", fleet=unlabelled, out=tmp_path / "out")
    told = msgspec.json.decode(capsys.readouterr().out, type=Exported)
    assert told.where.by_model and told.before.accuracy is not None
    assert told.before.accuracy.map50_95 > 99
    assert [form.precision for form in told.after] == ["int8"]
    assert "Nobody has labelled" in told.notes[0]
    assert "INT8 is calibrated on 5 frames of the recordings, other frames than those it is judged on." in told.notes


def test_export_measures_the_speed_in_a_process_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_export(SAMPLE, inputs="320x192", out=tmp_path)
    told = msgspec.json.decode(capsys.readouterr().out, type=Exported)
    speeds = [form.speed for form in (told.before, *told.after)]
    assert all(speed is not None and speed.images_hz > 0 and speed.memory_mb > 50 for speed in speeds)
    assert told.before.accuracy is None and "Accuracy is unknown" in told.notes[0]


def test_export_int8_without_pictures_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    model = write_float_model(tmp_path)
    with pytest.raises(DetectorError, match=r"INT8 of .* needs pictures to be calibrated on"):
        run_export(model, precision="f16,int8", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folder_of_models_that_cannot_be_is_told_before_anything_is_made(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("")
    for folder in (file, file / "inside" / "of it"):
        with pytest.raises(ConfigError, match=r"--out .*notes\.txt.*: no models can be written there"):
            run_export(SAMPLE, inputs="512x288", out=folder)
        with pytest.raises(ConfigError, match=r"--keep .*notes\.txt.*: no models can be written there"):
            run_levers(SAMPLE, data=Path("d.yaml"), keep=folder)
    require_folder("--out", tmp_path / "not" / "yet")


@pytest.mark.parametrize(
    ("options", "why"),
    [({"precision": "f8"}, "--precision: found “f8”"), ({"inputs": "640"}, "--input: found “640”")],
)
def test_export_option_that_is_none_is_told(options: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        run_export(SAMPLE, **options)


def test_sizes_of_reads_both_crosses() -> None:
    assert sizes_of("640x384, 512×288,") == [(640, 384), (512, 288)]


def test_levers_of_an_int8_model_with_ground_truth(
    quick: list[Any], town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_levers(SAMPLE, fleet=town, inputs="480x288", out=tmp_path / "levers.html")
    told = msgspec.json.decode(capsys.readouterr().out, type=Leaderboard)
    rows = {row.name: row for row in told.rows}
    assert told.rows[0].kind == "base" and told.rows[0].speed_up == 1
    assert rows["480×288"].speed_up == pytest.approx(640 * 384 / (480 * 288), rel=0.01)
    assert rows["480×288"].expected.startswith("640 → 480") and rows["480×288"].holds
    assert "INT8 already" in rows["f16"].form.why_not and "INT8 already" in rows["int8"].form.why_not
    assert "1 at once" in rows["batches of 4"].form.why_not
    third = rows["every 3rd frame, with the tracker"]
    assert third.skipping is not None and third.skipping.hota > 20
    assert third.speed_up is not None and third.speed_up > 1
    assert "<svg" in (tmp_path / "levers.html").read_text()


def test_levers_by_a_reference_says_so_and_takes_other_models(
    quick: list[Any], unlabelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_float_model(tmp_path)
    keep = tmp_path / "kept"
    run_levers(model, fleet=unlabelled, reference=model, others=[SAMPLE], inputs="320x192", keep=keep, as_json=False)
    told = capsys.readouterr()
    assert "Nobody has labelled these pictures: the boxes of demo-float" in told.out.replace("\n", " ")
    assert "the front" in told.out and "levers of demo-float" in told.err
    assert {folder.name for folder in keep.iterdir()} >= {
        "demo-float-f16_openvino_model",
        "demo-float-320x192_openvino_model",
        "demo-float-640x384-int8_openvino_model",
    }


def test_levers_without_labels_says_what_to_give(quick: list[Any], unlabelled: Path) -> None:
    with pytest.raises(EvaluationError, match="no ground truth; give --reference BIGGER_MODEL"):
        run_levers(SAMPLE, fleet=unlabelled)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "levers needs pictures"),
        ({"data": Path("d.yaml"), "out": Path("a.pdf")}, "ends in .html or .png"),
        ({"data": Path("d.yaml"), "out": Path("no/where/a.png")}, "there is no folder no/where"),
    ],
)
def test_levers_option_that_is_missing_or_none_is_told(options: dict[str, Path], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        run_levers(SAMPLE, **options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "nowhere.xml"],
        ["export", str(SAMPLE), "--precision", "int8"],
        ["levers", str(SAMPLE)],
        ["levers", str(SAMPLE), "--data", "nowhere.yaml"],
    ],
    ids=["no model", "no pictures", "neither", "no data set"],
)
def test_mistake_is_one_line_and_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", *arguments]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("camfleet: ") and ended.stderr.count("\n") == 1
