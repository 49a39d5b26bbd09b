"""Who is there: probes over UDP to all of a network or to one host, and the answers until the time is up.

One thread, one socket for each network card, and nothing that an answer holds ends the search: the package wsdiscovery
does this in threads that die of the first datagram they cannot read, after which nothing is found.
"""

from __future__ import annotations

import selectors
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from pipeline.discover.datagram import MOST_BYTES, TYPES, Match, probe, read_matches
from pipeline.discover.plain import DeviceError

GROUP = ("239.255.255.250", 3702)
"""Where devices listen (WS-Discovery, section 2.4)."""
REPEAT_S = 0.25
"""A datagram may be lost, so each is sent twice (SOAP-over-UDP, appendix I, has 50 to 250 ms between)."""
MOST_FOUND = 512
"""Devices; more is a flood, not a network."""
MOST_TROUBLED = 32
"""Hosts whose answers cannot be read and are told."""


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answered, and the host that its answer came from: the only one that it is known to be."""

    host: str
    match: Match


@dataclass(slots=True)
class Heard:
    """What a search has brought so far.

    Attributes:
        found: Each device once for each host that it answers from.
        troubles: What is wrong with another host's answers.
        deaf: Network cards that cannot be searched, and why.
    """

    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    deaf: dict[str, str] = field(default_factory=dict)

    def take(self, datagram: bytes, host: str, asked: Iterable[str]) -> None:
        """Add what a host answered."""
        try:
            matches = read_matches(datagram, tuple(asked))
        except DeviceError as error:
            if len(self.troubles) < MOST_TROUBLED:
                self.troubles.setdefault(host, str(error))
            return
        for match in matches:
            if len(self.found) < MOST_FOUND:
                self.found.setdefault((host, match.endpoint), Found(host, match))


def search(
    cards: Sequence[str],
    wait_s: float,
    progress: Callable[[int], None] = lambda count: None,
    group: tuple[str, int] = GROUP,
) -> Heard:
    """The devices of the networks that `cards` are in; blocks for `wait_s`.

    Args:
        cards: The IPv4 addresses of this machine's network cards.
        wait_s: How long answers are waited for. Devices take up to half a second on purpose.
        progress: Is told how many there are, with each answer.
        group: The multicast address and port that devices listen to.
    """
    heard = Heard()
    with ExitStack() as stack:
        sockets = []
        for card in cards:
            try:
                sockets.append(stack.enter_context(_card(card)))
            except OSError as error:
                heard.deaf[card] = error.strerror or str(error)
        _listen(_Asking(sockets, group), heard, wait_s, lambda: progress(len(heard.found)))
    return heard


def search_host(host: str, wait_s: float, port: int = GROUP[1]) -> Heard:
    """The devices that one host has, which may be in another network; blocks up to `wait_s`, or until it answers."""
    heard = Heard()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((host, port))  # So that nobody else is heard, and a closed port is.
        except OSError as error:
            heard.deaf[host] = error.strerror or str(error)
            return heard
        _listen(_Asking([asking], None), heard, wait_s, lambda: None, enough=1)
    return heard


@contextmanager
def _card(card: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(card))
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        opened.bind((card, 0))
        yield opened


def _probes() -> dict[str, bytes]:
    asked = {str(uuid.uuid4()): kind for kind in TYPES}
    return {message_id: probe(message_id, kind) for message_id, kind in asked.items()}


@dataclass(slots=True)
class _Asking:
    """Sockets, where they send to (None: where they are connected), and the probes that were sent."""

    sockets: list[socket.socket]
    to: tuple[str, int] | None
    probes: dict[str, bytes] = field(default_factory=_probes)

    def send(self, heard: Heard) -> None:
        for asking in list(self.sockets):
            try:
                for datagram in self.probes.values():
                    asking.send(datagram) if self.to is None else asking.sendto(datagram, self.to)
            except OSError as error:
                self._give_up(asking, heard, error)

    def receive(self, asking: socket.socket, heard: Heard) -> None:
        try:
            datagram, sender = asking.recvfrom(MOST_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            self._give_up(asking, heard, error)
            return
        heard.take(datagram, sender[0], self.probes)

    def _give_up(self, asking: socket.socket, heard: Heard, error: OSError) -> None:
        self.sockets.remove(asking)
        where = asking.getsockname() if self.to else asking.getpeername()
        heard.deaf[where[0]] = error.strerror or str(error)


def _listen(
    asking: _Asking, heard: Heard, wait_s: float, progress: Callable[[], None], enough: int = MOST_FOUND
) -> None:
    """Send twice, and take what comes until `enough` devices are found or the time is up."""
    began_s = now_s = time.monotonic()
    due_s = [began_s, began_s + REPEAT_S]
    with selectors.DefaultSelector() as selector:
        for one in asking.sockets:
            selector.register(one, selectors.EVENT_READ)
        while now_s < began_s + wait_s and len(heard.found) < enough and asking.sockets:
            if due_s and now_s >= due_s[0]:
                del due_s[0]
                asking.send(heard)
            for key, _ in selector.select(min([*due_s[:1], began_s + wait_s]) - now_s):
                asking.receive(key.fileobj, heard)  # type: ignore[arg-type]  # sockets are all that is registered
                progress()
            for gone in [key.fileobj for key in selector.get_map().values() if key.fileobj not in asking.sockets]:
                selector.unregister(gone)
            now_s = time.monotonic()
