"""From an address to a line that is ready for requests, with the model on it looked at first."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from pipeline.config.triton import is_here
from pipeline.detect.protocol import DetectorAway
from pipeline.detect.triton_client import Connection, Named, RequestRefused
from pipeline.detect.triton_lane import AnotherModel, Line
from pipeline.detect.triton_memory import Carrier, CudaMemory, InRequest, SystemMemory, forget_dead
from pipeline.detect.triton_model import Requests, ServedModel, read_model
from pipeline.errors import DetectorError

if TYPE_CHECKING:
    from pipeline.config.triton import Triton

log = structlog.get_logger()

DESCRIBE_S = 2.0
"""How long a server may take for the description of a model in all, where no picture waits for it."""


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are asked for one model."""

    named: Named
    settings: Triton

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

    def serves(self, model: ServedModel, url: str) -> bool:
        """Whether a server serves this very model now."""
        try:
            return self.described(url) == model
        except DetectorError:
            return False

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
            return Line(connection, self._carrier(connection, requests, until_s))
        except BaseException:
            connection.close()
            raise

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
                return CudaMemory(connection, requests, until_s)
            memory = SystemMemory(connection, requests, until_s)
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
