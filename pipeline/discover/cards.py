"""The network cards of this machine, by their IPv4 addresses."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from pipeline.errors import ConfigError


def network_cards() -> tuple[str, ...]:
    """The addresses of all that are up, without the loopback."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found = [address for name, addresses in _by_name().items() if name in up for address in addresses]
    return tuple(dict.fromkeys(one for one in found if not ipaddress.ip_address(one).is_loopback))


def cards_at(text: str) -> tuple[str, ...]:
    """The addresses that an address or a card's name, such as `eth0`, stands for.

    Raises:
        ConfigError: It is no address, and no card is called so.
    """
    try:
        return (str(ipaddress.IPv4Address(text)),)
    except ValueError:
        named = _by_name()
    if text not in named:
        cards = "; ".join(f"{name} {' '.join(addresses)}" for name, addresses in named.items())
        raise ConfigError(f"--interface: expected the name or the IPv4 address of a network card: {cards}") from None
    return named[text]


def _by_name() -> dict[str, tuple[str, ...]]:
    found = {
        name: tuple(one.address for one in addresses if one.family == socket.AF_INET)
        for name, addresses in psutil.net_if_addrs().items()
    }
    return {name: addresses for name, addresses in found.items() if addresses}
