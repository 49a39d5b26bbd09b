"""What a sampling profiler sees of every process: py-spy, the only place that knows of it.

It reads the memory of a process a hundred times a second and does not stop it for that (`--nonblocking`). The kernel
lets it look at processes of the same user, unless `kernel.yama.ptrace_scope` forbids that for all but a debugger's own
children, or the process runs in a container without SYS_PTRACE; then only root may, and that is said before anything
long begins.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline.errors import ProfileError
from pipeline.extras import told
from pipeline.foreign import UNREADABLE
from pipeline.profile.figures import HotFunction, Sampled

RATE_HZ = 100
HOTTEST = 5
GRACE_S = 60.0
"""What py-spy may take beyond the time that it was asked for: it reads the symbols of every library first, a second of
CPU time for a worker, and it stands back behind the fleet as everything of ours."""
LAST_S = 5.0
"""What it may take to write what it has, once it was told to end."""
TURN_S = 0.25
WAITS = frozenset({"wait", "poll", "select", "sleep", "join", "acquire", "_wait_for_tstate_lock"})
"""Functions in which a thread waits. On a busy machine one that has been woken and waits for a core is seen as working
there, and that is half of all samples of a camera."""
_NO_FUNCTION = "thread ("
_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_PACKAGES = re.compile(r".*/(?:site|dist)-packages/")
_STANDARD = re.compile(r".*/lib/python3\.\d+/")


class _Frame(msgspec.Struct):
    name: str
    file: str | None = None
    line: int | None = None


class _Shared(msgspec.Struct):
    frames: list[_Frame]


class _Thread(msgspec.Struct):
    """One thread: `samples` are stacks, the caller first, one for each time that it was looked at and worked."""

    samples: list[list[int]]


class _Speedscope(msgspec.Struct):
    """The parts of https://www.speedscope.app/file-format-schema.json that are looked at."""

    shared: _Shared
    profiles: list[_Thread]


def require_sampler() -> None:
    """Say now, not after a minute, that processes cannot be sampled.

    Raises:
        ProfileError: py-spy is not installed, or the kernel lets only root look into processes.
    """
    program()
    if os.geteuid() != 0 and ptrace_scope() > 0:
        raise ProfileError(
            "--sample cannot look into processes: kernel.yama.ptrace_scope lets only root do that; run it with "
            "sudo, or allow it until the next start by: sudo sysctl kernel.yama.ptrace_scope=0"
        )


def ptrace_scope(path: Path = _PTRACE_SCOPE) -> int:
    """How strict the kernel is about looking into processes; 0 where it does not care."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def sample(
    pids: Mapping[str, tuple[int, ...]], seconds: float, folder: Path, turn: Callable[[float], None]
) -> list[Sampled]:
    """Every process for `seconds`, all at once; blocks.

    Args:
        pids: By name; of several ids, the first is looked at.
        seconds: How long.
        folder: Gets a speedscope file for each.
        turn: Called with the seconds that are over; for progress.

    Raises:
        ProfileError: Nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProfileError(f"{folder}: samples cannot be written there: {error.strerror}") from None
    with tempfile.TemporaryDirectory() as errors:
        runs = [
            _Run.start(name, ids[0], seconds, folder / f"{_safe(name)}.speedscope.json", Path(errors) / _safe(name))
            for name, ids in pids.items()
            if ids
        ]
        began_s = time.monotonic()
        while (spent_s := time.monotonic() - began_s) < seconds + GRACE_S and any(run.runs for run in runs):
            turn(min(spent_s, seconds))
            time.sleep(TURN_S)
        return [run.end() for run in runs]


@dataclass(frozen=True, slots=True)
class _Run:
    """One py-spy at work."""

    name: str
    process: subprocess.Popen[bytes]
    file: Path
    errors: Path

    @classmethod
    def start(cls, name: str, pid: int, seconds: float, file: Path, errors: Path) -> _Run:
        command = [program(), "record", "--pid", str(pid), "--duration", str(max(1, round(seconds))), "--rate"]
        command += [str(RATE_HZ), "--format", "speedscope", "--nonblocking", "--threads", "--output", str(file)]
        file.unlink(missing_ok=True)
        with errors.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        return cls(name, process, file, errors)

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def end(self) -> Sampled:
        """What it has seen."""
        if self.runs:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(LAST_S)
        if self.runs:
            self.process.kill()
            self.process.wait()
            return Sampled(name=self.name, error=f"py-spy had not ended {GRACE_S:g} s after its time")
        if not self.file.exists():
            words = self.errors.read_text("utf-8", "replace").strip().splitlines()
            return Sampled(name=self.name, error=words[-1] if words else "py-spy wrote nothing")
        return summarize(self.name, self.file)


def summarize(name: str, file: Path) -> Sampled:
    """The hottest functions of a speedscope file: those that were on top of the stack most often, waiting left out."""
    try:
        told = msgspec.json.decode(file.read_bytes(), type=_Speedscope)
    except UNREADABLE as error:
        return Sampled(name=name, error=f"what py-spy wrote cannot be read: {error}")
    on_top: Counter[tuple[str, str]] = Counter()
    for thread in told.profiles:
        for stack in filter(None, thread.samples):
            frame = told.shared.frames[stack[-1]]
            if frame.name.rpartition(".")[2] not in WAITS and not frame.name.startswith(_NO_FUNCTION):
                on_top[frame.name, _where(frame)] += 1
    samples = sum(on_top.values())
    hottest = tuple(
        HotFunction(name=function, where=where, percent=round(100 * count / samples, 1))
        for (function, where), count in on_top.most_common(HOTTEST)
    )
    return Sampled(name=name, samples=samples, hottest=hottest, file=str(file))


def _where(frame: _Frame) -> str:
    """File and line, without what is the same for all files of a library."""
    if not frame.file:
        return ""
    path = _STANDARD.sub("", _PACKAGES.sub("", frame.file))
    at = path.find("pipeline/")
    return f"{path[at:] if at > 0 else path}:{frame.line}" if frame.line else path


def program() -> str:
    """py-spy of this environment, or else of the path.

    Raises:
        ProfileError: It is not installed.
    """
    beside = Path(sysconfig.get_path("scripts")) / "py-spy"
    found = str(beside) if beside.is_file() else shutil.which("py-spy")
    if found is None:
        raise ProfileError(told("profile", "--sample", ["py-spy"]))
    return found


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)
