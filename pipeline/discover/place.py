"""Where a device is: what the user says, what the device says, and which of the two is believed.

A device tells its own addresses, of its services and of its streams. Behind NAT they are wrong; a hostile device could
send this machine, and the user's password, anywhere. So what it says counts but for the host: that is the one which
answered, unless the user asks for more trust.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pipeline.errors import ConfigError

SERVICE_PATH = "/onvif/device_service"
"""Where every device has its device service (ONVIF Core Specification, section 5.1.1)."""
LONGEST = 2048
"""Characters of an address."""
_HOST = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,252})")


@dataclass(frozen=True, slots=True)
class Address:
    """What the user gave with --address.

    Attributes:
        host: A name or an IP address.
        port: Of its web server; None where it is to be found out.
        service: The address of its device service.
    """

    host: str
    port: int | None
    service: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """HOST, HOST:PORT, or the whole address of a device service.

        Raises:
            ConfigError: It is none of them.

        Example:
            >>> Address.parse("10.0.0.7:8000").service
            'http://10.0.0.7:8000/onvif/device_service'
        """
        parts = parted(text if "://" in text else f"http://{_bracketed(text)}")
        if parts is None or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.fragment:
            raise ConfigError(
                "--address: expected HOST, HOST:PORT or http://HOST:PORT/PATH, without user and password "
                "(those go into --user and an environment variable)"
            )
        path = parts.path if parts.path not in ("", "/") else SERVICE_PATH
        port = parts.port if "://" not in text else parts.port or (443 if parts.scheme == "https" else 80)
        return cls(str(parts.hostname), port, urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))


@dataclass(frozen=True, slots=True)
class Placed:
    """An address that a device named, at a host that may be asked.

    Attributes:
        url: The address.
        named: The other host that the device named, and which is not asked; empty where it named its own.
    """

    url: str
    named: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to ask: the host that answered, which may have a name and several addresses, or whoever it names.

    Attributes:
        host: As it is to be written.
        also: What else it is called.
        others: Other hosts are asked, too.
    """

    host: str
    also: frozenset[str] = frozenset()
    others: bool = False

    def place(self, url: str) -> Placed | None:
        """The address at a trusted host; None if it is none."""
        parts = parted(url)
        if parts is None:
            return None
        named = str(parts.hostname)
        if named == self.host or self.others:
            return Placed(url)
        port = "" if parts.port is None else f":{parts.port}"
        userinfo, at, _ = parts.netloc.rpartition("@")
        moved = parts._replace(netloc=f"{userinfo}{at}{_bracketed(self.host)}{port}")
        return Placed(urlunsplit(moved), "" if named in self.also else named)

    def note(self, placed: Placed) -> str:
        """A sentence on a device that named another host."""
        return f"it names another host, {placed.named}; {self.host} is used, unless --other-hosts believes it"


def parted(url: str) -> SplitResult | None:
    """The parts of an absolute address with a sound host and port; None of anything else."""
    if len(url) > LONGEST or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        sound = parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:
        return None
    return parts if parts.scheme and sound else None


def _is_host(text: str) -> bool:
    if _HOST.fullmatch(text):
        return True
    try:
        return ipaddress.ip_address(text).version == 6 and "%" not in text
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    """IPv6 as addresses have it; all else as it is."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
