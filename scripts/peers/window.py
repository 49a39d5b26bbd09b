"""What every consumer does: wait until frames come, let the system settle, then note each frame with boxes."""

from __future__ import annotations

import json
import time
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
    """

    def __init__(self, file: str) -> None:
        asked = json.loads(Path(file).read_text(encoding="utf-8"))
        self.urls: list[str] = asked["urls"]
        self.model: str = asked["model"]
        self.warmup_s: float = asked["warmup_s"]
        self.seconds: float = asked["seconds"]
        self.options: dict[str, Any] = asked["options"]
        self.answer = Path(asked["answer"])


class Window:
    """Frames with boxes, from the end of the warm-up until the time is over. Times are monotonic ns."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._first_ns: int | None = None
        self._rows: list[tuple[int, int, int, bool]] = []
        self._unreadable = 0

    def note(self, camera: int, number: int | None, *, detected: bool = True, at_ns: int | None = None) -> bool:
        """There are boxes for a frame; False once the time is over."""
        now_ns = time.monotonic_ns() if at_ns is None else at_ns
        self._first_ns = now_ns if self._first_ns is None else self._first_ns
        since_s = (now_ns - self._first_ns) / NS_PER_S - self._job.warmup_s
        if since_s >= self._job.seconds:
            return False
        if since_s >= 0 and number is None:
            self._unreadable += 1
        elif since_s >= 0 and number is not None:
            self._rows.append((camera, number, now_ns, detected))
        return True

    def write(self, *packages: str) -> None:
        """Answer with the frames, and the versions of the packages that were measured."""
        answer = {
            "seconds": self._job.seconds,
            "rows": self._rows,
            "unreadable": self._unreadable,
            "versions": {package: version(package) for package in packages},
        }
        self._job.answer.write_text(json.dumps(answer), encoding="utf-8")
