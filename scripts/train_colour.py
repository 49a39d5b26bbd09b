"""Train the small classifier of vehicles' colours from scratch on rendered towns, and write its model card.

Cuts cars and vans out of towns that no sample recording shows, as a worker cuts them out for a second look, teaches a
network of three convolutions their colours, exports it to OpenVINO, and measures the export on towns held out from
training and on the sample recordings, whose colours are known. Every figure of the card comes from the run itself.

    python scripts/train_colour.py --work /tmp/colour       # five minutes on two cores

Crops that were rendered are kept in --work, and not rendered again.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import openvino as ov
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from town.colour import COLOURS
from town.colour_truth import Vehicle, vehicles
from town.export import strip_paths
from town.swatches import SIDE_PX, Swatches, render

from pipeline.geometry import square_around

SAMPLES = Path(__file__).parent.parent / "samples"
NAME = "colour"
RECORDINGS = ("crossing", "gate", "parking", "street", "yard")
"""Those of the samples that show vehicles."""
TRAIN_TOWNS, HELD_OUT_TOWNS = range(3000, 3010), range(9100, 9103)
COPIES, EPOCHS, BATCH = 4, 16, 128
LEARNING_RATE, WEIGHT_DECAY = 0.004, 0.01
LEAST_SIDE_PX, LEAST_VISIBILITY = 24.0, 0.35
"""Measured are vehicles that the worked example looks at."""
RECORDING_STEP = 10


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the vehicles looked at were told right."""

    right: int
    of: int

    @property
    def words(self) -> str:
        """For the card."""
        return f"{self.right / max(1, self.of):.3f} of {self.of}"


class Network(nn.Module):
    """(N, 3, 32, 32) in 0..1 → (N, 9) that add up to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *self._layer(3, 12), nn.MaxPool2d(2), *self._layer(12, 24), nn.MaxPool2d(2), *self._layer(24, 32),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(COLOURS)),
        )  # fmt: skip

    @staticmethod
    def _layer(before: int, after: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()

    def scores(self, pictures: torch.Tensor) -> torch.Tensor:
        """Before they are made to add up to 1, which is what is learnt from."""
        found: torch.Tensor = self.layers(pictures)
        return found

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """How likely each colour is."""
        return self.scores(pictures).softmax(dim=1)


def main() -> None:
    """Render, learn, export, measure, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the crops (25 MB)")
    parser.add_argument("--out", type=Path, default=SAMPLES / "model", help="where the model goes")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first weights (default: %(default)s)")
    chosen = parser.parse_args()
    began_s = time.monotonic()
    chosen.work.mkdir(parents=True, exist_ok=True)
    learnt = rendered(chosen.work / "train.npz", TRAIN_TOWNS, COPIES)
    held_out = rendered(chosen.work / "held_out.npz", HELD_OUT_TOWNS, 1)
    print(
        f"{len(learnt)} crops of {len(learnt) // COPIES} vehicles after {time.monotonic() - began_s:.0f} s", flush=True
    )
    network = train(learnt, held_out, chosen.seed)
    folder = chosen.out / f"{NAME}_openvino_model"
    export(network, folder)
    model = Exported(folder / f"{NAME}.xml")
    shares = {"held-out towns": share(model, held_out)}
    shares |= {f"`{name}.mp4`": share(model, recorded(name)) for name in RECORDINGS}
    write_card(chosen.out / f"{NAME}.md", folder, shares, facts(learnt, network, chosen.seed))


def rendered(file: Path, towns: range, copies: int) -> Swatches:
    """The vehicles of these towns, from the file if it is there."""
    if not file.exists():
        found = render(towns, copies)
        np.savez_compressed(file, pictures=found.pictures, colour=found.colour, side_px=found.side_px)
    with np.load(file) as kept:
        return Swatches(kept["pictures"], kept["colour"], kept["side_px"])


