"""`camfleet run` as a service manager runs it: started, watched, started again; its processes by what they do."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipeline.errors import ControlError, ReplayError
from pipeline.supervise.control import ask

READY_S = 60.0
END_S = 15.0
ORPHANED_S = 5.0
"""How long a process may take to notice that the one that started it is gone."""
"""What an orderly end may take here; a fleet promises three seconds."""
SERVERS = {"multiprocessing.forkserver": "fork server", "multiprocessing.resource_tracker": "resource tracker"}
SUPERVISOR = "supervisor"


def fleet_file(folder: Path, urls: list[str], endpoint: str, model: dict[str, Any]) -> Path:
    """A fleet of cameras `cam0`, `cam1`, … that reconnect soon."""
    body = {
        "name": "endurance",
        "publish": {"bind": endpoint},
        "model": model,
        "defaults": {"open_timeout_s": 3, "read_timeout_s": 2, "reconnect": {"initial_s": 0.2, "max_s": 1}},
        "cameras": {f"cam{number}": {"url": url} for number, url in enumerate(urls)},
    }
    file = folder / "fleet.yaml"
    file.write_text(yaml.safe_dump(body, sort_keys=False))
    return file


def free_endpoint() -> str:
    """An address to publish at that nobody has at this moment; it stays the same when the fleet is started again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class Owner:
    """Runs one fleet at a time, from one file; its runtime folder is the caller's alone. Use it from one thread.

    Attributes:
        ends: How each fleet ended: the exit code, and whether that was wanted.
    """

    def __init__(self, file: Path, folder: Path) -> None:
        """Nothing runs yet; `folder` is where the fleet keeps its run, and takes its log."""
        self._file, self._folder = file, folder
        self._run: subprocess.Popen[bytes] | None = None
        self._ever: dict[tuple[int, float], psutil.Process] = {}
        self.ends: list[tuple[int, bool]] = []
        self.log = folder / "fleet.log"
        os.environ["XDG_RUNTIME_DIR"] = str(folder)

    def start(self) -> None:
        """Start the fleet; does not wait for it."""
        with self.log.open("ab") as log:
            self._run = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "run", str(self._file), "-q"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_no_cores,  # noqa: PLW1509 - this program has no other thread that holds a lock here
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._run is not None
        return self._run.pid

    def has_ended(self) -> bool:
        """Whether the fleet has ended by itself or by a signal; notes how."""
        assert self._run is not None
        return self._run.poll() is not None

    def note_end(self, *, wanted: bool) -> None:
        """Remember how it ended, and whether somebody had wanted that."""
        assert self._run is not None
        self.ends.append((self._run.wait(END_S), wanted))

    def processes(self) -> dict[str, psutil.Process]:
        """What runs now, by name: `supervisor`, `fork server`, `resource tracker`, `worker`, `camera cam0`, …."""
        assert self._run is not None
        found = {}
        # It may be starting, ending or stopped: what was found until then has to do.
        with suppress(psutil.Error, ControlError):
            supervisor = psutil.Process(self._run.pid)
            found[SUPERVISOR] = supervisor
            found |= {name: child for child in supervisor.children() if (name := _server(child))}
            for one in ask({"command": "status"}, timeout_s=2.0)["processes"]:
                if one["pid"]:
                    found[one["name"]] = psutil.Process(one["pid"])
            self._ever |= {(one.pid, one.create_time()): one for one in found.values()}
        return found

    def restarts(self) -> dict[str, int]:
        """How often each process was started again; those that were not are left out."""
        try:
            told: dict[str, Any] = ask({"command": "status"}, timeout_s=10.0)
        except ControlError:
            return {}  # It has ended by itself, which is told by `ends`.
        return {one["name"]: one["restarts"] for one in told["processes"] if one["restarts"]}

    def end(self) -> None:
        """End it as a service manager does, and wait; one that has ended by itself is left so."""
        assert self._run is not None
        if self.has_ended():
            self.note_end(wanted=False)
            return
        self._run.terminate()
        self.note_end(wanted=True)

    def still_alive(self) -> list[psutil.Process]:
        """Processes of this and earlier fleets that do not end; one that lost its parent just now has a moment."""
        end_s = time.monotonic() + ORPHANED_S
        while (found := self._alive()) and time.monotonic() < end_s:
            time.sleep(0.1)
        return found

    def _alive(self) -> list[psutil.Process]:
        return [one for one in self._ever.values() if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    def leftovers(self) -> list[str]:
        """Files of this owner's fleets that should not be there once the last has ended in an orderly way."""
        mine = {str(pid) for pid, _ in self._ever}
        temporary = Path(tempfile.gettempdir())
        places = (
            *Path("/dev/shm").glob("camfleet-*"),
            *(temporary / f"camfleet-{os.getuid()}").glob(".*-*"),
            *temporary.glob("pymp-*"),
        )
        found = [str(path) for path in places if mine & set(path.name.strip(".").replace("_", "-").split("-"))]
        return found + [str(path) for path in (self._folder / "camfleet").glob("[!.]*")]


def _server(child: psutil.Process) -> str | None:
    """Which of Python's own servers a process is; one that has ended has no command line any more."""
    with suppress(psutil.Error):
        command = " ".join(child.cmdline())
        return next((name for mark, name in SERVERS.items() if mark in command), None)
    return None


def _no_cores() -> None:
    """What is aborted writes no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def wait_until_served(owner: Owner, cameras: int) -> None:
    """Until every camera of the fleet has its process.

    Raises:
        ReplayError: They did not come up.
    """
    give_up_s = time.monotonic() + READY_S
    while time.monotonic() < give_up_s:
        if sum(name.startswith("camera ") for name in owner.processes()) == cameras:
            return
        time.sleep(0.2)
    raise ReplayError(f"the fleet has not come up within {READY_S:g} s; its log: {owner.log}")
