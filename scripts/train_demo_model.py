"""Train the demo detector from scratch on rendered towns, export it to OpenVINO and write its model card.

Renders towns that no sample recording shows (other seeds, other cameras, other hours), trains a YOLO26n on them with
Ultralytics without any downloaded weights, exports it for 384x640 (height x width) pictures, and measures the export
on towns held out from training and on the sample recordings. Every figure of the card comes from the run itself.

    python scripts/train_demo_model.py --work /tmp/demo_model                   # everything
    python scripts/train_demo_model.py --work /tmp/demo_model --steps export    # export and measure again

Steps that are done are not done again: towns already rendered and lessons already learnt are kept in --work, which
has to lie outside the repository; remove a lesson's folder under runs/ to learn it anew. Training ends by time, so on
a slower machine the model is worse, not later.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from town.camera import HEIGHT_PX, WIDTH_PX
from town.card import Facts, read_round, write_card
from town.chance import random_camera, random_light, random_moment, random_town
from town.export import NAME, export_openvino
from town.learn import Lesson, describe_data, describe_model, quiet_ultralytics, study
from town.look import KINDS
from town.measure import (
    LEAST_HEIGHT_PX,
    LEAST_VISIBILITY,
    LEAST_WIDTH_PX,
    ExportedModel,
    Precision,
    held_out,
    measure,
    recording,
)
from town.scene import Label, Stage
from town.scenery import TownPainter

SAMPLES = Path(__file__).parent.parent / "samples"
CAMERAS_A_TOWN = 8
MOMENTS_A_CAMERA = 5
TRAIN_TOWNS = range(1000, 1052)
HELD_OUT_TOWNS = range(9000, 9005)
DEPTH, WIDTH = 0.5, 0.25
"""YOLO26n's own scale."""
SMALL = Lesson("small", 320, 14 / 60, 0.003, 0.25, 16)
"""Half-size pictures first: a quarter of the time each, and the shapes learnt carry over."""
FULL = Lesson("full", 640, 31 / 60, 0.0018, 0.02, 16)
LAST = Lesson("last", 640, 14 / 60, 0.001, 0.02, 16)
LESSONS = (SMALL, FULL, LAST)
RECORDING_STEP = 10
"""Every tenth frame of a recording is measured: neighbours show almost the same."""


