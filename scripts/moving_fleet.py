"""What benchmarks of fleets over Ray share: a recording that costs nothing, who hears all, and what that adds up to.

`missing` counts frames within a session that were neither heard nor told to be lost.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Generic, TypeVar

import av
import numpy as np
from endurance.books import Books

from pipeline import Subscriber, SubscriberTimeout

FPS, SECONDS = 25, 4

B = TypeVar("B", bound=Books)


class Ears(Generic[B]):
    """Hears everything, in a thread.

    Attributes:
        books: What was heard.
    """

    def __init__(self, endpoint: str, books: B) -> None:
        """Begin."""
        self.books = books
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(endpoint,))
        self._thread.start()

    def close(self) -> None:
        """Hear no more."""
        self._stop.set()
        self._thread.join()

    def _run(self, endpoint: str) -> None:
        with Subscriber(endpoint, states=True, timeout_s=0.2, queue=0) as messages:
            while not self._stop.is_set():
                try:
                    self.books.hear(messages.receive())
                except SubscriberTimeout:
                    continue


def summary(books: Books) -> dict[str, Any]:
    """What all that was heard adds up to."""
    return {
        "frames missing within sessions": sum(count for _, _, count in books.missing),
        "messages": books.messages,
        "messages that do not add up": books.unbalanced,
        "age p95 of all, ms": round(float(np.percentile([age for _, age in books.ages_ms], 95)), 1),
    }


def draw_square(file: Path) -> Path:
    """A recording of a square that moves, 320x180; the same path."""
    with av.open(str(file), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": str(FPS), "bf": "0"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for number in range(FPS * SECONDS):
            picture = np.full((180, 320, 3), 40, np.uint8)
            picture[60:120, 2 * number : 2 * number + 60] = 220
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
    return file
