"""A change of the model in a running fleet: every worker loads it beside the one at work, and all have it, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from pipeline.config.values import Model
from pipeline.errors import DetectorError
from pipeline.link import FromWorker, LoadModel, ModelLoaded

log = structlog.get_logger()


class ModelSwap:
    """One change under way. Pure bookkeeping: what is sent and heard are arguments. Not thread-safe."""

    def __init__(self, number: int, before: Model, new: Model, send: Callable[[int, LoadModel], None]) -> None:
        """Prepare; `begin` asks the workers.

        Args:
            number: Tells this change from others.
            before: The model at work, to which workers return if one of them cannot load the new one.
            new: The new one.
            send: Tells a worker, by its number.
        """
        self._number, self._before, self._new, self._send = number, before, new, send
        self._asked: dict[int, int] = {}
        self._done: set[int] = set()
        self._error = ""

    def begin(self, lives: Mapping[int, int]) -> None:
        """Ask every worker, given how often each was started again."""
        for worker in lives:
            self._ask(worker, lives[worker])

    def hear(self, replies: Mapping[int, list[FromWorker]], lives: Mapping[int, int]) -> bool:
        """True once every worker has said its word; one that was started again meanwhile is asked again.

        Raises:
            DetectorError: A worker cannot load it; those that did go back to the model before.
        """
        for worker, messages in replies.items():
            for message in messages:
                if isinstance(message, ModelLoaded) and message.number == self._number:
                    self._note(worker, message.error)
        self._asked = {worker: life for worker, life in self._asked.items() if worker in lives}
        for worker, life in self._asked.items():
            if worker not in self._done and lives[worker] != life:
                self._ask(worker, lives[worker])
        if set(self._asked) - self._done:
            return False
        if self._error:
            self._go_back()
            raise DetectorError(f"the model stays as it was: {self._error}")
        return True

    def _ask(self, worker: int, life: int) -> None:
        self._asked[worker] = life
        model = self._new.per_device()[worker]
        self._send(worker, LoadModel(self._number, model.model_dump_json()))

    def _note(self, worker: int, error: str) -> None:
        self._done.add(worker)
        self._error = self._error or error

    def _go_back(self) -> None:
        for worker in self._done:
            self._send(worker, LoadModel(self._number + 1, self._before.per_device()[worker].model_dump_json()))
