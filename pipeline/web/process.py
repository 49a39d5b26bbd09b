"""The page's process: binds its address, says so, and serves until it is told to end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pipeline.child import end_with_parent, ignore_terminal, raise_descriptor_limit
from pipeline.clock import SystemClock
from pipeline.config.page import Page
from pipeline.errors import PageError
from pipeline.logs import configure_logs

NICENESS = 10
"""Who looks waits before who detects: the worker's is 5."""
REFUSED = 2
"""Exit code of a page that cannot be served where it should."""
BEAT_S = 1.0
BACKLOG = 64


@dataclass(frozen=True, slots=True)
class PageSpec:
    """All a page needs to know.

    Attributes:
        page: Where it is served and who may see it.
        directory: The run's, where cameras show their pictures and the fleet can be asked.
        inside: Where the fleet's own members subscribe.
        fleet: The fleet's name.
    """

    page: Page
    directory: Path
    inside: str
    fleet: str


@dataclass(frozen=True, slots=True)
class PageReady:
    """The page's word that it is served.

    Attributes:
        address: What to type into a browser.
        port: The port it got.
    """

    address: str
    port: int


def run_page(spec: PageSpec, report: Connection, beat: c_int64) -> None:
    """Serve a page from this process until SIGTERM or the parent's end.

    Args:
        spec: What to serve, and where.
        report: Gets one `PageReady`, or the `PageError` that says why it cannot be served there.
        beat: Set to the monotonic time, ns, once a second.
    """
    ignore_terminal()
    end_with_parent()
    os.nice(NICENESS)
    configure_logs("page")
    raise_descriptor_limit()
    try:
        listening = bind_page(spec.page)
        tls = certificate_of(spec.page)
    except PageError as error:
        report.send(error)
        raise SystemExit(REFUSED) from None
    port = int(listening.getsockname()[1])
    report.send(PageReady(spec.page.address(port), port))
    report.close()
    asyncio.run(_run(spec, listening, tls, beat))


def bind_page(page: Page) -> socket.socket:
    """A socket that listens there.

    Raises:
        PageError: The address is in use, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in page.bind else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((page.bind, page.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise PageError(
            f"the page cannot be served at {page.bind} port {page.port}: {(error.strerror or str(error)).lower()}; "
            "give another with --page PORT or page: {port: …}, 0 for a free one"
        ) from None
    return listening


def certificate_of(page: Page) -> ssl.SSLContext | None:
    """What HTTPS is served with; None where it is HTTP.

    Raises:
        PageError: The files are no certificate and its key.
    """
    if page.cert is None or page.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(page.cert, page.key)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "they are no certificate and key"
        raise PageError(f"HTTPS cannot be served with {page.cert} and {page.key}: {why.lower()}") from None
    return context


async def _run(spec: PageSpec, listening: socket.socket, tls: ssl.SSLContext | None, beat: c_int64) -> None:
    """Serve until SIGTERM."""
    from pipeline.web.app import Site
    from pipeline.web.serving import PageServer

    async with Site(spec.page, spec.directory, spec.inside, spec.fleet) as site:
        server = PageServer(site.app, tls)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.leave)
        beating = asyncio.create_task(_beat(beat))
        await server.serve(sockets=[listening])
        beating.cancel()


async def _beat(beat: c_int64) -> None:
    clock = SystemClock()
    while True:
        beat.value = clock.monotonic_ns()
        await asyncio.sleep(BEAT_S)
