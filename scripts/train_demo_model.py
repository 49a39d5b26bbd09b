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
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from town.camera import HEIGHT_PX, WIDTH_PX
from town.card import Facts, read_round, write_card
from town.chance import FAR, NEAR, Taste, random_camera, random_light, random_moment, random_town
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
FAR_TOWNS = range(2000, 2012)
"""Learnt from in the closing lesson as well: down long streets, mostly at dusk."""
HELD_OUT_TOWNS = range(9000, 9005)
PARTS = {"train": (TRAIN_TOWNS, NEAR), "far": (FAR_TOWNS, FAR), "val": (HELD_OUT_TOWNS, NEAR)}
"""The folders of pictures, the towns they show and what is shown of them."""
DEPTH, WIDTH = 0.5, 0.25
"""YOLO26n's own scale."""
SMALL = Lesson("small", 320, 14 / 60, 0.003, 0.25, 16)
"""Half-size pictures first: a quarter of the time each, and the shapes learnt carry over."""
FULL = Lesson("full", 640, 31 / 60, 0.0018, 0.02, 16)
LAST = Lesson("last", 640, 14 / 60, 0.001, 0.02, 16)
CLOSING = Lesson("closing", 640, 11.5 / 60, 0.0009, 0.01, 8, ("train", "far"), closing=True)
LESSONS = (SMALL, FULL, LAST, CLOSING)
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


def render_town(seed: int, folder: Path, moments: int, taste: Taste) -> int:
    """Write every picture and label file of one town; returns the number of pictures."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([19, seed])
    town = random_town(seed)
    painter = TownPainter(town)
    light = random_light(rng, taste)
    for view in range(CAMERAS_A_TOWN):
        if view % 3 == 2:
            light = random_light(rng, taste)
        camera = random_camera(town, rng, taste)
        stage = Stage(painter.backdrop(camera, light))
        for index in range(moments):
            picture, labels = stage.moment(random_moment(town, camera, rng, taste), rng)
            name = f"{int(rng.integers(16**6)):06x}_{seed}_{view}_{index}"
            cv2.imwrite(str(folder / "images" / f"{name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            (folder / "labels" / f"{name}.txt").write_text("".join(label_row(a) for a in labels if labelled(a)))
    return CAMERAS_A_TOWN * moments


def label_row(label: Label) -> str:
    """One line of a YOLO label file: class id, middle x, middle y, width, height as shares of the picture."""
    middle_x, middle_y = (label.x + label.width / 2) / WIDTH_PX, (label.y + label.height / 2) / HEIGHT_PX
    sizes = f"{label.width / WIDTH_PX:.5f} {label.height / HEIGHT_PX:.5f}"
    return f"{KINDS.index(label.kind)} {middle_x:.5f} {middle_y:.5f} {sizes}\n"


def render(work: Path, parts: dict[str, tuple[range, Taste]] = PARTS) -> None:
    """Render what is missing of the training and held-out pictures."""
    for part, kind in product(parts, ("images", "labels")):
        (work / part / kind).mkdir(parents=True, exist_ok=True)
    jobs = [(part, seed, taste) for part, (towns, taste) in parts.items() for seed in towns]
    missing = [job for job in jobs if not (work / job[0] / f"{job[1]}.done").exists()]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = [
            (part, seed, pool.submit(render_town, seed, work / part, MOMENTS_A_CAMERA, taste))
            for part, seed, taste in missing
        ]
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
    checkpoint = work / "runs" / LESSONS[-1].name / "weights" / "last.pt"
    folder = chosen.out / f"{NAME}_openvino_model"
    xml = export_openvino(checkpoint, describe_data(work), folder, chosen.bits)
    model = ExportedModel(xml)
    facts = Facts(
        pictures={part: len(list((work / part / "images").glob("*.png"))) for part in PARTS},
        train_towns=TRAIN_TOWNS,
        far_towns=FAR_TOWNS,
        held_out_towns=HELD_OUT_TOWNS,
        seed=chosen.seed,
        parameters=parameter_count(checkpoint),
        rounds=[read_round(work / "runs" / lesson.name, lesson.image_px) for lesson in LESSONS],
        bits=chosen.bits,
        megabytes=sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
        held_out=shown("held-out towns", measure(model, held_out(work / "val"))),
        recordings={path.stem: recorded(model, path) for path in sorted(SAMPLES.glob("*.mp4"))},
        note=chosen.note,
    )
    write_card(chosen.out / "README.md", facts)


def recorded(model: ExportedModel, path: Path) -> Precision:
    """The precision on one of the sample recordings, printed."""
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
