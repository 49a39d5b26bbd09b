"""Two smaller models for the sample town, as worked examples: one pruned of the demo model, one distilled from it.

    python scripts/smaller_models.py --work /tmp/smaller                    # everything: about an hour on two cores
    python scripts/smaller_models.py --work /tmp/smaller --steps export     # export, measure and write the card again

render draws fewer towns than the demo model learnt from, none of a sample recording. recover makes a trainable network
of the demo model as it is shipped (its checkpoint is not). prune takes from it the channels that matter least and
trains the rest on. distil takes nearly twice as many, and what is left is taught by the labels and the recovered
network's features; a student from random weights reached half the precision in more time. export writes both as the
demo model is, in 8 bits, measures the three beside each other and writes the card.

Steps that are done are not done again; remove what a step left in --work to do it anew. Training ends by time, so on a
slower machine the models are worse, not later. Where others compute on the same cores, OMP_NUM_THREADS=1 is faster.
Needs `pip install torch-pruning nncf`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from town.card import read_round
from town.chance import FAR, NEAR
from town.export import IMAGE_HW, export_openvino
from town.learn import Lesson, describe_data, describe_model, quiet_ultralytics, study
from town.measure import ExportedModel, held_out, measure
from town.prune import load, parameters, prune
from town.recover import recover, save
from town.smaller_card import Figures, Making, milliseconds_in_turns, write_smaller_card
from train_demo_model import DEPTH, HELD_OUT_TOWNS, SAMPLES, WIDTH, recorded, render, shown

MODELS = SAMPLES / "model"
DEMO = MODELS / "demo_openvino_model" / "demo.xml"
PARTS = {"train": (range(1000, 1024), NEAR), "far": (range(2000, 2006), FAR), "val": (HELD_OUT_TOWNS, NEAR)}
"""The first of the towns that the demo model learnt from, and all that were held out from it."""
SETTLING_PICTURES = 32
"""Training pictures that the recovered network's normalisations are measured on."""
JUDGING_PICTURES = 64
"""Training pictures on which it is judged what channels matter."""
STUDENT_SHARE = 0.45
"""Of the channels of each layer that can lose some, those that the student lacks."""
ABOUT = {
    "pruned": "YOLO26n of the camfleet demo town, pruned",
    "distilled": "smaller YOLO26 distilled from that of the camfleet demo town",
}
STEPS = ("render", "recover", "prune", "distil", "export")


def main() -> None:
    """Do the steps that the command line asks for, and note how long each took."""
    chosen = _options()
    work = chosen.work.resolve()
    quiet_ultralytics(work)
    done = {"render": _render, "recover": _recover, "prune": _prune, "distil": _distil, "export": _export}
    for step in chosen.steps:
        print(f"{step} …", flush=True)
        started_s = time.monotonic()
        if done[step](work, chosen):
            _note(work, step, (time.monotonic() - started_s) / 60)


def _render(work: Path, chosen: argparse.Namespace) -> bool:
    towns = [work / part / f"{seed}.done" for part, (seeds, _) in PARTS.items() for seed in seeds]
    if all(town.exists() for town in towns):
        return False
    render(work, PARTS)
    return True


def _recover(work: Path, chosen: argparse.Namespace) -> bool:
    if (work / "recovered.pt").exists():
        return False
    plan = describe_model(work, DEPTH, WIDTH)
    paths = sorted((work / "train" / "images").glob("*.png"))[:SETTLING_PICTURES]
    pictures = [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]
    save(recover(DEMO, plan, pictures), work / "recovered.pt")
    return True


def _prune(work: Path, chosen: argparse.Namespace) -> bool:
    lesson = Lesson("pruned", 640, chosen.prune_minutes / 60, 0.001, 0.02, 8, ("train", "far"), closing=True)
    return _train_rest(work, lesson, chosen.share, chosen.seed)


def _distil(work: Path, chosen: argparse.Namespace) -> bool:
    lesson = Lesson("distilled", 640, chosen.distil_minutes / 60, 0.0014, 0.02, 8, ("train", "far"), closing=True)
    return _train_rest(work, lesson, STUDENT_SHARE, chosen.seed, teacher=work / "recovered.pt")


