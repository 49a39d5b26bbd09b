"""Where one running fleet keeps its shared memory: apart from every other fleet, and gone when it ends.

Shared memory outlives the processes that made it, so whoever starts a fleet owns a `RunLease`. Its files carry the
run's own prefix under /dev/shm, its directory holds the rest, and both go away when the lease is closed, or, if the
owner was killed, when the next fleet of this user starts. That a run is over is told by a file lock: the kernel drops
it with the process, and it means the same in every pid namespace, where a process id may mean somebody else. There is
one in the directory and one under /dev/shm, as either can be taken away by others while the fleet runs.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import iceoryx2 as iox
import structlog

from pipeline.errors import SlotError
from pipeline.orphans import end_orphans

log = structlog.get_logger()

SHARED_MEMORY = Path("/dev/shm")
_LOCK = "lock"
_GATE = ".gate"
_SLOTS = "slots"
_CREATING = "creating"
_SOCKET_PATH_BYTES = 107
_FORK_SERVER_BYTES = len("/.4194304-abcdef/listener-abcdefgh")
"""What a fork server's socket adds to the folder that process folders are in."""

# iceoryx2 writes to stderr what it also returns as errors, and warns that it found no configuration file.
iox.set_log_level(iox.LogLevel.Fatal)


@dataclass(frozen=True, slots=True)
class RunScope:
    """Names one run of a fleet; small and picklable, every process of the fleet gets it.

    Attributes:
        run_id: Letters, digits and dashes, unique on this machine.
        directory: Private to this user and run; other parts may keep their sockets in it.
    """

    run_id: str
    directory: Path

    @property
    def prefix(self) -> str:
        """What the names of this run's files under /dev/shm begin with."""
        return f"camfleet-{self.run_id}-"

    def require_sockets(self) -> None:
        """Make sure that sockets can lie in the run's directory: their paths end at 107 bytes (`sun_path` of unix(7)).

        Raises:
            SlotError: The directory's path is too long.
        """
        over = len(os.fsencode(self.directory / "camera-0123456789ab")) - _SOCKET_PATH_BYTES
        if over > 0:
            raise SlotError(
                f"the path {self.directory} is {over} bytes too long for sockets; set XDG_RUNTIME_DIR to a shorter "
                "directory"
            )

    @property
    def ledgers(self) -> Path:
        """Where the cameras' ledgers are."""
        return self.directory / "ledgers"

    def ledger(self, camera_id: str) -> Path:
        """The file that remembers which frame of a camera comes next (`pipeline.ledger`)."""
        return self.ledgers / camera_id

    def node(self, name: str) -> iox.Node:
        """A process's place in this run; signals stay the process's own.

        Raises:
            SlotError: The run's directory is gone or full.
        """
        try:
            builder = iox.NodeBuilder.new().name(iox.NodeName.new(name)).config(self._config())
            return builder.signal_handling_mode(iox.SignalHandlingMode.Disabled).create(iox.ServiceType.Ipc)
        except iox.NodeCreationFailure as error:
            raise SlotError(f"cannot join the fleet's shared memory in {self.directory}: {error}") from error

    def creating(self) -> IO[str]:
        """A lock to hold while something shared is made: who finds it half made then knows that its maker is dead."""
        return _lock(self.directory / _CREATING)

    def remove_half_made(self) -> None:
        """Remove services whose maker was killed over them; the caller holds `creating`.

        iceoryx2 itself neither opens nor removes these: it waits for a maker. It takes away the file's write permission
        when a service is complete (0.10, `static_storage::file`), which is how the others are told.
        """
        for file in (self.directory / _SLOTS / "services").glob("*.service"):
            if file.stat().st_mode & stat.S_IWUSR:
                file.unlink()

    def remove_dead(self) -> int:
        """Free what killed processes of this run left behind, while the others go on; returns how many were freed.

        Raises:
            SlotError: The run's directory cannot be read.
        """
        try:
            nodes = iox.Node.list(iox.ServiceType.Ipc, self._config())
        except iox.NodeListFailure as error:
            raise SlotError(f"cannot look through the fleet's shared memory in {self.directory}: {error}") from error
        return sum(_removed(node[0]) for node in nodes if isinstance(node, iox.NodeState.Dead))

    def free_dead(self) -> None:
        """`remove_dead`, with a line in the log where that cannot be."""
        try:
            self.remove_dead()
        except SlotError as error:
            log.warning(f"what a dead process held in shared memory stays until the fleet ends: {error}")

    @property
    def shared_lock(self) -> Path:
        """What the owner holds a lock on under /dev/shm."""
        return SHARED_MEMORY / f"{self.prefix}{_LOCK}"

    def files(self) -> list[Path]:
        """The run's files under /dev/shm."""
        return sorted(SHARED_MEMORY.glob(f"{self.prefix}*"))

    def cleanup(self) -> None:
        """Remove every file of this run. Nobody may be using it any more; may be called again."""
        for file in self.files():
            file.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _config(self) -> iox.config.Config:
        config = iox.config.default()
        config.global_cfg.prefix = iox.FileName.new(self.prefix)
        try:
            config.global_cfg.root_path = iox.Path.new(str(self.directory / _SLOTS))
        except Exception as error:  # noqa: BLE001 - iceoryx2 (0.10) does not export the class it raises.
            raise SlotError(
                f"shared memory cannot be kept in {self.directory}: {error}; set XDG_RUNTIME_DIR to a short path of "
                "letters and digits"
            ) from None
        return config


