"""A thread that subscribes to a fleet and keeps its books."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from pipeline.client import Subscriber
from pipeline.errors import SubscriberTimeout
from pipeline.observe.tally import NO_SLO_MS, FleetTally, Tally
from pipeline.wire import CameraState, FrameResult

LOOK_S = 0.2
"""How soon the thread notices that it is to end, s."""


class FleetWatch:
    """The figures of a running fleet, live and over the whole time; a subscriber like any other.

    `live` and `whole` may be called from any thread.
    """

    def __init__(self, endpoint: str, cameras: list[str], slo_ms: float = NO_SLO_MS) -> None:
        """Begin to listen.

        Args:
            endpoint: Where the fleet publishes.
            cameras: In the order of the tables.
            slo_ms: The age that was promised.
        """
        self._endpoint = endpoint
        self._tally = Tally(cameras, slo_ms)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet-watch", daemon=True)
        self._thread.start()

    def live(self) -> FleetTally:
        """The last seconds."""
        with self._lock:
            return self._tally.live(time.monotonic())

    def whole(self) -> FleetTally:
        """Everything since the first frame."""
        with self._lock:
            return self._tally.whole()

    def close(self) -> None:
        """Stop listening; the figures stay."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        with Subscriber(self._endpoint, states=True, timeout_s=LOOK_S, queue=0) as subscriber:
            while not self._stop.is_set():
                try:
                    message = subscriber.receive()
                except SubscriberTimeout:
                    continue
                with self._lock:
                    self._book(message, time.monotonic())

    def _book(self, message: FrameResult | CameraState, now_s: float) -> None:
        if isinstance(message, CameraState):
            self._tally.hear(message, now_s)
        else:
            self._tally.add(message, now_s)
