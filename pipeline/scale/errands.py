"""What users ask of the machine that has a camera: asked at once, answered when that machine has, and not for ever.

The front's own loop only looks whether answers are there, so a machine that does not answer holds up nobody but those
who asked it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ControlError, PipelineError
from pipeline.scale.cluster import Call


@dataclass(frozen=True, slots=True)
class _Errand:
    """One that is not answered yet."""

    answer: Future[Any]
    done: Callable[[], bool]
    result: Callable[[], Any]
    until_s: float
    late: str


class Errands:
    """Not thread-safe; the answers may be awaited in any thread."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self._open: list[_Errand] = []

    def ask(self, call: Call, until_s: float, late: str) -> Future[Any]:
        """What a machine answers; `ControlError` with these words if it has not until then (monotonic, s)."""
        return self._add(_Errand(Future(), lambda: call.done, call.result, until_s, late))

    def hope(self, holds: Callable[[], bool], until_s: float, late: str) -> Future[None]:
        """Answered once that holds; `ControlError` with these words if it does not until then (monotonic, s)."""
        return self._add(_Errand(Future(), holds, lambda: None, until_s, late))

    def tend(self, now_s: float) -> None:
        """Hand on what was answered; never blocks."""
        self._open = [one for one in self._open if not _settle(one, now_s)]

    def close(self) -> None:
        """Nobody will answer any more."""
        for one in self._open:
            one.answer.set_exception(ControlError("the fleet has ended"))
        self._open.clear()

    def _add(self, errand: _Errand) -> Future[Any]:
        self._open.append(errand)
        return errand.answer


def _settle(errand: _Errand, now_s: float) -> bool:
    """Whether nothing more will come of it."""
    if errand.done():
        try:
            result = errand.result()
        except PipelineError as error:
            errand.answer.set_exception(error)
        else:
            errand.answer.set_result(result)
        return True
    if now_s >= errand.until_s:
        errand.answer.set_exception(ControlError(errand.late))
        return True
    return False
