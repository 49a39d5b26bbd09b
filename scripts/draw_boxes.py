"""A picture of what a fleet sees: one moment of every recording with the boxes that were published for it.

    .venv/bin/python scripts/draw_boxes.py samples/*.mp4 --model samples/model/demo_openvino_model --at 5 6.5

Runs a fleet over the recordings as fast as it detects, and draws the published boxes on the very frames they belong to:
solid where the detector saw the object in that frame, dashed where the tracker filled in.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import yaml

from pipeline import FrameResult, Subscriber, SubscriberTimeout, draw
from pipeline.config import load_fleet
from pipeline.supervise.supervisor import Supervisor


def main() -> None:
    """Run the fleet, draw the moments, write one mosaic."""
    options = _options()
    results = _watch(options)
    pictures = [
        _drawn(path, at_s, [result for result in results if result.camera_id == path.stem])
        for path in options.recordings
        for at_s in options.at
    ]
    _write(pictures, options.columns, options.output)


def _watch(options: argparse.Namespace) -> list[FrameResult]:
    """Everything a fleet publishes about the recordings, played once."""
    track = {"fill": options.fill, "birth_score": options.birth_score, "high_score": options.birth_score - 0.1}
    body = {
        "model": {"path": str(options.model.absolute()), "nms_iou": 0.5},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "defaults": {"stride": options.stride, "pace": "fastest", "track": track},
        "cameras": {path.stem: {"url": str(path.absolute())} for path in options.recordings},
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


def _drawn(path: Path, at_s: float, results: list[FrameResult]) -> np.ndarray:
    """The frame shown at `at_s`, (H, W, 3) uint8 BGR, with its boxes."""
    result = min(results, key=lambda result: abs(result.pts_s - at_s))
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        picture = next(frame for number, frame in enumerate(frames) if number == result.frame_id).to_ndarray(
            format="bgr24"
        )
    return draw(picture, result, caption=True)


def _write(pictures: list[np.ndarray], columns: int, output: Path) -> None:
    width, height = 640, 360
    cells = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pictures]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    cv2.imwrite(
        str(output), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85] if output.suffix in (".jpg", ".jpeg") else []
    )
    print(f"wrote {output}")


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