def train(learnt: Swatches, held_out: Swatches, seed: int) -> Network:
    """A network that has seen every crop `EPOCHS` times, mirrored half of the time and lighter or darker."""
    torch.manual_seed(seed)
    # Two would wait for each other wherever another program has one of the processors.
    torch.set_num_threads(1)
    network = Network()
    pictures, colour = tensor(learnt.pictures), torch.from_numpy(learnt.colour)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * (len(learnt) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps)
    rare = torch.bincount(colour, minlength=len(COLOURS)).clamp(min=1).float() ** -0.5
    loss_of = nn.CrossEntropyLoss(rare / rare.mean(), label_smoothing=0.05)
    for epoch in range(EPOCHS):
        network.train()
        order = torch.randperm(len(learnt))
        for step in range(len(learnt) // BATCH):
            rows = order[step * BATCH : (step + 1) * BATCH]
            loss = loss_of(network.scores(varied(pictures[rows])), colour[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            told = network(tensor(held_out.pictures)).argmax(dim=1).numpy()
        print(f"epoch {epoch + 1}: {np.mean(told == held_out.colour):.3f} of the held-out ones are right", flush=True)
    return network


def tensor(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """(N, 3, 32, 32) in 0..1 of (N, 32, 32, 3) uint8."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def varied(pictures: torch.Tensor) -> torch.Tensor:
    """Each mirrored or not, and of another light."""
    count = len(pictures)
    mirrored = torch.where(torch.rand(count, 1, 1, 1) < 0.5, pictures.flip(3), pictures)
    light, cast = torch.empty(count, 1, 1, 1).uniform_(0.8, 1.2), torch.empty(count, 3, 1, 1).uniform_(0.95, 1.05)
    return (mirrored * light * cast).clamp(0, 1)


def export(network: Network, folder: Path) -> None:
    """Write colour.xml, colour.bin (16-bit) and metadata.yaml, as Ultralytics writes that of its classifiers."""
    folder.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    model = ov.convert_model(network, example_input=example, input=[-1, 3, SIDE_PX, SIDE_PX])
    ov.save_model(model, folder / f"{NAME}.xml", compress_to_fp16=True)
    strip_paths(folder / f"{NAME}.xml")
    names = dict(enumerate(COLOURS))
    about = {"description": "Colours of vehicles of the camfleet demo town", "license": "AGPL-3.0-or-later"}
    metadata = {**about, "task": "classify", "imgsz": [SIDE_PX, SIDE_PX], "names": names}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata, sort_keys=False))


class Exported:
    """The export, compiled."""

    def __init__(self, xml: Path) -> None:
        self._model = ov.Core().compile_model(xml, "CPU", {"INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False})

    def tell(self, pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(N,) index of the likeliest colour of (N, 32, 32, 3) crops."""
        return np.asarray(self._model(tensor(pictures).numpy())[0].argmax(axis=1), np.int64)


def share(model: Exported, swatches: Swatches) -> Share:
    """How many of those that are large enough it tells right."""
    large = swatches.side_px >= LEAST_SIDE_PX
    told = model.tell(swatches.pictures[large])
    return Share(int((told == swatches.colour[large]).sum()), int(large.sum()))


def recorded(name: str) -> Swatches:
    """The vehicles of every tenth frame of a sample recording, cut out by their true boxes."""
    by_frame = vehicles(SAMPLES / "ground_truth" / name)
    crops: list[tuple[NDArray[np.uint8], Vehicle]] = []
    with av.open(str(SAMPLES / f"{name}.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0), start=1):
            if index % RECORDING_STEP == 0:
                picture = frame.to_ndarray(format="rgb24")
                seen = [vehicle for vehicle in by_frame[index] if vehicle.visibility >= LEAST_VISIBILITY]
                crops += [(cropped(picture, vehicle), vehicle) for vehicle in seen]
    return Swatches(
        np.array([crop for crop, _ in crops], np.uint8),
        np.array([COLOURS.index(vehicle.colour) for _, vehicle in crops], np.int64),
        np.array([vehicle.side_px for _, vehicle in crops], np.float32),
    )


def cropped(picture: NDArray[np.uint8], vehicle: Vehicle) -> NDArray[np.uint8]:
    """(32, 32, 3): the square around it."""
    high, wide, _ = picture.shape
    left, top, right, bottom = square_around(vehicle.xyxy, (0, 0, wide, high))
    return np.asarray(cv2.resize(picture[top:bottom, left:right], (SIDE_PX, SIDE_PX)), np.uint8)


def facts(learnt: Swatches, network: Network, seed: int) -> dict[str, str]:
    """What the card says of the training."""
    return {
        "parameters": f"{sum(p.numel() for p in network.parameters()):,}",
        "trained on": f"{len(learnt) // COPIES} cars and vans, each cut out {COPIES} times, of {len(TRAIN_TOWNS)} "
        f"towns, seeds {TRAIN_TOWNS[0]}–{TRAIN_TOWNS[-1]}",
        "held out": f"{len(HELD_OUT_TOWNS)} towns, seeds {HELD_OUT_TOWNS[0]}–{HELD_OUT_TOWNS[-1]}",
        "training": f"{EPOCHS} epochs",
        "first weights": f"random, seed {seed}",
    }


def write_card(card: Path, folder: Path, shares: dict[str, Share], told: dict[str, str]) -> None:
    """Write the model card."""
    kilobytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e3
    rows = {
        "files": f"`{folder.name}/`: OpenVINO, 16-bit floats, {kilobytes:.0f} kB",
        "input": f"N×3×{SIDE_PX}×{SIDE_PX}, RGB, 0…1: the square around the vehicle's box",
        "output": "N×9: how likely each colour is",
        "classes": ", ".join(f"{number} {name}" for number, name in enumerate(COLOURS)),
        **told,
    }
    measured = "".join(f"| {where} | {found.words} |\n" for where, found in shares.items())
    card.write_text(
        "# The demo's classifier of colours\n\n"
        "Three convolutions, trained from scratch by `scripts/train_colour.py` on towns that it renders. It tells the\n"
        "colour of cars and vans like those of the sample recordings, and is of no use on real footage: see the\n"
        "manual's page on a second look for a model of your own.\n\n"
        "| | |\n|---|---|\n" + "".join(f"| {name} | {text} |\n" for name, text in rows.items()) + "\n"
        "## Measured on the exported model\n\n"
        f"Vehicles at least {LEAST_SIDE_PX:.0f} px long and {LEAST_VISIBILITY} visible, each cut out by its true box "
        f"on every {RECORDING_STEP}th frame;\nthe recordings show a town, cameras and vehicles that were not learnt "
        "from. What a fleet tells of a track, one look\nor a few each, is measured by `scripts/bench_cascade.py`.\n\n"
        "| pictures | told right |\n|---|---|\n" + measured,
        encoding="utf-8",
    )
    print(card.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
