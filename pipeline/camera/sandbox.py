"""What a camera's process may do: it decodes a stranger's bytes, and a hole in a decoder shall be none in the machine.

It may read the system's and Python's libraries, its own recording or device and nothing else of the user's files; use
the device that decodes for it, if any; write to the run's folder and shared memory; connect by TCP to the ports of its
camera's address, and to one of its own where it may have to log in for FFmpeg (`pipeline.camera.login`); start no
program, gain no rights, signal and trace no process outside; of root's rights it keeps those to read files. That is
what Landlock (`pipeline.camera.landlock`) can say. What it cannot is not forbidden: a port is not a host, UDP is free,
and so are sockets that are files, such as those of other services that this user may talk to.

A rule holds for a file or device as it was at the start. If another takes its place (a recording is replaced, a device
plugged in again) the process has no right to it, and ends to be started anew.
"""

from __future__ import annotations

import ipaddress
import os
import site
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from pipeline.camera.hardware import device_nodes
from pipeline.camera.landlock import (
    DEVICE,
    IOCTL_ABI,
    NETWORK_ABI,
    READ,
    SCOPE_ABI,
    WRITE,
    Access,
    abi,
    restrict,
)
from pipeline.camera.login import reserve
from pipeline.camera.privileges import drop_capabilities, forbid_new_privileges
from pipeline.camera.unauthorized import DEFAULT_PORTS
from pipeline.config.camera import Camera
from pipeline.config.url import CameraUrl
from pipeline.runscope import SHARED_MEMORY, RunScope

log = structlog.get_logger()

_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/nix/store", "/dev/urandom", "/dev/random", "/dev/zero")
_RESOLVER = Path("/etc/resolv.conf")
_DNS_PORT = 53
_KEPT_CAPABILITIES = frozenset({1, 2})
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: a fleet that runs as root may have recordings of other users."""
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What was there when the sandbox was closed.

    Attributes:
        path: The recording or device; None for a camera on the network.
        identity: Which file it was; None for none.
    """

    path: Path | None
    identity: tuple[int, int] | None

    @property
    def is_outlived(self) -> bool:
        """Whether another file or device is there now, to which this process has no right."""
        if self.path is None:
            return False
        now = _identity(self.path)
        return now is not None and now != self.identity


def is_confined(camera: Camera) -> bool:
    """Whether its process gets a sandbox; a function of Python is the user's own, and may need anything."""
    return camera.sandbox and camera.url.kind != "python"


def confine(camera: Camera, scope: RunScope) -> Sandbox:
    """Take from this process all rights that its camera does not need, as far as the kernel can; for good.

    To be called before any thread is started: those that run already keep their rights, and are named in the log.
    """
    path = camera.url.path
    sandbox = Sandbox(path, None if path is None else _identity(path))
    if threads := sorted(_other_threads()):
        log.warning("threads that were started before the sandbox are outside it", threads=", ".join(threads))
    try:
        forbid_new_privileges()
        drop_capabilities(_KEPT_CAPABILITIES)
        if abi():
            own, others = reserve(camera), ports(camera)
            restrict(_allowed(camera, scope), None if others is None else others | own)
    except OSError as error:
        log.warning(f"the sandbox could not be closed, the camera goes on without: {error.strerror}")
    return sandbox


def missing(version: int | None = None) -> tuple[str, ...]:
    """What the sandbox cannot forbid on this kernel and could on a newer one; empty if nothing.

    Args:
        version: Landlock's; by default that of this kernel.
    """
    version = abi() if version is None else version
    if version == 0:
        return (
            "reading and writing files, connecting to other ports (Landlock: Linux 5.13, not kept away by a container)",
        )
    lacking = (
        (3, "shortening files (Linux 6.2)"),
        (NETWORK_ABI, "connecting to other ports (Linux 6.7)"),
        (IOCTL_ABI, "commands to devices (Linux 6.10)"),
        (SCOPE_ABI, "signals to other processes (Linux 6.12)"),
    )
    return tuple(words for since, words in lacking if version < since)


def tell_missing() -> None:
    """Say in the log what is missing, if anything is."""
    if lacking := missing():
        log.warning("this kernel cannot forbid all that the cameras' sandbox would", free=", ".join(lacking))


def ports(camera: Camera) -> frozenset[int] | None:
    """The TCP ports that its process may connect to; None for any."""
    addresses = [url for url in (camera.url, camera.evidence_url) if url is not None and url.kind == "network"]
    if camera.allow_redirects and addresses:
        return None
    return frozenset(port for address in addresses for port in _ports_of(address))


def _ports_of(address: CameraUrl) -> frozenset[int]:
    parts = urlsplit(address.reveal())
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    allowed = {parts.port or DEFAULT_PORTS[scheme]}
    if not _is_address(host):
        allowed.add(_DNS_PORT)  # for answers that are too long for UDP
    if scheme in ("http", "https"):
        allowed |= set(_proxy_ports())
    return frozenset(allowed)


def _other_threads() -> Iterator[str]:
    """Their names."""
    for task in _TASKS.iterdir() if _TASKS.exists() else ():
        if task.name != str(threading.get_native_id()):
            with suppress(OSError):
                yield (task / "comm").read_text().strip()


def _allowed(camera: Camera, scope: RunScope) -> Iterator[tuple[Path, Access]]:
    for path in (*map(Path, _SYSTEM), *_libraries()):
        yield path, READ
    # What /etc/resolv.conf points to is written anew where the network changes.
    yield _RESOLVER.resolve().parent, READ
    yield Path(os.devnull), DEVICE
    yield scope.directory, WRITE
    yield SHARED_MEMORY, WRITE
    for node in device_nodes(camera):
        yield node, DEVICE
    own = camera.url.path
    if own is not None and camera.url.kind == "device":
        yield own, DEVICE
    elif own is not None:
        # A pattern such as frames/%04d.png is no file: then what lies beside it is read.
        yield (own if own.exists() else own.parent), READ


def _libraries() -> Iterator[Path]:
    """Where Python's modules are, but not the current folder, which may hold anything."""
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix})
    yield Path(__file__).parents[1]
    if site.ENABLE_USER_SITE:
        yield Path(site.getusersitepackages())
    for entry in map(Path, sys.path):
        if entry.name in ("site-packages", "dist-packages"):
            yield entry


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _proxy_ports() -> Iterator[int]:
    """FFmpeg asks the proxy that the environment names."""
    for name in ("http_proxy", "https_proxy"):
        with suppress(ValueError):
            if (port := urlsplit(os.environ.get(name, "")).port) is not None:
                yield port
