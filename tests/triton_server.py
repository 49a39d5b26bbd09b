"""A real Triton server of a test's own, on a free port; skipped where there is none.

CAMFLEET_TRITONSERVER names its program, or the folder that `pip install --no-deps --target FOLDER nvidia-pytriton`
made; without it, such a folder named `tritonserver` in the environment, or a tritonserver on PATH, is taken. PyTriton's
wheel has the server with its Python backend and no other, so models are run by OpenVINO in the tests' own Python there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.servers import DEADLINE_S, Server, free_port

VARIABLE = "CAMFLEET_TRITONSERVER"


@dataclass(frozen=True)
class Installed:
    """A Triton server's files.

    Attributes:
        program: What to run.
        backends: The folder of its backends.
        libraries: A folder of libraries that it needs; None where it finds its own.
        stub: What its Python backend starts for each instance, where that has to be chosen by the Python.
    """

    program: Path
    backends: Path
    libraries: Path | None = None
    stub: Path | None = None


def installed() -> Installed | None:
    """What there is of Triton on this machine."""
    beside = Path(sys.prefix) / "tritonserver"
    named = os.environ.get(VARIABLE) or (str(beside) if beside.is_dir() else "")
    if named and Path(named).is_dir():
        server = Path(named) / "pytriton" / "tritonserver"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        stub = server / "python_backend_stubs" / python / "triton_python_backend_stub"
        return Installed(server / "bin/tritonserver", server / "backends", Path(named) / "nvidia_pytriton.libs", stub)
    program = named or shutil.which("tritonserver")
    return Installed(Path(program), Path(program).parents[1] / "backends") if program else None


needs_triton = pytest.mark.skipif(
    installed() is None, reason=f"no tritonserver; set {VARIABLE} to it or to the folder of nvidia-pytriton"
)


class TritonServer(Server):
    """Its processes for Python end with it, and it takes its shared memory along, as `kill` ends it."""

    start_s = 4 * DEADLINE_S
    """It compiles and warms up its models first; 30 s were too short on two cores beside a dozen others."""

    def __init__(self, repository: Path, folder: Path, *options: str) -> None:
        found = installed()
        assert found is not None, "marked with needs_triton"
        port = free_port()
        self.url = f"grpc://127.0.0.1:{port}"
        self._prefix = f"tritontest{os.getpid()}p{port}"
        command = [
            found.program,
            f"--model-repository={repository}",
            f"--backend-directory={_backends(found, folder)}",
            f"--backend-config=python,shm-region-prefix-name={self._prefix}",
            *("--grpc-address=127.0.0.1", f"--grpc-port={port}", "--allow-http=false", "--allow-metrics=false"),
            "--exit-timeout-secs=2",
            *options,
        ]
        super().__init__(port, command, folder, _environment(found))

    def kill(self) -> None:
        if self.process is None:
            return
        super().kill()
        # Its processes for Python are told to work in the memory of this prefix.
        left = [one for one in psutil.process_iter() if self._prefix in " ".join(_arguments(one))]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, DEADLINE_S)
        for file in Path("/dev/shm").glob(f"*{self._prefix}*"):
            file.unlink(missing_ok=True)

    def restart(self) -> None:
        """Start it on the port that it had, as soon as that is free."""
        end_s = time.monotonic() + DEADLINE_S
        while any(_listens(self.port)):
            assert time.monotonic() < end_s, "its port is still taken"
        self.start()


@contextmanager
def triton(repository: Path, folder: Path, *options: str) -> Iterator[TritonServer]:
    """A server with all models of a repository, for the block."""
    folder.mkdir(exist_ok=True)
    server = TritonServer(repository, folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return []


def _listens(port: int) -> Iterator[bool]:
    return (one.laddr.port == port and one.status == "LISTEN" for one in psutil.net_connections("tcp4"))


def _backends(found: Installed, folder: Path) -> Path:
    """PyTriton chooses the stub by the Python that runs it, and so do we."""
    if found.stub is None:
        return found.backends
    backends = folder / "backends"
    if not backends.exists():
        shutil.copytree(found.backends, backends)
        shutil.copy(found.stub, backends / "python")
    return backends


def _environment(found: Installed) -> dict[str, str]:
    """So that models in Python find what this Python has: their processes take the first python3 on PATH for theirs."""
    libraries = [found.libraries, sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
    return os.environ | {
        "LD_LIBRARY_PATH": ":".join(str(one) for one in libraries if one),
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
    }
