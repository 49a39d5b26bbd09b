"""Another model, loaded and warmed beside the one at work."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from pipeline.detect import Detector
from pipeline.errors import PipelineError
from pipeline.link import LoadModel


class Swap:
    """Loads one model at a time in a thread of its own; everything else belongs to the loop's thread.

    Attributes:
        asked_by: Who asked for it; None while nothing is asked.
        number: Of the request.
        detector: What was loaded, until it has taken over; None before, or if it failed.
        error: Why it failed.
    """

    def __init__(self, load: Callable[[str], Detector]) -> None:
        self._load = load
        self._done_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None
        self.asked_by: str | None = None
        self.number = 0
        self.detector: Detector | None = None
        self.error = ""

    def fileno(self) -> int:
        """Readable once it is finished, until `finished` was asked."""
        return self._done_fd

    @property
    def finished(self) -> bool:
        """Whether the model is loaded, or has failed to."""
        if self._thread is None or self._thread.is_alive():
            return False
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._done_fd)
        return True

    def begin(self, sender: str, request: LoadModel) -> None:
        """Load this model; a request that comes while another is under way takes its place once that is done."""
        before = self._thread
        self.asked_by, self.number, self.error = sender, request.number, ""

        def run() -> None:
            if before is not None:
                before.join()
            self.detector, self.error = None, ""
            try:
                self.detector = self._load(request.model)
            except PipelineError as error:
                self.error = str(error)

        self._thread = threading.Thread(target=self._noting(run), name="load-model", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """It has taken over, or its failure was told."""
        self.asked_by, self.detector, self._thread = None, None, None

    def _noting(self, run: Callable[[], None]) -> Callable[[], None]:
        def noted() -> None:
            run()
            os.eventfd_write(self._done_fd, 1)

        return noted
