"""Which of several Triton servers is asked: the first that answers, by the order of the fleet file.

A server that fails a request is left at once for the next one. Those before it in the order are asked every few seconds
whether they are back, off the way of any picture: for the model, and then for boxes, as a server may answer and yet
compute nothing. Whoever fails soon after it was gone back to is waited for twice as long the next time: a return that
fails costs pictures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import structlog

log = structlog.get_logger()

BACK_S = 5.0
"""How often servers that are preferred to the one that is asked are asked whether they are back."""
LONGEST_BACK_S = 300.0
"""How seldom, after returns that failed."""
PROVEN_S = 60.0
"""A server that serves so long after it was gone back to is as good as one that never failed."""
CLOSE_S = 0.1
"""How long closing waits for the thread that asks them; it ends with its question, and registers nothing."""


class State(Enum):
    """What a server says when it is asked whether it is back."""

    AWAY = "away"
    """Nothing, or that it has not this very model."""
    FAILS = "fails"
    """That it has the model; but it gives no boxes."""
    SERVES = "serves"
    """Boxes."""


@dataclass(slots=True)
class Return:
    """When a server is gone back to; arithmetic, with the time passed in (monotonic s)."""

    wait_s: float = field(default_factory=lambda: BACK_S)
    _ask_at_s: float = 0.0
    _returned_at_s: float | None = None

    def failed(self, now_s: float) -> None:
        """It failed a request, or to give boxes when it was asked whether it is back."""
        if self._returned_at_s is not None:
            served_s, self._returned_at_s = now_s - self._returned_at_s, None
            self.wait_s = BACK_S if served_s >= PROVEN_S else self._longer_s()
        # Whoever asks looks every `BACK_S`.
        self._ask_at_s = now_s + self.wait_s - BACK_S

    def failed_to_compute(self, now_s: float) -> None:
        """It says that it serves the model, and gives no boxes."""
        self.wait_s = self._longer_s()
        self.failed(now_s)

    def is_due(self, now_s: float) -> bool:
        """Whether it may be asked."""
        return now_s >= self._ask_at_s

    def returned(self, now_s: float) -> None:
        """It is gone back to."""
        self._returned_at_s = now_s

    def _longer_s(self) -> float:
        return min(2 * self.wait_s, LONGEST_BACK_S)


class Servers:
    """Shared by all lanes of a detector; thread-safe.

    Attributes:
        closed: Set when nothing is to be asked any more; whoever waits, waits on it.
    """

    def __init__(self, urls: Sequence[str], state: Callable[[str], State]) -> None:
        """Prefer the first.

        Args:
            urls: In the order of preference.
            state: Whether a server can serve the model; may block for seconds, in a thread of its own.
        """
        self.closed = threading.Event()
        self._urls, self._state = tuple(urls), state
        self._lock = threading.Lock()
        self._current = 0
        self._away: dict[str, str] = {}
        self._returns = {url: Return() for url in self._urls}
        self._watch: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._urls)

    @property
    def current(self) -> str:
        """The one to ask."""
        return self._urls[self._current]

    @property
    def why(self) -> str:
        """Why none answers, as far as is known: what each said last."""
        with self._lock:
            return "; ".join(self._away.values()) or f"{self.current} has not answered yet"

    def failed(self, url: str, why: str) -> None:
        """A server has not answered as it should; the next is asked from now on, or the same if there is no other."""
        with self._lock:
            is_news, self._away[url] = url not in self._away, why
            if self.current == url:
                self._current = (self._current + 1) % len(self._urls)
                self._returns[url].failed(time.monotonic())
        if is_news:
            log.warning(f"a Triton server is away: {why}", asked_now=self.current)

    def answered(self, url: str) -> None:
        """A server has answered as it should."""
        if url not in self._away:
            return
        with self._lock:
            was_away = self._away.pop(url, None) is not None
        if was_away:
            log.info("a Triton server answers again", url=url)

    def watch(self) -> None:
        """Begin to look whether preferred servers are back; nothing where there is one only."""
        if len(self._urls) > 1:
            self._watch = threading.Thread(target=self._go_back, name="triton-servers", daemon=True)
            self._watch.start()

    def close(self) -> None:
        """Nobody asks any more, and whoever waits stops waiting."""
        self.closed.set()
        if self._watch is not None:
            self._watch.join(CLOSE_S)

    def _go_back(self) -> None:
        while not self.closed.wait(BACK_S):
            back = next(filter(self._is_back, self._urls[: self._current]), None)
            if back is not None:
                self.answered(back)
                with self._lock:
                    self._returns[back].returned(time.monotonic())
                    self._current = self._urls.index(back)

    def _is_back(self, url: str) -> bool:
        came_back = self._returns[url]
        if self.closed.is_set() or not came_back.is_due(time.monotonic()):
            return False
        state = self._state(url)
        if state is State.FAILS:
            with self._lock:
                came_back.failed_to_compute(time.monotonic())
            log.warning(
                "a preferred Triton server is back, but gives no boxes", url=url, asked_again_s=came_back.wait_s
            )
        return state is State.SERVES
