"""`camfleet run` on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CAMFLEET = Path(sys.executable).parent / "camfleet"
DEADLINE_S = 60


def test_run_on_a_terminal_shows_the_table_and_ends(fleet_file: Callable[..., Path], recording: Path):
    path = fleet_file({"gate": {"url": str(recording), "loop": True}})
    terminal, child = pty.openpty()
    with subprocess.Popen(
        [CAMFLEET, "run", path, "--duration", "3"],
        stdout=subprocess.PIPE,
        stderr=child,
        text=True,
        env=os.environ | {"COLUMNS": "100", "TERM": "xterm"},
    ) as process:
        os.close(child)
        output, _ = process.communicate(timeout=DEADLINE_S)
    shown = _read_all(terminal)
    assert process.returncode == 0
    assert "frames decoded" in output
    assert "fleet test" in shown
    assert "session ended" in shown, "log lines of the camera's process come out above the table"


def _read_all(terminal: int) -> str:
    """What was written to the terminal before its last writer closed it."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b""
        if not part:
            os.close(terminal)
            return shown.decode(errors="replace")
        shown += part
