"""A network's cameras, all of it: who answers, and what each says of its streams."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from pipeline.discover.cards import network_cards
from pipeline.discover.device import Candidate, Device, Login
from pipeline.discover.place import SERVICE_PATH, Address, Trust, parted
from pipeline.discover.search import GROUP, Found, Heard, search, search_host
from pipeline.extras import require

ASKED_AT_ONCE = 8
"""Asking is waiting, mostly; more at once would load a recorder that answers for all its cameras."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to look for.

    Attributes:
        addresses: Devices to ask; where there are none, the networks of `cards` are searched.
        cards: IPv4 addresses of this machine's network cards; where there are none, all that are up.
        login: Who asks; None asks as nobody.
        wait_s: How long to listen, and how long a device may take for each answer.
        other_hosts: Believe devices that name another host than the one which answered.
        group: Where devices listen.
    """

    addresses: tuple[Address, ...] = ()
    cards: tuple[str, ...] = ()
    login: Login | None = None
    wait_s: float = 5.0
    other_hosts: bool = False
    group: tuple[str, int] = GROUP


@dataclass(frozen=True, slots=True)
class Survey:
    """What came of it.

    Attributes:
        devices: In the order of their hosts.
        cards: Where was searched; empty where addresses were given.
        deaf: Where could not be searched, and why.
    """

    devices: tuple[Device, ...]
    cards: tuple[str, ...]
    deaf: dict[str, str]


class Progress:
    """Is told how far a survey is; this one keeps silent."""

    def begin(self, words: str, total: int | None) -> None:
        """Something else begins; `total` is None where nobody knows how much of it there is."""

    def reach(self, count: int) -> None:
        """So much of it is done."""


def survey(request: Request, progress: Progress | None = None) -> Survey:
    """The devices, each with its streams or the reason why they are not known; blocks.

    Raises:
        ConfigError: The extra `discover` is not installed.
    """
    progress = progress or Progress()
    adapter = _adapter()
    cards: tuple[str, ...] = ()
    heard = Heard()
    if not request.addresses:
        cards = request.cards or network_cards()
        progress.begin(f"listening for {request.wait_s:g} s on {', '.join(cards) or 'no network'}", None)
        heard = search(cards, request.wait_s, progress.reach, request.group)
    found = [_candidate(one, Trust(one.host, others=request.other_hosts)) for one in heard.found.values()]
    # Some answer each question as somebody else.
    targets: Sequence[Address | Candidate] = request.addresses or list({one.service: one for one in found}.values())
    if targets:
        progress.begin("asking 1 device" if len(targets) == 1 else f"asking {len(targets)} devices", len(targets))
    devices = asyncio.run(_ask_all(adapter, targets, request, progress.reach))
    known = {device.host for device in devices}
    devices += [Device(host=host, error=why) for host, why in heard.troubles.items() if host not in known]
    return Survey(tuple(sorted(devices, key=_order)), cards, heard.deaf)


def _adapter() -> ModuleType:
    require("discover", "discover")
    # The package configures the log of its whole process where nobody has: then a line for each request is printed.
    logging.getLogger().addHandler(logging.NullHandler())
    from pipeline.discover import onvif

    return onvif


async def _ask_all(
    adapter: ModuleType, targets: Sequence[Address | Candidate], request: Request, reach: Callable[[int], None]
) -> list[Device]:
    if not targets:
        return []
    await adapter.warm_up()
    turns = asyncio.Semaphore(ASKED_AT_ONCE)
    devices: list[Device] = []

    async def ask(target: Address | Candidate) -> None:
        async with turns:
            devices.append(await _ask(adapter, target, request))
            reach(len(devices))

    await asyncio.gather(*map(ask, targets))
    return devices


async def _ask(adapter: ModuleType, target: Address | Candidate, request: Request) -> Device:
    if isinstance(target, Candidate):
        candidate = target
    else:
        try:
            candidate = await asyncio.to_thread(_addressed, target, request)
        except OSError as error:
            return Device(host=target.host, error=f"is no host that is known here: {error.strerror}")
    device: Device = await adapter.ask(candidate, request.login, request.wait_s)
    return device


def _candidate(found: Found, trust: Trust) -> Candidate:
    """The device service that a device named, at the host which answered."""
    usable = [one for one in found.match.addresses if (parts := parted(one)) and parts.scheme in ("http", "https")]
    placed = [one for one in map(trust.place, usable) if one is not None]
    notes: tuple[str, ...] = ()
    service = f"http://{found.host}{SERVICE_PATH}"
    if placed:
        best = min(placed, key=lambda one: bool(one.named))
        service = best.url
        if best.named:
            notes = (trust.note(best),)
    return Candidate(trust, service, found.match.name, found.match.model, notes)


def _addressed(address: Address, request: Request) -> Candidate:
    """A device that the user named; without a port it is asked for its address, else it has the usual one. Blocks.

    Raises:
        OSError: There is no such host.
    """
    resolved = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
    known = [str(one[4][0]) for one in resolved]
    trust = Trust(address.host, frozenset(known), request.other_hosts)
    if address.port is None:
        heard = search_host(known[0], request.wait_s, request.group[1])
        for found in heard.found.values():
            return _candidate(Found(address.host, found.match), trust)
    return Candidate(trust, address.service)


def _order(device: Device) -> tuple[int, int, str]:
    """Addresses by number, then names."""
    try:
        address = ipaddress.ip_address(device.host)
    except ValueError:
        return (9, 0, device.host)
    return (address.version, int(address), device.name)
