"""Another model, loaded and warmed beside the one at work, and held until every worker has it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from pipeline.detect import Detector
from pipeline.errors import PipelineError
from pipeline.link import LoadModel, ModelLoaded

FAULT = "its loading has failed by a fault of camfleet's; the log of the fleet says more"


class Swap:
    """Loads one model at a time in a thread of its own; everything else belongs to the loop's thread.

    Attributes:
        asked_by: Who asked for it; empty while nothing is asked, or it is not wanted any more.
    """

    def __init__(self, load: Callable[[str], Detector]) -> None:
        self._load = load
        self._done_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None
        self._number = 0
        self._detector: Detector | None = None
        self._error = ""
        self._holds = self._told = False
        self.asked_by = ""

    def fileno(self) -> int:
        """Readable once it is loaded or has failed, until `word` or `detector` was asked."""
        return self._done_fd

    @property
    def detector(self) -> Detector | None:
        """What is to take over now; None while nothing is."""
        return self._detector if self._finished and not self._holds else None

    def begin(self, sender: str, request: LoadModel) -> None:
        """Load this model; a request that comes while another is under way takes its place once that is done."""
        before, self.asked_by, self._number = self._thread, sender, request.number
        self._holds, self._told = request.holds, False

        def run() -> None:
            if before is not None:
                before.join()
            self._discard()
            self._error = FAULT
            try:
                self._detector = self._load(request.model)
                self._error = ""
            except PipelineError as error:
                self._error = str(error)

        self._thread = threading.Thread(target=self._noting(run), name="load-model", daemon=True)
        self._thread.start()

    def use(self, number: int) -> None:
        """Let the model of this change take over."""
        if number == self._number:
            self._holds = False

    def drop(self, number: int) -> None:
        """Let go of the model of this change, in a moment if it is being loaded still."""
        if number != self._number or self._thread is None:
            return
        before, self.asked_by = self._thread, ""

        def run() -> None:
            before.join()
            self._discard()

        self._thread = threading.Thread(target=run, name="drop-model", daemon=True)
        self._thread.start()

    def word(self) -> ModelLoaded | None:
        """What is to be told of it, once; None while there is nothing."""
        if not self._finished or self._told or not (self._holds or self._error):
            return None
        self._told = True
        return ModelLoaded(self._number, self._error)

    def took_over(self) -> ModelLoaded:
        """It has: what is to be told. Whoever serves now owns the detector."""
        self._detector, self._thread = None, None
        return ModelLoaded(self._number, serves=True)

    def close(self) -> None:
        """Let go of what is loaded."""
        if self._finished:
            self._discard()

    @property
    def _finished(self) -> bool:
        """Whether the model is loaded, or has failed to."""
        if self._thread is None or self._thread.is_alive():
            return False
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._done_fd)
        return bool(self.asked_by)

    def _discard(self) -> None:
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def _noting(self, run: Callable[[], None]) -> Callable[[], None]:
        def noted() -> None:
            try:
                run()
            finally:
                os.eventfd_write(self._done_fd, 1)

        return noted
