"""Render the six sample recordings of the demo town, with exact ground truth.

Writes ``samples/<camera>.mp4`` (640x360, 25 fps, 12 s, H.264 with a key frame every second and no B-frames, as a
camera sends it), ``samples/ground_truth/<camera>/gt/gt.txt`` with ``seqinfo.ini`` in MOTChallenge format, and beside it
``colours.csv``: what each car and van is painted in. Every recording ends where it began, so that replaying it in a
loop shows no jump. The result depends on ``--seed`` only.

    python scripts/make_samples.py              # all six cameras into samples/
    python scripts/make_samples.py --only gate --still /tmp/stills   # one frame as PNG instead, to look at
    python scripts/make_samples.py --truth      # the ground truth alone; the recordings stay as they are
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from town.camera import HEIGHT_PX, WIDTH_PX, Camera, Light, daylight, dusk_light
from town.colour import PAINTED, colour_name
from town.layout import Town
from town.look import KINDS
from town.motion import Cast, Trip, cast_trips
from town.plan import plan_town
from town.scene import Label, Stage
from town.scenery import TownPainter

FPS = 25
SECONDS = 12
SEED = 3
LEAST_SHARE = 0.0005
"""Less would be written as 0: such an object counts as wholly hidden."""
SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True, slots=True)
class Shot:
    """One camera of the demo: where it hangs and looks (metres in the town), its hour, and whom it sees."""

    name: str
    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fov_deg: float
    light: Light
    spots: tuple[str, ...]
    wanted: dict[str, int]
    seed: int
    crf: int = 27


DAY = daylight(-62, 46, 0.35)
DUSK = dusk_light(200, 0.35)


def shots(town: Town) -> list[Shot]:
    """The six cameras of the demo town."""
    gate = town.place("yard", 23.6, 9)
    lot = town.place("parking", 22, 13)
    return [
        Shot("gate", (gate[0] + 5.4, gate[1] - 15.5, 4.6), (gate[0] - 0.2, gate[1], 1.3), 56, DAY, ("yard", "street"),
             {"van": 1, "car": 2, "bicycle": 1, "person": 5}, 1),
        Shot("yard", (*town.place("yard", 11.5, 38.5), 6.8), (*town.place("yard", 28.5, 23), 0.3), 62, DAY, ("yard",),
             {"van": 1, "car": 1, "bicycle": 2, "person": 5}, 2),
        Shot("crossing", (town.cx + 15.5, town.cy + 17, 8.5), (town.cx - 1.5, town.cy - 1.5, 0.3), 58, DAY,
             ("street", "cross"), {"car": 3, "van": 1, "bicycle": 2, "person": 4}, 3),
        Shot("street", (town.cx - 30, town.cy + 1.5, 5.8), (town.cx - 6, town.cy - 1.4, 1.4), 56, DUSK, ("street",),
             {"car": 3, "van": 1, "bicycle": 2, "person": 2}, 4),
        Shot("parking", (lot[0] - 21, lot[1] + 14, 7.8), (lot[0] - 2, lot[1] - 1.5, 0.3), 60, DUSK, ("parking",),
             {"car": 1, "van": 1, "bicycle": 1, "person": 4}, 5),
        Shot("park", (*town.place("park", 35, 13), 5.2), (*town.place("park", 22, 21.5), 0.6), 60, DAY, ("park",),
             {"person": 6, "bicycle": 2}, 6),
    ]  # fmt: skip


def main() -> None:
    """Render what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder to write to (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="seed of the town and its traffic (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="*", help="names of cameras to render (default: all six)")
    parser.add_argument(
        "--seconds", type=int, default=SECONDS, help="length, which is also the loop (default: %(default)s)"
    )
    parser.add_argument("--truth", action="store_true", help="write the ground truth only")
    parser.add_argument("--still", type=Path, help="write one PNG a camera to this folder instead of recordings")
    chosen = parser.parse_args()
    town = plan_town(chosen.seed)
    painter = TownPainter(town)
    for shot in shots(town):
        if chosen.only and shot.name not in chosen.only:
            continue
        camera = Camera(np.array(shot.position, float), np.array(shot.target, float), shot.fov_deg)
        trips = cast_trips(town, camera, Cast(shot.spots, shot.wanted, shot.seed + 100 * chosen.seed), chosen.seconds)
        stage = Stage(painter.backdrop(camera, shot.light))
        if chosen.still:
            chosen.still.mkdir(parents=True, exist_ok=True)
            picture, labels = moment(stage, trips, 5.0, chosen.seconds, 0)
            cv2.imwrite(str(chosen.still / f"{shot.name}.png"), picture)
            print(f"{shot.name}: {len(labels)} objects")
        elif chosen.truth:
            times = [index / FPS for index in range(chosen.seconds * FPS)]
            frames = [moment(stage, trips, time_s, chosen.seconds, 0)[1] for time_s in times]
            seen = write_ground_truth(frames, shot.name, chosen.out / "ground_truth" / shot.name)
            print(f"{shot.name}: {seen} identities", flush=True)
        else:
            record(stage, trips, shot, chosen.seconds, chosen.out)


def moment(
    stage: Stage, trips: list[Trip], time_s: float, period_s: float, noise_seed: int
) -> tuple[NDArray[np.uint8], list[Label]]:
    """The picture and labels at a time of the loop."""
    poses, first = [], 1
    for trip in trips:
        poses += trip.poses(time_s, period_s, first)
        first += trip.copies(period_s)
    return stage.moment(poses, np.random.default_rng(noise_seed))


def record(stage: Stage, trips: list[Trip], shot: Shot, seconds: int, out: Path) -> None:
    """Write a recording and its ground truth."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{shot.name}.mp4"
    frames: list[list[Label]] = []
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.options = {
            "crf": str(shot.crf), "preset": "slow", "bf": "0", "g": str(FPS), "keyint_min": str(FPS),
            "sc_threshold": "0", "x264-params": "threads=1", "maxrate": "600k", "bufsize": "900k",
        }  # fmt: skip
        for index in range(seconds * FPS):
            picture, labels = moment(stage, trips, index / FPS, seconds, index)
            frames.append(labels)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
            if index % FPS == FPS - 1:
                print(f"\r{shot.name}: {index + 1}/{seconds * FPS} frames", end="", flush=True)
        container.mux(stream.encode(None))
    seen = write_ground_truth(frames, shot.name, out / "ground_truth" / shot.name)
    mean = sum(len(labels) for labels in frames) / len(frames)
    print(f"\r{shot.name}: {path.stat().st_size / 1e6:.2f} MB, {seen} identities, {mean:.1f} objects a frame")


def write_ground_truth(frames: list[list[Label]], name: str, folder: Path) -> int:
    """Write the ground truth of a recording; returns the number of identities, which count from 1 as they appear."""
    (folder / "gt").mkdir(parents=True, exist_ok=True)
    numbers: dict[int, int] = {}
    rows, colours = [], {}
    for index, labels in enumerate(frames, start=1):
        for label in sorted(labels, key=lambda a: a.actor_id):
            if label.visibility < LEAST_SHARE or label.width < 1 or label.height < 1:
                continue
            number = numbers.setdefault(label.actor_id, len(numbers) + 1)
            box = f"{label.x + 1:.2f},{label.y + 1:.2f},{label.width:.2f},{label.height:.2f}"
            rows.append(f"{index},{number},{box},1,{KINDS.index(label.kind) + 1},{label.visibility:.3f}\n")
            if label.kind in PAINTED:
                colours[number] = colour_name(label.colour)
    (folder / "gt" / "gt.txt").write_text("".join(rows))
    (folder / "colours.csv").write_text(
        "id,colour\n" + "".join(f"{number},{name}\n" for number, name in colours.items())
    )
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={name}\nimDir=img1\nframeRate={FPS}\nseqLength={len(frames)}\n"
        f"imWidth={WIDTH_PX}\nimHeight={HEIGHT_PX}\nimExt=.jpg\n"
    )
    return len(numbers)


if __name__ == "__main__":
    main()
