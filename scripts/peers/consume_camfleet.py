"""camfleet, measured by an ordinary subscriber. A message carries no pixels: the frame's number is told by its `pts_s`.

Every client of the server gets the recording from its first frame on, over TCP, so a frame at n / FPS seconds is number
n. That is not taken on trust: `verify` opens the same cameras by the very code of the camera process and reads the
numbers out of the pixels, and in the run itself time must go on by one frame's duration for each `frame_id`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

from window import Job, Window

from pipeline.client import Subscriber
from pipeline.config import load_fleet
from pipeline.logs import configure_logs
from pipeline.supervise.supervisor import Supervisor
from pipeline.wire import FrameResult

NONE_FOR_S = 60.0
FPS = 25


class Numbers:
    """The number of each frame, by its `frame_id` and the stream's time."""

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}
        self._offset_s: dict[str, float] = {}

    def of(self, result: FrameResult) -> int | None:
        """None where the two disagree, or another session has begun."""
        session = self._sessions.setdefault(result.camera_id, result.session_id)
        due_s = result.pts_s - result.frame_id / FPS
        if session != result.session_id:
            return None
        offset_s = self._offset_s.setdefault(result.camera_id, due_s)
        return round(result.pts_s * FPS) if abs(due_s - offset_s) < 0.5 / FPS else None


def main() -> None:
    """Run the fleet and note every published frame that has boxes, detected or filled."""
    job = Job(sys.argv[1])
    configure_logs("camfleet", level="warning")
    with tempfile.TemporaryDirectory() as folder, Supervisor(load_fleet(_fleet_file(job, Path(folder)))) as supervisor:
        endpoint = supervisor.open().endpoint
        window, numbers = Window(job), Numbers()

        def subscribe() -> None:
            with Subscriber(endpoint, timeout_s=NONE_FOR_S, queue=0) as results:
                for result in results:
                    if result.origin == "skipped":
                        continue
                    number, detected = numbers.of(result), result.origin == "detected"
                    if not window.note(int(result.camera_id[3:]), number, partial(_boxes, result), detected=detected):
                        break
            supervisor.stop()

        subscriber = threading.Thread(target=subscribe, daemon=True)
        subscriber.start()
        supervisor.run()
        subscriber.join(NONE_FOR_S)
    window.write("camfleet", "openvino", "av")


def _boxes(result: FrameResult) -> list[list[float]]:
    return [[*box.xyxy, box.score, box.class_id, box.track_id, *(box.velocity_px_s or ())] for box in result.tracks]


def _fleet_file(job: Job, folder: Path) -> Path:
    fleet = {
        "name": "peers",
        "model": {"path": job.model} | ({"nms_iou": 0.5} if job.wants_boxes else {}),
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "cameras": {f"cam{number}": {"url": url} for number, url in enumerate(job.urls)},
        **job.options,
    }
    file = folder / "peers.yaml"
    file.write_text(json.dumps(fleet), encoding="utf-8")
    return file


if __name__ == "__main__":
    main()
