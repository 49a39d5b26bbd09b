from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import RenderError
from scripts.draw_boxes import CELL_WH, cell_of, drawn, write

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "samples" / "model" / "demo_openvino_model"
DEADLINE_S = 110


def draw_boxes(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "draw_boxes.py"), *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("wh", "content_wh"),
    [
        pytest.param((640, 480), (480, 360), id="4:3"),
        pytest.param((1920, 1080), (640, 360), id="16:9"),
        pytest.param((360, 640), (202, 360), id="upright"),
    ],
)
def test_picture_in_the_mosaic_keeps_its_shape(wh: tuple[int, int], content_wh: tuple[int, int]) -> None:
    cell = cell_of(np.full((wh[1], wh[0], 3), 255, np.uint8))
    rows, columns = np.nonzero(cell[:, :, 0] == 255)
    assert (cell.shape[1], cell.shape[0]) == CELL_WH
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == content_wh


def test_mosaic_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    picture = np.zeros((36, 64, 3), np.uint8)
    with pytest.raises(RenderError, match="cannot be written"):
        write([picture], 1, tmp_path / "nowhere" / "boxes.jpg")
    with pytest.raises(RenderError, match="no picture of it was published"):
        drawn(Path("gate.mp4"), 5.0, [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("nowhere.mp4",), "there is no recording “", id="no recording"),
        pytest.param(("RECORDING", "--output", "nowhere/a.jpg"), "there is no folder", id="no folder"),
        pytest.param(("RECORDING", "--output", "a.txt"), "is no kind of picture", id="no picture"),
        pytest.param(("RECORDING", "--model", "nowhere/m.xml"), "there is no model", id="no model"),
    ],
)
def test_draw_boxes_mistake_is_one_message_and_nothing_is_said_to_be_written(
    tmp_path: Path, recording: Path, arguments: tuple[str, ...], words: str
) -> None:
    given = [str(recording) if argument == "RECORDING" else argument for argument in arguments]
    ended = draw_boxes(*([] if "--model" in given else ["--model", MODEL]), *given, folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("draw_boxes: ")
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_draw_boxes_writes_what_it_says(tmp_path: Path, recording: Path) -> None:
    ended = draw_boxes(recording, "--model", MODEL, "--at", "1", "2", "--output", "boxes.png", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "wrote boxes.png\n"), ended.stderr
    assert cv2.imread(str(tmp_path / "boxes.png")).shape == (360, 1280, 3)
