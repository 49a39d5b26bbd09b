"""Waiting for what other processes do."""

from __future__ import annotations

import threading
from collections.abc import Callable

DEADLINE_S = 60.0


def wait_until(within: Callable, done: Callable[[], object]) -> None:
    """Until `done` is true; fails after a minute. `within` is the fixture."""
    for _ in within(DEADLINE_S):
        if done():
            return
        threading.Event().wait(0.02)
