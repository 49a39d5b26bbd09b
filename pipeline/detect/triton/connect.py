"""From an address to a line that is ready for requests, with the model on it looked at first."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import structlog

from pipeline.config.triton import is_here
from pipeline.detect.protocol import PAD_GREY, DetectorAway
from pipeline.detect.triton.client import Connection, Named, RequestRefused
from pipeline.detect.triton.lane import AnotherModel, Line
from pipeline.detect.triton.memory import Carrier, CudaMemory, InRequest, SystemMemory, forget_dead
from pipeline.detect.triton.model import Requests, ServedModel, read_model
from pipeline.detect.triton.regions import MOST_KEPT, Regions
from pipeline.detect.triton.servers import State
from pipeline.errors import DetectorError

if TYPE_CHECKING:
    from pipeline.config.triton import Triton

log = structlog.get_logger()

DESCRIBE_S = 2.0
"""How long a server may take for the description of a model in all, where no picture waits for it."""
WITHOUT_MEMORY_S = 60.0
"""How long pictures go through the connection where a server keeps too much memory, before it is asked again."""


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are asked for one model."""

    named: Named
    settings: Triton
    regions: Regions = field(default_factory=Regions)

    def described(self, url: str) -> ServedModel:
        """The model as a server describes it.

        Raises:
            DetectorAway: The server does not answer, or has no such model at present.
            DetectorError: It is none that a detector can be made of.
        """
        connection = Connection(url, self.settings)
        try:
            return self._read(connection, time.monotonic() + DESCRIBE_S)
        finally:
            connection.close()

    def state(self, requests: Requests, deadline_s: float, url: str) -> State:
        """Whether a server serves this very model now: what it says, then whether it gives boxes of a grey picture.

        The picture goes through the connection, whatever carries the others: whoever closes meanwhile waits for no
        memory here.
        """
        connection = Connection(url, self.settings)
        try:
            self._require(requests.model, connection, time.monotonic() + DESCRIBE_S)
            return self._tried(connection, requests, time.monotonic() + deadline_s)
        except DetectorError:
            return State.AWAY
        finally:
            connection.close()

    def _tried(self, connection: Connection, requests: Requests, until_s: float) -> State:
        carrier, count = InRequest(requests), requests.most if requests.model.exactly else 1
        requests.pack(np.full((count, *requests.input_wh[::-1], 3), PAD_GREY, np.uint8), carrier.pictures[:count])
        try:
            carrier.output(connection.infer(self.named, *carrier.send(count), until_s))
        except (DetectorError, ValueError):
            return State.FAILS
        return State.SERVES

    def line(self, requests: Requests, url: str, until_s: float) -> Line:
        """A line to a server that serves this very model, made by then.

        Raises:
            DetectorAway: The server does not answer, or has no such model at present.
            AnotherModel: It has another under this name.
            DetectorError: Memory cannot be shared with it, although the fleet file says so.
        """
        connection = Connection(url, self.settings)
        try:
            self._require(requests.model, connection, until_s)
            if self._keeps_too_much(connection, until_s):
                return Line(connection, InRequest(requests), time.monotonic() + WITHOUT_MEMORY_S)
            return Line(connection, self._carrier(connection, requests, until_s))
        except BaseException:
            connection.close()
            raise

    def _keeps_too_much(self, connection: Connection, until_s: float) -> bool:
        try:
            kept = self.regions.kept(connection, until_s)
        except RequestRefused:
            return False
        if kept >= MOST_KEPT:
            log.warning(
                "pictures go through the connection for a while: a Triton server keeps the shared memory of requests "
                "that were given up",
                url=connection.url,
                kept=kept,
            )
        return kept >= MOST_KEPT

    def _read(self, connection: Connection, until_s: float) -> ServedModel:
        connection.require_model(self.named, until_s)
        description, config = connection.describe(self.named, until_s)
        return read_model(description, config, self.settings.metadata, f"{connection.url}: the model {self.named}")

    def _require(self, model: ServedModel, connection: Connection, until_s: float) -> None:
        try:
            found = self._read(connection, until_s)
        except DetectorAway:
            raise
        except DetectorError as error:
            raise AnotherModel(str(error)) from error
        if found != model:
            raise AnotherModel(
                f"{connection.url} has another model {self.named} now than at the start: {_difference(model, found)}"
            )

    def _carrier(self, connection: Connection, requests: Requests, until_s: float) -> Carrier:
        """How pictures get there, as the fleet file says; where it leaves that open, as it goes."""
        kind = self.settings.memory
        if kind == "none" or (kind == "auto" and not is_here(connection.url)):
            return InRequest(requests)
        try:
            if kind == "cuda":
                return CudaMemory(connection, requests, self.regions, until_s)
            memory = SystemMemory(connection, requests, self.regions, until_s)
        except RequestRefused as error:
            if kind != "auto":
                raise DetectorError(f"model.triton.memory: {connection.url} cannot open it: {error}") from error
            log.info("pictures go through the connection: the server cannot open shared memory", why=str(error))
            return InRequest(requests)
        # A server that has opened ours has this machine's memory; and what it does not let go of is no harm to us.
        with contextlib.suppress(DetectorError):
            forget_dead(connection, until_s)
        return memory


def _difference(before: ServedModel, now: ServedModel) -> str:
    """What differs, in words."""
    pairs = {
        "input": (before.input, now.input),
        "output": (before.output, now.output),
        "classes": (before.metadata.class_names, now.metadata.class_names),
    }
    parts = [name for name, (old, new) in pairs.items() if old != new] or ["batch or description"]
    return f"its {' and '.join(parts)} differ"
