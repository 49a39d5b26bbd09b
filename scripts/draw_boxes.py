"""A picture of what a fleet sees: one moment of every recording with the boxes that were published for it.

    .venv/bin/python scripts/draw_boxes.py samples/*.mp4 --model samples/model/demo_openvino_model --at 5 6.5

Runs a fleet over the recordings as fast as it detects, and draws the published boxes on the very frames they belong to:
solid where the detector saw the object in that frame, dashed where the tracker filled in. Each picture keeps its shape;
what is left of its cell is black.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import yaml

from pipeline import FrameResult, PipelineError, RenderError, Subscriber, SubscriberTimeout, draw
from pipeline.config import load_fleet
from pipeline.geometry import Letterbox
from pipeline.redact import redact
from pipeline.replay.options import plan_cameras
from pipeline.supervise.supervisor import Supervisor

CELL_WH = (640, 360)
"""Of one picture in the mosaic, px."""


def main() -> None:
    """Run the fleet, draw the moments, write one mosaic; what cannot be is told in one line."""
    options = _options()
    try:
        _check_output(options.output)
        cameras = {plan.name: plan.file for plan in plan_cameras(options.recordings, None)}
        results = _watch(options, cameras)
        pictures = [
            drawn(path, at_s, [result for result in results if result.camera_id == name])
            for name, path in cameras.items()
            for at_s in options.at
        ]
        write(pictures, options.columns, options.output)
    except PipelineError as error:
        sys.exit(f"draw_boxes: {redact(error)}")
    print(f"wrote {options.output}")


def _check_output(output: Path) -> None:
    """Say now, not after the fleet has run, that the mosaic cannot be written."""
    if not cv2.haveImageWriter(str(output)):
        raise RenderError(f"--output {output}: is no kind of picture; give a name such as boxes.jpg or boxes.png")
    if not output.absolute().parent.is_dir():
        raise RenderError(f"--output {output}: there is no folder {output.absolute().parent}; make it first")


def _watch(options: argparse.Namespace, cameras: dict[str, Path]) -> list[FrameResult]:
    """Everything a fleet publishes about the recordings, played once."""
    track = {"fill": options.fill, "birth_score": options.birth_score, "high_score": options.birth_score - 0.1}
    body = {
        "model": {"path": str(options.model.absolute()), "nms_iou": 0.5},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "defaults": {"stride": options.stride, "pace": "fastest", "track": track},
        "cameras": {name: {"url": str(path.absolute())} for name, path in cameras.items()},
    }
    results: list[FrameResult] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "draw.yaml"
        file.write_text(yaml.safe_dump(body))
        with Supervisor(load_fleet(file)) as supervisor:
            endpoint, stop = supervisor.open().endpoint, threading.Event()

            def listen() -> None:
                with Subscriber(endpoint, timeout_s=0.2, queue=0) as subscriber:
                    while not stop.is_set():
                        try:
                            results.append(subscriber.receive())
                        except SubscriberTimeout:
                            continue

            thread = threading.Thread(target=listen)
            thread.start()
            supervisor.run()
            stop.set()
            thread.join()
    return results


def drawn(path: Path, at_s: float, results: list[FrameResult]) -> np.ndarray:
    """The frame shown at `at_s`, (H, W, 3) uint8 BGR, with its boxes.

    Raises:
        RenderError: There are no results of this recording.
    """
    if not results:
        raise RenderError(f"{path}: no picture of it was published; is it a recording?")
    result = min(results, key=lambda result: abs(result.pts_s - at_s))
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        picture = next(frame for number, frame in enumerate(frames) if number == result.frame_id).to_ndarray(
            format="bgr24"
        )
    return draw(picture, result, caption=True)


def cell_of(picture: np.ndarray) -> np.ndarray:
    """A picture as it goes into the mosaic, (360, 640, 3) uint8: in its own shape, in the middle of black."""
    box = Letterbox.fit((picture.shape[1], picture.shape[0]), CELL_WH)
    (left, top), (width, height) = box.pad_xy, box.content_wh
    cell = np.zeros((CELL_WH[1], CELL_WH[0], 3), np.uint8)
    cell[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cell


def write(pictures: list[np.ndarray], columns: int, output: Path) -> None:
    """Write the pictures as one, row by row.

    Raises:
        RenderError: It cannot be written.
    """
    cells = [cell_of(picture) for picture in pictures]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, 85] if output.suffix in (".jpg", ".jpeg") else []
    if not cv2.imwrite(str(output), np.vstack(rows), jpeg):
        raise RenderError(f"--output {output} cannot be written; is there room, and is the folder yours?")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--at", type=float, nargs="+", default=[5.0], help="moments of each recording, s")
    parser.add_argument("--stride", type=int, default=2)
    parser.add_argument("--fill", default="predict", choices=["predict", "interpolate", "none"])
    parser.add_argument(
        "--birth-score", type=float, default=0.5, help="least score of a detection that begins an object"
    )
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("boxes.jpg"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
