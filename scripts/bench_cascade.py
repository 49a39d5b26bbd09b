"""What second looks tell, and what they cost: the sample town's vehicles and their colours.

First the samples once, every frame detected: of the tracks that are a true vehicle (IoU 0.5 on most of their detected
frames), how many have a colour, how many the right one at the end, and how many looks were told of each. Then what
looks cost where frames are short: on a virtual clock, which no other program disturbs, with twenty objects before each
camera that are others every two seconds; and a fleet of more cameras than the machine can detect, in turns without and
with second looks: detections a second and the age that 95 of 100 frames stay below.

    python scripts/bench_cascade.py                      # four minutes
    python scripts/bench_cascade.py --pairs 0            # without the fleet that is short, which wants a quiet machine
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from town.colour_truth import Vehicle, vehicles

from pipeline import Fleet, FrameResult, SubscriberTimeout
from pipeline.detections import Detections
from pipeline.geometry import iou_matrix
from pipeline.link import Settings
from pipeline.look.looks import Looks
from pipeline.look.second import Second
from pipeline.plan import CameraPlan, StrideBounds
from pipeline.worker.core import Serving
from pipeline.worker.virtual_looks import LookingLanes, LookingWorker

SAMPLES = Path(__file__).parent.parent / "samples"
RECORDINGS = ("crossing", "gate", "parking", "street", "yard")
LEAST_IOU = 0.5
CAMERAS = 8
"""Of the load: more than two cores detect at every frame."""
SETTLE_S, MEASURE_S = 6.0, 12.0
VIRTUAL_SETTLE_S, VIRTUAL_S = 4.0, 20.0


@dataclass(slots=True)
class Track:
    """One track of a recording: the true vehicles it lay on, and what was told of it."""

    lay_on: Counter[int] = field(default_factory=Counter)
    seen: int = 0
    label: str = ""
    looks: set[float] = field(default_factory=set)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, default=SAMPLES / "model" / "colour_openvino_model", help="the classifier"
    )
    parser.add_argument("--pairs", type=int, default=3, help="turns without and with (default: %(default)s)")
    chosen = parser.parse_args()
    print("| recording | vehicles tracked | with a colour | right | looks told a track |\n|---|---|---|---|---|")
    for name, tracks in told(chosen.model).items():
        print_row(name, tracks)
    print("\nvirtual: 6 cameras of 25 frames/s, a lane, 20 ms a detection, 4 ms a crop\n")
    print("| second looks | detections/s | p95 ms | looks/s |\n|---|---|---|---|")
    for of in (frozenset(), frozenset({"car"})):
        print(virtual(of))
    if chosen.pairs:
        print(f"\n{CAMERAS} cameras, load of the machine before: {psutil.getloadavg()[0]:.1f}\n")
        print("| second looks | detections/s | p95 ms | objects with an attribute |\n|---|---|---|---|")
    for _ in range(chosen.pairs):
        for looks in (False, True):
            print(cost(chosen.model, looks=looks), flush=True)


def print_row(name: str, tracks: list[Track]) -> None:
    """One recording."""
    truth = {number: vehicle.colour for rows in truths(name).values() for number, vehicle in numbered(rows)}
    lay = [(track, track.lay_on.most_common(1)[0]) for track in tracks if track.lay_on]
    true = [(track, truth[number]) for track, (number, count) in lay if 2 * count > track.seen]
    labelled = [(track, colour) for track, colour in true if track.label]
    right = sum(track.label == colour for track, colour in labelled)
    looks = np.mean([len(track.looks) for track, _ in labelled]) if labelled else 0.0
    print(f"| {name} | {len(true)} | {len(labelled)} | {right} | {looks:.1f} |", flush=True)
    wrong = Counter(f"{colour} → {track.label}" for track, colour in labelled if track.label != colour)
    print(f"<!-- {name}: {dict(wrong)} -->" if wrong else "", end="\n" if wrong else "")


def truths(name: str) -> dict[int, list[Vehicle]]:
    """The vehicles of a recording by frame, from 1."""
    return dict(vehicles(SAMPLES / "ground_truth" / name))


def numbered(rows: list[Vehicle]) -> list[tuple[int, Vehicle]]:
    """Each with its number."""
    return [(vehicle.number, vehicle) for vehicle in rows]


def body(model: Path, cameras: dict[str, Any], *, looks: bool) -> dict[str, Any]:
    """A fleet file."""
    cascade = {"cascade": {"colour": {"model": {"path": str(model)}, "of": ["car", "van"]}}} if looks else {}
    detector = {"path": str(SAMPLES / "model" / "demo_openvino_model"), "nms_iou": 0.5}
    return {"model": detector, **cascade, "publish": {"bind": "tcp://127.0.0.1:0"}, "cameras": cameras}


def told(model: Path) -> dict[str, list[Track]]:
    """The tracks of each recording."""
    cameras = {name: {"url": str(SAMPLES / f"{name}.mp4"), "pace": "fastest", "stride": 1} for name in RECORDINGS}
    tracks: dict[str, dict[tuple[str, int], Track]] = {name: defaultdict(Track) for name in RECORDINGS}
    by_frame = {name: truths(name) for name in RECORDINGS}
    for result in played(body(model, cameras, looks=True), quiet_s=8.0):
        note(result, tracks[result.camera_id], by_frame[result.camera_id].get(result.frame_id + 1, []))
    return {name: list(found.values()) for name, found in tracks.items()}


def note(result: FrameResult, tracks: dict[tuple[str, int], Track], true: list[Vehicle]) -> None:
    """What a frame says of its tracks."""
    boxes = [box for box in result.tracks if box.class_name in ("car", "van")]
    for box in boxes:
        track = tracks[result.session_id, box.track_id]
        if attribute := box.attributes.get("colour"):
            track.label = attribute.label
            track.looks.add(attribute.looked_at_s)
    detected = [box for box in boxes if box.origin == "detected"]
    for box in detected:
        tracks[result.session_id, box.track_id].seen += 1
    if not detected or not true:
        return
    iou = iou_matrix(
        np.array([box.xyxy for box in detected], np.float32), np.array([each.xyxy for each in true], np.float32)
    )
    for row, box in enumerate(detected):
        best = int(iou[row].argmax())
        if iou[row, best] >= LEAST_IOU:
            tracks[result.session_id, box.track_id].lay_on[true[best].number] += 1


def crowd(camera_id: str, frame_id: int) -> Detections:
    """Twenty vehicles side by side, in model pixels, that are others every two seconds."""
    top = 80 * (frame_id // 50 % 4) + 10
    xyxy = [(30 * column, top, 30 * column + 26, top + 26) for column in range(20)]
    return Detections(np.array(xyxy, np.float32), np.full(20, 0.9, np.float32), np.zeros(20, np.int32))


def virtual(of: frozenset[str]) -> str:
    """A row: what a second model that looks at these classes costs frames that are short."""
    second = Second("colour", ("red",), max_batch=8, of=of)
    worker = LookingWorker(
        LookingLanes(1, lambda at_s: 0.02, 0.004),
        Settings(0.15),
        serving=Serving(("car",), (640, 384), max_batch=1, lanes=1),
        detect=crowd,
        looks=lambda clock: Looks([second], ("car",), clock),
    )
    red = Detections(np.array([[0, 0, 99, 99]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32))
    worker.answer, worker.looked = (lambda look: red), []
    for index in range(6):
        plan = CameraPlan(camera_id=f"c{index}", stride=StrideBounds(1, 8))
        worker.join(plan, lambda at_s: 25.0, starts_s=0.007 * index)
    worker.run(VIRTUAL_SETTLE_S)
    worker.messages.clear()
    worker.detected.clear()
    worker.looked.clear()
    worker.run(VIRTUAL_SETTLE_S + VIRTUAL_S)
    ages_ms = [message.age_ms for message in worker.messages if isinstance(message, FrameResult)]
    rates = f"{sum(worker.detected.values()) / VIRTUAL_S:.1f} | {np.percentile(ages_ms, 95):.0f}"
    return f"| {'with' if of else 'without'} | {rates} | {len(worker.looked) / VIRTUAL_S:.0f} |"


def cost(model: Path, *, looks: bool) -> str:
    """A row of the table."""
    urls = [str(SAMPLES / f"{RECORDINGS[index % len(RECORDINGS)]}.mp4") for index in range(CAMERAS)]
    cameras = {f"c{index}": {"url": url, "loop": True} for index, url in enumerate(urls)}
    began_s, ages_ms, detected, known = 0.0, [], 0, 0
    for result in played(body(model, cameras, looks=looks), quiet_s=30.0):
        began_s = began_s or time.monotonic()
        elapsed_s = time.monotonic() - began_s
        if elapsed_s > SETTLE_S + MEASURE_S:
            break
        if elapsed_s > SETTLE_S:
            ages_ms.append(result.age_ms)
            detected += result.origin == "detected"
            known += sum(bool(box.attributes) for box in result.tracks)
    word, p95_ms = "with" if looks else "without", np.percentile(ages_ms, 95)
    return f"| {word} | {detected / MEASURE_S:.1f} | {p95_ms:.0f} | {known / len(ages_ms):.2f} a frame |"


def played(fleet: dict[str, Any], quiet_s: float) -> Any:
    """The frames of a fleet, until none has come for so long."""
    with tempfile.TemporaryDirectory(prefix="bench-cascade-") as folder:
        file = Path(folder) / "fleet.yaml"
        file.write_text(yaml.safe_dump(fleet))
        with Fleet(file, control=False) as running, running.results(timeout_s=60.0) as results:
            try:
                yield results.receive()
                while True:
                    yield results.receive(quiet_s)
            except SubscriberTimeout:
                return


if __name__ == "__main__":
    main()