def _train_rest(work: Path, lesson: Lesson, share: float, seed: int, teacher: Path | None = None) -> bool:
    """Take that share of its channels from the recovered network and train it on; False if that is done."""
    if _last(work, lesson).exists():
        return False
    pictures = islice(held_out(work / "train"), JUDGING_PICTURES)
    start = save(prune(load(work / "recovered.pt"), pictures, share), work / f"{lesson.name}.pt")
    study(work, start, lesson, seed, teacher=teacher, pruned=True)
    return True


def _last(work: Path, lesson: Lesson) -> Path:
    return work / "runs" / lesson.name / "weights" / "last.pt"


def _note(work: Path, step: str, minutes: float) -> None:
    """Keep how long a step took, in all its runs, for the card."""
    times = _times(work)
    times[step] = round(times.get(step, 0.0) + minutes, 1)
    (work / "minutes.json").write_text(json.dumps(times))


def _times(work: Path) -> dict[str, float]:
    path = work / "minutes.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _export(work: Path, chosen: argparse.Namespace) -> bool:
    xmls, checkpoints = {"demo": DEMO}, {"demo": work / "recovered.pt"}
    for name, about in ABOUT.items():
        checkpoints[name] = work / "runs" / name / "weights" / "last.pt"
        folder = chosen.out / f"{name}_openvino_model"
        xmls[name] = export_openvino(checkpoints[name], describe_data(work), folder, 8, name=name, about=about)
    picture = np.asarray(cv2.imread(str(SAMPLES / "demo.jpg")), np.uint8)
    ms = milliseconds_in_turns(xmls, picture)
    print("ms a picture:", {name: round(took, 1) for name, took in ms.items()}, flush=True)
    figures = [_figures(name, xmls[name], checkpoints[name], work) for name in xmls]
    write_smaller_card(chosen.out / "smaller.md", figures, ms, _making(work, chosen))
    return False


def _figures(name: str, xml: Path, checkpoint: Path, work: Path) -> Figures:
    from ultralytics.utils.torch_utils import get_flops

    print(f"{name}:", flush=True)
    network, model = load(checkpoint), ExportedModel(xml)
    return Figures(
        name=name,
        parameters=parameters(network),
        gflops=get_flops(network, list(IMAGE_HW)),
        megabytes=sum(path.stat().st_size for path in xml.parent.iterdir()) / 1e6,
        held_out=shown("held-out towns", measure(model, held_out(work / "val"))),
        recordings={path.stem: recorded(model, path) for path in sorted(SAMPLES.glob("*.mp4"))},
    )


def _making(work: Path, chosen: argparse.Namespace) -> Making:
    return Making(
        towns={part: towns for part, (towns, _) in PARTS.items()},
        pictures={part: len(list((work / part / "images").glob("*.png"))) for part in PARTS},
        minutes=_times(work),
        machine=chosen.machine,
        share=chosen.share,
        student_share=STUDENT_SHARE,
        lessons={name: _spent(work, name) for name in ABOUT},
        note=chosen.note,
    )


def _spent(work: Path, name: str) -> str:
    """What a lesson came to, in words."""
    one = read_round(work / "runs" / name, 640)
    return f"{one.epochs} epochs at {one.image_px} px ({one.minutes:.0f} min)"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures and checkpoints (1 GB)")
    parser.add_argument("--out", type=Path, default=MODELS, help="where the models go (default: %(default)s)")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="what to do (default: all)")
    parser.add_argument("--prune-minutes", type=float, default=10.0, help="training on after pruning (default: 10)")
    parser.add_argument("--distil-minutes", type=float, default=25.0, help="teaching the student (default: 25)")
    parser.add_argument("--share", type=float, default=0.25, help="of the channels that go (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first weights (default: %(default)s)")
    parser.add_argument("--machine", default="two processor cores, without a GPU", help="for the card")
    parser.add_argument("--note", default="", help="a sentence for the card")
    return parser.parse_args()


if __name__ == "__main__":
    main()