class RunLease:
    """Owns a run: makes its directory, and removes all of it when closed. Sweeps up after owners that were killed.

    Example:
        with RunLease() as lease:
            start_processes(lease.scope)

    Attributes:
        scope: What the processes of the fleet get.
    """

    def __init__(self, base: Path | None = None) -> None:
        """Take a new run under `base`, by default this user's runtime directory.

        Raises:
            SlotError: The directory cannot be made, or belongs to somebody else.
        """
        base = _private(base or _default_base())
        with _lock(base / _GATE):
            sweep(base)
            run_id = f"{os.getpid()}-{secrets.token_hex(3)}"
            self.scope = RunScope(run_id, _private(base / run_id))
            self._locks = [_lock(self.scope.directory / _LOCK), _lock(self.scope.shared_lock)]
        # iceoryx2 makes one file that anybody may write, when the first node comes, and removes it with the last: 16
        # bytes there by somebody else, and no process could join any more. So the first is ours and stays.
        self._node: iox.Node | None = None
        try:
            self.scope.require_sockets()  # iceoryx2 (0.10) ends the process over some paths that are too long.
            self._node = self.scope.node("owner")
            for file in self.scope.files():
                file.chmod(0o600)
        except (SlotError, OSError):
            self.close()
            raise

    def close(self) -> None:
        """Remove the run's files; the fleet's processes must have ended. May be called again."""
        self._node = None
        self.scope.cleanup()
        for lock in self._locks:
            lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _removed(node: iox.DeadNodeView) -> bool:
    """Whether a dead process could be cleaned up after.

    One that was killed while it joined cannot always (one in four of those killed in their first 40 ms; none later),
    and neither can one that another process is cleaning at this moment. What stays are empty files, until the run ends.
    """
    try:
        node.try_remove_stale_resources()
    except iox.NodeCleanupFailure:
        return False
    return True


def sweep(base: Path) -> list[str]:
    """Remove the runs under `base` whose owner is gone, and those whose directory is; returns their ids.

    The caller holds the gate.
    """
    locks = {directory.name: directory / _LOCK for directory in base.iterdir() if directory.is_dir()}
    for file in SHARED_MEMORY.glob(f"camfleet-*-{_LOCK}"):
        if file.stat().st_uid == os.getuid():
            locks.setdefault(file.name.removeprefix("camfleet-").removesuffix(f"-{_LOCK}"), file)
    return [run_id for run_id, lock in sorted(locks.items()) if _swept(RunScope(run_id, base / run_id), lock)]


def _swept(scope: RunScope, path: Path) -> bool:
    try:
        lock = _lock(path, wait=False)
    except (BlockingIOError, FileNotFoundError):
        return False  # it runs, or it is closing at this moment
    with lock:
        end_orphans(scope.directory)
        scope.cleanup()
    return True


def running(base: Path | None = None) -> list[Path]:
    """The directories of the runs under `base` whose owner lives, by default of all of this user."""
    base = base or _default_base()
    if not base.is_dir():
        return []
    return [directory for directory in sorted(base.glob("[!.]*")) if directory.is_dir() and _is_held(directory / _LOCK)]


def _is_held(lock: Path) -> bool:
    """Whether somebody has this lock; asked with a shared one, so that two who ask do not see each other."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@functools.cache
def process_folder() -> Path:
    """A folder of this process's own until it ends, for sockets; if it is killed, the next one sweeps it up.

    It is where temporary files are, or in /tmp where that path is too long for a socket.

    Raises:
        SlotError: It cannot be made, or belongs to somebody else.
    """
    base = _temporary_base()
    if len(os.fsencode(base)) + _FORK_SERVER_BYTES > _SOCKET_PATH_BYTES:
        base = Path("/tmp", base.name)
    with _lock(_private(base) / _GATE):
        sweep(base)
        folder = _private(base / f".{os.getpid()}-{secrets.token_hex(3)}")
        lock = _lock(folder / _LOCK)
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # Forked children run this, too.
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()

    atexit.register(remove)
    return folder


def _default_base() -> Path:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    if os.access(runtime, os.W_OK | os.X_OK):
        return runtime / "camfleet"
    return _temporary_base()


def _temporary_base() -> Path:
    return Path(tempfile.gettempdir()) / f"camfleet-{os.getuid()}"


def _private(directory: Path) -> Path:
    """`directory`, made where it was not, and certainly this user's own: in /tmp anybody may have made it first."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise SlotError(f"cannot make {directory} for the fleet's shared memory: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise SlotError(
            f"{directory} can be written by others; remove it, or set XDG_RUNTIME_DIR to a private directory"
        )
    return directory


def _lock(path: Path, wait: bool = True) -> IO[str]:
    """A file that is locked until it is closed or the process ends.

    Raises:
        BlockingIOError: Somebody else has the lock, and `wait` is off.
    """
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        file.close()
        raise
    return file
