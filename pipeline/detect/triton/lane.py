"""One lane: one request in flight at a Triton server, which may be slow, killed, started again or gone.

What becomes of a request that fails:

- The connection broke, or the server says that it cannot serve: another is made, to the next server if there are
  several, and the same pictures are tried again while they are fresh. A server that connects so fast loses none.
- No server answers: the lane tries again and again until the deadline, then the pictures go without boxes
  (`DetectorAway`). When a server answers again, the pictures that waited are given up for fresh ones.
- All servers are there and fail, each at once: their pictures go without boxes, after a pause.
- No answer within the deadline, because the server is slow or stopped, or the connection half open: the same, at once.
- Another model under the same name: the detector fails, and the worker's successor loads what is there then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detect.protocol import PAD_GREY, DetectorAway
from pipeline.detect.triton.client import Connection, Named, RequestRefused
from pipeline.detect.triton.memory import Carrier
from pipeline.detect.triton.model import Requests
from pipeline.detect.triton.servers import Servers
from pipeline.errors import DetectorError

FRESH_S = 0.1
"""Pictures that have waited longer for a server are not worth a request: newer ones are there."""
AGAIN_S = 0.2
"""Between two rounds of servers of which none answers."""


class AnotherModel(DetectorError):
    """A server has another model under this name than the one that the detector was made for."""


@dataclass(frozen=True, slots=True)
class Line:
    """A connection that is ready for requests.

    Attributes:
        connection: To the server.
        carrier: Of pictures and boxes.
        until_s: When another is to take its place, monotonic s.
    """

    connection: Connection
    carrier: Carrier
    until_s: float = math.inf

    @property
    def url(self) -> str:
        """The server's."""
        return self.connection.url

    def close(self, in_use: bool) -> None:
        """Let go of the memory, which a request that was given up may still use, then of the server."""
        self.carrier.close(in_use)
        self.connection.close()


@dataclass(frozen=True, slots=True)
class Task:
    """What all lanes of a detector have in common.

    Attributes:
        named: The model, as servers know it.
        requests: What is sent.
        deadline_s: How long a request may take.
        connect: Makes a line to the server at an address, until a moment of `time.monotonic`.
    """

    named: Named
    requests: Requests
    deadline_s: float
    connect: Callable[[str, float], Line]


class TritonLane:
    """The picture memory of one lane, and its line to a server. Used by one thread at a time.

    Attributes:
        pictures: (max batch, H, W, 3) uint8 RGB, the lane's own: a server that dies takes none of it away.
    """

    def __init__(self, task: Task, servers: Servers) -> None:
        self._task, self._servers = task, servers
        width, height = task.requests.input_wh
        self.pictures = np.full((task.requests.most, height, width, 3), PAD_GREY, np.uint8)
        self._line: Line | None = None
        self._version = ""
        self._is_asking = self._is_given_up = False

    def infer(self, count: int, deadline_s: float | None = None) -> NDArray[Any]:
        """The raw output for the first `count` pictures; valid until the next call.

        Raises:
            DetectorAway: No server has answered in time, the detector is being closed, or the lane was given up.
            DetectorError: The servers have another model now, or refuse every request.
        """
        began_s = time.monotonic()
        until_s = began_s + (deadline_s or self._task.deadline_s)
        refused = ""
        for _ in range(len(self._servers) + 1):
            line = self._ready_line(until_s)
            if time.monotonic() - began_s > FRESH_S and deadline_s is None:
                raise DetectorAway(self._servers.why)
            try:
                return self._ask(line, count, until_s)
            except RequestRefused as error:
                if refused:
                    raise DetectorError(f"{line.url} refuses to serve {self._task.named}: {error}") from error
                # A server that was started again does not know the memory of before; or it has a newer version.
                refused, self._is_asking = str(error), False
                self.hang_up()
            except DetectorAway as error:
                self.hang_up()
                self._require_open()
                self._servers.failed(line.url, str(error))
        # All are there and fail, each at once: whoever asks again is not to do so a thousand times a second.
        self._servers.closed.wait(max(0.0, min(AGAIN_S, until_s - time.monotonic())))
        raise DetectorAway(self._servers.why)

    def hang_up(self) -> None:
        """End the connection; the next `infer` makes another."""
        line, self._line = self._line, None
        if line is not None:
            line.close(self._is_asking)
            self._is_asking = False

    def give_up(self) -> None:
        """End the connection, and whatever waits for it in another thread; nobody uses the lane any more."""
        self._is_given_up = True
        self.hang_up()

    def _ask(self, line: Line, count: int, until_s: float) -> NDArray[Any]:
        carrier = line.carrier
        self._task.requests.pack(self.pictures[:count], carrier.pictures[:count])
        self._is_asking = True
        result = line.connection.infer(self._task.named, *carrier.send(count), until_s)
        self._is_asking = False
        version = result.get_response().model_version
        if version != self._version and self._version:
            # What that takes and gives is asked before anything of it is believed.
            raise RequestRefused(f"it serves version {version} now")
        self._version = version
        try:
            boxes = carrier.output(result)
        except ValueError as error:
            raise DetectorAway(f"{line.url}: its answer is not as long as it says: {error}") from error
        self._servers.answered(line.url)
        return boxes

    def _ready_line(self, until_s: float) -> Line:
        """The line to the server that is to be asked; waits for one until then."""
        if (held := self._line) is not None:
            if held.url == self._servers.current and time.monotonic() < held.until_s:
                return held
            self.hang_up()
        while True:
            if (line := self._connect_round(until_s)) is not None:
                self._line, self._version = line, ""
                self._require_open()
                return line
            self._servers.closed.wait(max(0.0, min(AGAIN_S, until_s - time.monotonic())))
            self._require_open()
            if time.monotonic() >= until_s:
                raise DetectorAway(self._servers.why)

    def _require_open(self) -> None:
        """Whoever closes may have missed a line that was being made, so whoever made it ends it."""
        if self._servers.closed.is_set() or self._is_given_up:
            self.hang_up()
            raise DetectorAway("the lane was given up" if self._is_given_up else "the detector is being closed")

    def _connect_round(self, until_s: float) -> Line | None:
        """A line to the first server that answers, each asked once; None where none does."""
        other: AnotherModel | None = None
        for _ in range(len(self._servers)):
            self._require_open()
            if time.monotonic() >= until_s:
                break
            url = self._servers.current
            try:
                return self._task.connect(url, until_s)
            except DetectorAway as error:
                self._servers.failed(url, str(error))
            except AnotherModel as error:
                other = error
                self._servers.failed(url, str(error))
        if other is not None:
            raise other
        return None