def main() -> None:
    """Do the steps that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures and checkpoints (2 GB)")
    parser.add_argument(
        "--out", type=Path, default=SAMPLES / "model", help="where the model goes (default: %(default)s)"
    )
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="what to do (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first weights (default: %(default)s)")
    parser.add_argument("--bits", type=int, choices=(8, 16), default=8, help="precision of the export (default: 8)")
    parser.add_argument("--raw", action="store_true", help="export without the end-to-end head")
    parser.add_argument("--note", default="", help="a sentence for the model card")
    chosen = parser.parse_args()
    work = chosen.work.resolve()
    quiet_ultralytics(work)
    if "render" in chosen.steps:
        render(work)
    if "train" in chosen.steps:
        train(work, chosen.seed)
    if "export" in chosen.steps:
        export(work, chosen)


STEPS = ("render", "train", "export")


def labelled(label: Label) -> bool:
    """Whether an object is large and visible enough to be asked for."""
    large = label.height >= LEAST_HEIGHT_PX and label.width >= LEAST_WIDTH_PX
    return large and label.visibility >= LEAST_VISIBILITY


def render_town(seed: int, folder: Path, moments: int) -> int:
    """Write every picture and label file of one town; returns the number of pictures."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([19, seed])
    town = random_town(seed)
    painter = TownPainter(town)
    light = random_light(rng)
    for view in range(CAMERAS_A_TOWN):
        if view % 3 == 2:
            light = random_light(rng)
        camera = random_camera(town, rng)
        stage = Stage(painter.backdrop(camera, light))
        for index in range(moments):
            picture, labels = stage.moment(random_moment(town, camera, rng), rng)
            name = f"{int(rng.integers(16**6)):06x}_{seed}_{view}_{index}"
            cv2.imwrite(str(folder / "images" / f"{name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            (folder / "labels" / f"{name}.txt").write_text("".join(label_row(a) for a in labels if labelled(a)))
    return CAMERAS_A_TOWN * moments


def label_row(label: Label) -> str:
    """One line of a YOLO label file: class id, middle x, middle y, width, height as shares of the picture."""
    middle_x, middle_y = (label.x + label.width / 2) / WIDTH_PX, (label.y + label.height / 2) / HEIGHT_PX
    sizes = f"{label.width / WIDTH_PX:.5f} {label.height / HEIGHT_PX:.5f}"
    return f"{KINDS.index(label.kind)} {middle_x:.5f} {middle_y:.5f} {sizes}\n"


def render(work: Path) -> None:
    """Render what is missing of the training and held-out pictures."""
    jobs = [("train", s) for s in TRAIN_TOWNS] + [("val", s) for s in HELD_OUT_TOWNS]
    for part in ("train", "val"):
        for kind in ("images", "labels"):
            (work / part / kind).mkdir(parents=True, exist_ok=True)
    missing = [(part, s) for part, s in jobs if not (work / part / f"{s}.done").exists()]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = [(part, s, pool.submit(render_town, s, work / part, MOMENTS_A_CAMERA)) for part, s in missing]
        for number, (part, seed, result) in enumerate(waiting, start=1):
            result.result()
            (work / part / f"{seed}.done").touch()
            print(f"\rrendered town {number}/{len(missing)}", end="", flush=True)
    print()


def train(work: Path, seed: int) -> None:
    """Learn the lessons that are not learnt yet, each from where the one before ended."""
    start = describe_model(work, DEPTH, WIDTH)
    for index, lesson in enumerate(LESSONS):
        end = work / "runs" / lesson.name / "weights" / "last.pt"
        start = end if end.exists() else study(work, start, lesson, seed + index)


def export(work: Path, chosen: argparse.Namespace) -> None:
    """Export the last lesson's model, measure the export and write its card."""
    checkpoint = work / "runs" / LAST.name / "weights" / "last.pt"
    folder = chosen.out / f"{NAME}_openvino_model"
    xml = export_openvino(checkpoint, describe_data(work), folder, chosen.bits, end_to_end=not chosen.raw)
    model = ExportedModel(xml)
    facts = Facts(
        train_pictures=len(list((work / "train" / "images").glob("*.png"))),
        train_towns=TRAIN_TOWNS,
        held_out_towns=HELD_OUT_TOWNS,
        seed=chosen.seed,
        parameters=parameter_count(checkpoint),
        rounds=[read_round(work / "runs" / lesson.name, lesson.image_px) for lesson in LESSONS],
        bits=chosen.bits,
        end_to_end=not chosen.raw,
        megabytes=sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
        held_out=shown("held-out towns", measure(model, held_out(work / "val"))),
        recordings={path.stem: _recorded(model, path) for path in sorted(SAMPLES.glob("*.mp4"))},
        note=chosen.note,
    )
    write_card(chosen.out / "README.md", facts)


def _recorded(model: ExportedModel, path: Path) -> Precision:
    truth = SAMPLES / "ground_truth" / path.stem / "gt" / "gt.txt"
    return shown(path.stem, measure(model, recording(path, truth, RECORDING_STEP)))


def shown(name: str, precision: Precision) -> Precision:
    """The same precision, printed."""
    print(f"{name}: mAP50 {precision.map50:.3f}, mAP50-95 {precision.map50_95:.3f}", flush=True)
    return precision


def parameter_count(checkpoint: Path) -> int:
    """How many numbers the model learnt."""
    from ultralytics.models.yolo.model import YOLO

    network: Any = YOLO(str(checkpoint), task="detect").model
    return sum(p.numel() for p in network.parameters())


if __name__ == "__main__":
    main()
