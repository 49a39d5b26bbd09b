"""Where a fleet will be reached, and who may reach it: ports that are free, keys and certificates that open."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import zmq

from pipeline.config.page import Page
from pipeline.config.values import Fleet
from pipeline.doctor.finding import Finding, failure, ok, warning
from pipeline.errors import ControlError, PipelineError
from pipeline.keys import read_folder
from pipeline.relay.outlet import bind_results
from pipeline.supervise.control import ask
from pipeline.web.process import bind_page, certificate_of

ASK_S = 2.0
"""How long a fleet of the same name may take to say where it is."""
KNOCK_S = 0.5


def look_at_places(fleet: Fleet) -> Iterator[Finding]:
    """Every endpoint, the page, and the keys."""
    taken = _taken_by_itself(fleet.name)
    for about, endpoint in _endpoints(fleet):
        yield _endpoint(about, endpoint, taken)
    if fleet.page is not None:
        yield _page(fleet.page, taken)
    if fleet.publish.keys is not None:
        yield from _keys(fleet)
    yield from _twins(fleet)


def _twins(fleet: Fleet) -> Iterator[Finding]:
    """Cameras that are the same one under two names, which is detected twice then; recordings may be."""
    named: dict[str, list[str]] = {}
    for name, camera in fleet.cameras.items():
        if camera.url.kind in ("network", "device"):
            named.setdefault(camera.url.reveal(), []).append(name)
    for names in named.values():
        if len(names) > 1:
            yield warning("cameras", f"{' and '.join(names)} have the same address", "leave one out, if that is a slip")


def _endpoints(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Where it publishes, by the keys of the fleet file."""
    publish = fleet.publish
    yield "publish.bind", publish.bind
    if publish.json_bind:
        yield "publish.json_bind", publish.json_bind
    for name, limited in (publish.keys.limited if publish.keys else {}).items():
        yield f"publish.keys.limited.{name}.bind", limited.bind


def _taken_by_itself(name: str) -> frozenset[str]:
    """Addresses that a running fleet of this name has: a changed file is checked while its fleet runs."""
    try:
        status = ask({"command": "status"}, name, timeout_s=ASK_S)
    except ControlError:
        return frozenset()
    places = [status["endpoint"], status["json_endpoint"], status["page"], *status["limited"].values()]
    return frozenset(place for place in places if place)


def _endpoint(about: str, endpoint: str, taken: frozenset[str]) -> Finding:
    if endpoint.replace("*", "0.0.0.0") in taken:
        return ok(about, f"{endpoint} is that of the fleet itself, which runs")
    if endpoint.startswith("ipc://"):
        return _socket_file(about, endpoint)
    link: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
    try:
        bind_results(link, endpoint)
    except PipelineError as error:
        return _not_free(about, str(error), urlsplit(endpoint).port)
    link.close(linger=0)
    return ok(about, f"{endpoint} is free" if not endpoint.endswith(":0") else "a free port will be taken")


def _socket_file(about: str, endpoint: str) -> Finding:
    """ZeroMQ takes over a socket file that is there, whoever has it: so it is only knocked at."""
    path = endpoint.removeprefix("ipc://")
    folder = Path(path).absolute().parent
    if not path.startswith("@") and not os.access(folder, os.W_OK | os.X_OK):
        missing = "is not there" if not folder.is_dir() else "cannot be written"
        return failure(about, f"the folder {folder} of {endpoint} {missing}", "make it, or name another")
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(KNOCK_S)
        try:
            link.connect("\0" + path[1:] if path.startswith("@") else path)
        except OSError:
            return ok(about, f"{endpoint} is free")
    return failure(about, f"another program listens at {endpoint}", "name another, or end that program")


def _page(page: Page, taken: frozenset[str]) -> Finding:

    address = page.address(page.port)
    if address in taken:
        return ok("page", f"{address} is that of the fleet itself, which runs")
    try:
        bind_page(page).close()
        certificate_of(page)
    except PipelineError as error:
        return _not_free("page", str(error), page.port)
    return ok("page", f"{address} is free" if page.port else "a free port will be taken")


def _not_free(about: str, error: str, port: int | None) -> Finding:
    holder = holder_of(port) if port and "in use" in error else ""
    return failure(about, error, f"it is {holder}" if holder else "")


def holder_of(port: int) -> str:
    """Which program listens at a TCP port, such as “nginx (pid 812)”; empty where this user may not know."""
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
            try:
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
            except psutil.Error:
                return f"pid {one.pid}"
    return ""


def _keys(fleet: Fleet) -> Iterator[Finding]:
    """Who may read; that the files are there and closed to others, reading the fleet file has found."""
    keys = fleet.publish.keys
    if keys is None:
        return
    yield ok("publish.keys.server", f"{keys.server} is readable by its owner alone")
    yield _folder("publish.keys.clients", Path(keys.clients))
    for name, limited in keys.limited.items():
        yield _folder(f"publish.keys.limited.{name}.clients", Path(limited.clients))


def _folder(about: str, folder: Path) -> Finding:
    try:
        allowed, refused = read_folder(folder)
    except OSError as error:
        return failure(about, f"{folder} cannot be read: {error.strerror}", f"chmod u+rx {folder}")
    if refused:
        return warning(about, f"not every file in {folder} allows a reader: {'; '.join(refused.values())}")
    if not allowed:
        return warning(
            about, f"{folder} has no key, so nobody may subscribe", "camfleet keys allow READER.key adds one"
        )
    return ok(about, f"{', '.join(sorted(allowed))} may subscribe")
