"""A change of the model in a running fleet: every worker loads it beside the one at work, and all use it, or none.

First all load and warm it and hold it; once all have it, it takes over everywhere. One that cannot have it says why,
and the others let go of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.config.values import Model
from pipeline.errors import DetectorError
from pipeline.link import DropModel, FromSupervisor, FromWorker, LoadModel, ModelLoaded, UseModel

STAYS = "the model stays as it was: "


class ModelSwap:
    """One change under way. Pure bookkeeping: what is sent and heard are arguments. Not thread-safe.

    Attributes:
        holds: Whether workers hold the model, instead of letting it take over.
    """

    def __init__(self, number: int, before: Model, new: Model, send: Callable[[int, FromSupervisor], None]) -> None:
        """Prepare; `begin` asks the workers.

        Args:
            number: Tells this change from others.
            before: The model at work, to which workers return if one fails that had loaded the new one before.
            new: The new one.
            send: Tells a worker, by its number.
        """
        self._number, self._before, self._new, self._send = number, before, new, send
        self._asked: dict[int, int] = {}
        self._done: set[int] = set()
        self._errors: dict[int, str] = {}
        self.holds = True

    def begin(self, lives: Mapping[int, int]) -> None:
        """Ask every worker, given how often each was started again."""
        for worker in lives:
            self._ask(worker, lives[worker])

    def commit(self) -> None:
        """Let it take over everywhere."""
        self.holds = False
        for worker in self._done:
            self._send(worker, UseModel(self._number))
        self._done.clear()

    def abort(self) -> None:
        """Let go of it everywhere; nothing has taken over."""
        for worker in self._asked:
            self._send(worker, DropModel(self._number))

    def hear(self, replies: Mapping[int, list[FromWorker]], lives: Mapping[int, int]) -> bool:
        """True while every worker has it: holds it, or after `commit` uses it.

        One that was started again meanwhile is asked again.

        Raises:
            DetectorError: A worker cannot load it; the others stay with the model before.
        """
        for worker, messages in replies.items():
            for message in messages:
                if isinstance(message, ModelLoaded) and message.number == self._number:
                    self._note(worker, message)
        self._asked = {worker: life for worker, life in self._asked.items() if worker in lives}
        for worker, life in self._asked.items():
            if lives[worker] != life:
                self._done.discard(worker)
                self._errors.pop(worker, None)
                self._ask(worker, lives[worker])
        if set(self._asked) - self._done - set(self._errors):
            return False
        if self._errors:
            self.abort() if self.holds else self._go_back()
            raise DetectorError(STAYS + next(iter(self._errors.values())))
        return True

    def _ask(self, worker: int, life: int) -> None:
        self._asked[worker] = life
        model = self._new.per_device()[worker]
        self._send(worker, LoadModel(self._number, model.model_dump_json(), self.holds))

    def _note(self, worker: int, word: ModelLoaded) -> None:
        if word.error:
            self._errors[worker] = word.error
        elif word.serves != self.holds:
            self._done.add(worker)

    def _go_back(self) -> None:
        for worker in self._done:
            model = self._before.per_device()[worker]
            self._send(worker, LoadModel(self._number + 1, model.model_dump_json(), holds=False))
