"""Which of several Triton servers is asked: the first that answers, by the order of the fleet file.

A server that fails a request is left at once for the next one. The one before it in the order is asked every few
seconds whether it is back, off the way of any picture, and gone back to when it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

log = structlog.get_logger()

BACK_S = 5.0
"""How often servers that are preferred to the one that is asked are asked whether they are back."""
CLOSE_S = 0.1
"""How long closing waits for the thread that asks them; it ends with its question, and registers nothing."""


class Servers:
    """Shared by all lanes of a detector; thread-safe.

    Attributes:
        closed: Set when nothing is to be asked any more; whoever waits, waits on it.
    """

    def __init__(self, urls: Sequence[str], is_back: Callable[[str], bool]) -> None:
        """Prefer the first.

        Args:
            urls: In the order of preference.
            is_back: Whether a server can serve the model; may block for a second or so, in a thread of its own.
        """
        self.closed = threading.Event()
        self._urls, self._is_back = tuple(urls), is_back
        self._lock = threading.Lock()
        self._current = 0
        self._away: dict[str, str] = {}
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
            preferred = self._urls[: self._current]
            back = next((url for url in preferred if not self.closed.is_set() and self._is_back(url)), None)
            if back is not None:
                self.answered(back)
                with self._lock:
                    self._current = self._urls.index(back)
