"""The leaderboard of levers on this machine: for the demo's model on the sample town, and for YOLO26n and YOLO11n.

    .venv/bin/python scripts/bench_levers.py                 # about ten minutes; tables, and pages in out/levers/
    .venv/bin/python scripts/bench_levers.py --only town --seconds 1
    .venv/bin/python scripts/bench_levers.py --model pruned.pt --model distilled.pt     # beside the demo's model

town: the sample model in floats (`tests/float_model.py`, for f16 and INT8 need one), and as it is shipped, judged by
the exact ground truth of six recordings, frame skipping included. coco: YOLO26n and YOLO11n as they are exported, INT8
for one size, on 64 pictures of COCO, each as a candidate of the other. reference: YOLO11n on real footage that nobody
has labelled, with YOLO26n's boxes for the truth. The last two need CAMFLEET_DATA (see `footage.py`). Each is what
`camfleet levers` prints; its JSON and its page go to --out. Let nothing else run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from footage import ROOT, data_folder

sys.path.insert(0, str(ROOT))

import msgspec
from rich.console import Console

from pipeline.levers.figures import Leaderboard
from pipeline.levers.text import show_leaderboard
from tests.float_model import SAMPLE, write_float_model

YOLO = ("yolo26n_int8_openvino_model", "yolo11n_int8_openvino_model")
FOOTAGE = ("town_people_854x480_25fps", "street_vehicles_640x352_24fps", "retail_people_1920x1080_30fps_hevc")
KINDS = ("town", "shipped", "coco", "reference")


@dataclass(frozen=True, slots=True)
class Run:
    """One leaderboard: its name, and the arguments of `camfleet levers`."""

    name: str
    arguments: list[str]


def main() -> None:
    """Print every leaderboard; exit code 1 where one could not be made."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    failed = [run.name for run in _runs(options) if not _levers(run, options)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _runs(options: argparse.Namespace) -> Iterator[Run]:
    kinds = options.only or KINDS
    town = ["--fleet", str(ROOT / "configs" / "evaluate.yaml")]
    others = [argument for model in options.models for argument in ("--model", str(model))]
    if "town" in kinds:
        floats = options.out / "demo-float_openvino_model"
        made = floats if floats.is_dir() else write_float_model(options.out)
        yield Run("town", [str(made), *town, *others])
    if "shipped" in kinds:
        yield Run("shipped", [str(SAMPLE), *town, *others])
    if "coco" in kinds:
        models = [data_folder() / "models" / name for name in YOLO]
        data = ["--data", str(data_folder() / "coco" / "coco64.yaml")]
        for model, other in (models, models[::-1]):
            yield Run(f"coco-{model.name.partition('_')[0]}", [str(model), "--model", str(other), *data])
    if "reference" in kinds:
        yield Run("reference", _reference(options.out / "footage.yaml"))


def _reference(file: Path) -> list[str]:
    """Real footage as a fleet, which nobody has labelled."""
    heavier, model = (data_folder() / "models" / name for name in YOLO)
    cameras = {name.split("_")[0]: {"url": str(data_folder() / "videos" / f"{name}.mp4")} for name in FOOTAGE}
    file.write_text(yaml.safe_dump({"model": {"path": str(model)}, "cameras": cameras}), encoding="utf-8")
    return [str(model), "--fleet", str(file), "--reference", str(heavier)]


def _levers(run: Run, options: argparse.Namespace) -> bool:
    """Print a leaderboard and keep its JSON and page; whether it could be made."""
    page, seconds = str(options.out / f"{run.name}.html"), str(options.seconds)
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "levers",
        *run.arguments,
        "--seconds",
        seconds,
        "--out",
        page,
        "--json",
    ]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if ended.returncode:
        return False
    (options.out / f"{run.name}.json").write_bytes(ended.stdout)
    show_leaderboard(msgspec.json.decode(ended.stdout, type=Leaderboard), Console(width=180, highlight=False))
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, help="some of them")
    parser.add_argument("--model", dest="models", type=Path, action="append", default=[], help="beside the demo's")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the speed of each is measured")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "levers", help="for JSON and pages")
    return parser.parse_args()


if __name__ == "__main__":
    main()
