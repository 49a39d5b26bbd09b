"""What must not end a fleet: nobody to talk to, processes that do not start."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ControlError
from pipeline.supervise.control import ask

DEADLINE_S = 60.0


def wait_until(within: Callable, done: Callable[[], object]) -> None:
    for _ in within(DEADLINE_S):
        if done():
            return
        threading.Event().wait(0.05)


def processes() -> dict[str, Any]:
    """By name; empty while the fleet does not answer yet."""
    try:
        return {one["name"]: one for one in ask({"command": "status"})["processes"]}
    except ControlError:
        return {}


@contextmanager
def stderr_that_fails(how: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """A descriptor for stderr, and what to call for it to fail."""
    reading, writing = pty.openpty() if how == "terminal" else os.pipe()
    left = [reading, writing]
    if how == "full disk":
        left.append(os.open("/dev/full", os.O_WRONLY))
    try:
        yield left[-1], lambda: os.close(left.pop(0))
    finally:
        for descriptor in left:
            os.close(descriptor)


@pytest.mark.parametrize("how", ["full disk", "pipe without reader", "terminal", "closed"])
def test_fleet_goes_on_when_nobody_can_be_told(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable, how: str
):
    path = fleet_file({"gate": {"url": str(recording), "loop": True}})
    command = f'exec "{sys.executable}" -m pipeline run "{path}" {"2>&-" if how == "closed" else ""}'
    with (
        stderr_that_fails(how) as (stderr, fail),
        subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            wait_until(within, lambda: processes().get("camera gate", {}).get("pid"))
            fail()
            for name in ("camera gate", "worker"):
                os.kill(processes()[name]["pid"], signal.SIGKILL)
                wait_until(within, lambda name=name: processes()[name]["restarts"] and processes()[name]["pid"])
        finally:
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "frames decoded" in told
    assert not list(runtime.glob("camfleet/[!.]*")), "nothing is left behind"
