"""Which front is the fleet's: a mark that one of them holds at a time, by saying again and again that it does.

The mark is an object in a process of the cluster's, of which there is one by name; the cluster sees to that. Whoever
holds it and says nothing for a while may be followed by another. If nobody has held it for as long as shards go on
without a front, the fleet is over: what is kept of it is forgotten, its keys too, and the mark ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pipeline.scale.shard import LEASE_S

HELD_S = 5.0
"""How long a front may be silent before another may follow it."""
_LOOK_S = 1.0


class Mark:
    """Called from any thread."""

    def __init__(
        self,
        forget: Callable[[], None],
        leave: Callable[[], None],
        lease_s: float = LEASE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nobody holds it yet.

        Args:
            forget: Makes the cluster forget what it keeps of the fleet.
            leave: Ends the process.
            lease_s: How long the fleet is remembered without a front.
            now_s: Monotonic time.
        """
        self._lock = threading.Lock()
        self._forget, self._leave, self._lease_s, self._now_s = forget, leave, lease_s, now_s
        self._holder = ""
        self._held_s = now_s()
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="lease", daemon=True).start()

    def hold(self, front: str) -> bool:
        """Whether this front holds it now; it does for `HELD_S` more, if no other does."""
        with self._lock:
            if self._holder not in ("", front) and self._is_held():
                return False
            self._holder, self._held_s = front, self._now_s()
            return True

    def release(self, front: str, ended: bool) -> None:
        """Held by this front no more; the fleet is over if it has ended that."""
        with self._lock:
            if self._holder == front:
                self._holder = ""
                self._held_s -= self._lease_s if ended else 0.0

    def held(self) -> bool:
        """Whether a front holds it."""
        with self._lock:
            return bool(self._holder) and self._is_held()

    def end(self) -> None:
        """End the watch, as in tests."""
        self._over.set()

    def _is_held(self) -> bool:
        return self._now_s() - self._held_s < HELD_S

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            with self._lock:
                over = self._now_s() - self._held_s >= self._lease_s
            if over:
                try:
                    self._forget()
                finally:
                    self._leave()
                return
