"""What every consumer does: wait until frames come, let the system settle, then note each frame with boxes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

NS_PER_S = 1_000_000_000


class Job:
    """What a consumer is asked to do: the JSON file whose name is its first argument.

    Attributes:
        urls: The cameras.
        model: Folder of the OpenVINO model.
        warmup_s: To let pass after the first frame.
        seconds: To measure.
        options: Of this system.
        wants_boxes: Whether to answer with the boxes, too.
    """

    def __init__(self, file: str) -> None:
        asked = json.loads(Path(file).read_text(encoding="utf-8"))
        self.urls: list[str] = asked["urls"]
        self.model: str = asked["model"]
        self.warmup_s: float = asked["warmup_s"]
        self.seconds: float = asked["seconds"]
        self.options: dict[str, Any] = asked["options"]
        self.wants_boxes: bool = asked.get("wants_boxes", False)
        self.answer = Path(asked["answer"])

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the model's input, px, as Ultralytics wrote it beside the model."""
        told = (Path(self.model) / "metadata.yaml").read_text(encoding="utf-8")
        sides = re.search(r"^imgsz:\s*\[?\s*-?\s*(\d+)[\s,-]+(\d+)", told, re.MULTILINE)
        assert sides is not None
        return int(sides[1]), int(sides[2])


class Window:
    """Frames with boxes, from the end of the warm-up until the time is over. Times are monotonic ns."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._first_ns: int | None = None
        self._rows: list[tuple[int, int, int, bool]] = []
        self._boxes: list[list[list[float]]] = []
        self._unreadable = 0

    def note(
        self,
        camera: int,
        number: int | None,
        boxes: Callable[[], list[list[float]]] | None = None,
        *,
        detected: bool = True,
        at_ns: int | None = None,
    ) -> bool:
        """There are boxes for a frame; False once the time is over.

        Args:
            camera: Which of the job's.
            number: The frame's; None where it cannot be read.
            boxes: Gives them, where they are wanted: left, top, right, bottom in px of the picture, score, class id,
                track id, and if the system tells it how fast the four edges move, px/s.
            detected: Whether the detector ran on this frame.
            at_ns: When they were there; now, if not said.
        """
        now_ns = time.monotonic_ns() if at_ns is None else at_ns
        self._first_ns = now_ns if self._first_ns is None else self._first_ns
        since_s = (now_ns - self._first_ns) / NS_PER_S - self._job.warmup_s
        if since_s >= self._job.seconds:
            return False
        if since_s >= 0 and number is None:
            self._unreadable += 1
        elif since_s >= 0 and number is not None:
            self._rows.append((camera, number, now_ns, detected))
            if self._job.wants_boxes and boxes is not None:
                self._boxes.append(boxes())
        return True

    def write(self, *packages: str) -> None:
        """Answer with the frames, and the versions of the packages that were measured."""
        answer = {
            "seconds": self._job.seconds,
            "from_ns": (self._first_ns or 0) + round(self._job.warmup_s * NS_PER_S),
            "rows": self._rows,
            "boxes": self._boxes,
            "unreadable": self._unreadable,
            "versions": {package: version(package) for package in packages},
        }
        self._job.answer.write_text(json.dumps(answer), encoding="utf-8")
