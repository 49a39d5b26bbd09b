from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.camera.runqueue import RunQueue

needs_schedstat = pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="the system does not count time in the run queue"
)


def burn(cpu: int) -> None:
    os.sched_setaffinity(0, {cpu})
    while True:
        pass


@needs_schedstat
def test_run_queue_of_a_thread_that_shares_its_processor_grows(within: Callable[[float], Iterator[None]]) -> None:
    allowed = os.sched_getaffinity(0)
    cpu = min(allowed)
    rival = multiprocessing.get_context("spawn").Process(target=burn, args=(cpu,), daemon=True)
    rival.start()
    os.sched_setaffinity(0, {cpu})
    try:
        queue, waited_ns = RunQueue(), 0
        for _ in within(30):
            until_s = time.monotonic() + 0.02
            while time.monotonic() < until_s:
                pass
            waited_ns += queue.since_last_ns()
            if waited_ns > 20_000_000:
                break
    finally:
        os.sched_setaffinity(0, allowed)
        rival.kill()
        rival.join()
    queue.close()
    queue.close()


def test_run_queue_where_the_system_does_not_tell_has_never_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr(os, "open", refuse)
    assert RunQueue().since_last_ns() == 0
