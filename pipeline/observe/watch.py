"""A listener that keeps a fleet's books."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from pipeline.listen import Listener
from pipeline.observe.tally import NO_SLO_MS, FleetTally, Tally
from pipeline.wire import CameraState, FrameResult


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
        self._tally = Tally(cameras, slo_ms)
        self._lock = threading.Lock()
        self._listener = Listener(endpoint, self._hear)

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
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hear(self, message: FrameResult | CameraState) -> None:
        now_s = time.monotonic()
        with self._lock:
            if isinstance(message, CameraState):
                self._tally.hear(message, now_s)
            else:
                self._tally.add(message, now_s)
