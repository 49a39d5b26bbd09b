"""WS-Discovery's two messages that matter: the probe that asks who is there, and the matches that answer it.

WS-Discovery of April 2005, which the ONVIF Core Specification (section 7) builds on. Devices differ in prefixes,
versions of the namespaces and how they write an identifier, so names are compared without their namespace, and an
answer belongs to a probe whose identifier it repeats somewhere in RelatesTo.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree import ElementTree

from pipeline.discover.plain import DeviceError, plain_xml, shown

MOST_BYTES = 65_507
"""Of a datagram over IPv4."""
MOST_MATCHES = 16
"""Devices in one answer: one, as a rule; a recorder may speak for a few."""
MOST_ADDRESSES = 8
_LONGEST_ADDRESS = 1024
_SCOPE = "onvif://www.onvif.org/"

TYPES = (
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),
)
"""What is asked for: cameras by the name that all had once, and by the one that all have now."""
_PROBE = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"\
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"\
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:t="{namespace}">\
<s:Header><a:MessageID>urn:uuid:{message_id}</a:MessageID>\
<a:To s:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>\
<a:Action s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header>\
<s:Body><d:Probe><d:Types>t:{name}</d:Types></d:Probe></s:Body></s:Envelope>"""


@dataclass(frozen=True, slots=True)
class Match:
    """What a device says of itself when it is found; nothing of it is to be trusted.

    Attributes:
        endpoint: Its own lasting identifier.
        addresses: Where its device service is, http:// or https://, as many as it likes to name.
        name: What it calls itself, or empty.
        model: What it is, or empty.
    """

    endpoint: str
    addresses: tuple[str, ...]
    name: str = ""
    model: str = ""


def probe(message_id: str, kind: tuple[str, str]) -> bytes:
    """The question for devices of one of `TYPES`, with an identifier that answers repeat."""
    namespace, name = kind
    return _PROBE.format(message_id=message_id, namespace=namespace, name=name).encode()


def read_matches(datagram: bytes, asked: Collection[str]) -> tuple[Match, ...]:
    """The devices that an answer names.

    Args:
        datagram: What came.
        asked: The identifiers of all probes it may answer.

    Raises:
        DeviceError: It is no answer to any of them.
    """
    try:
        message = ElementTree.fromstring(plain_xml(datagram))
    except ElementTree.ParseError as error:
        raise DeviceError(f"answers what is no XML ({error})") from None
    related = _text(message, "RelatesTo").lower()
    if not any(message_id in related for message_id in asked):
        raise DeviceError("answers a question that was not asked")
    matches = tuple(_match(one) for one, _ in zip(_named(message, "ProbeMatch"), range(MOST_MATCHES), strict=False))
    if not matches:
        raise DeviceError("answers without saying who it is")
    return matches


def _match(told: ElementTree.Element) -> Match:
    scopes = _text(told, "Scopes").split()
    addresses = [one for one in _text(told, "XAddrs").split() if len(one) <= _LONGEST_ADDRESS]
    return Match(
        endpoint=shown(_text(told, "Address")),
        addresses=tuple(addresses[:MOST_ADDRESSES]),
        name=scope(scopes, "name"),
        model=scope(scopes, "hardware"),
    )


def scope(scopes: Iterable[str], kind: str) -> str:
    """Such as `North gate` of onvif://www.onvif.org/name/North%20gate (ONVIF Core, section 7.3.2.2)."""
    prefix = f"{_SCOPE}{kind}/"
    found = next((one for one in scopes if one.lower().startswith(prefix)), "")
    return shown(unquote(found[len(prefix) :]))


def _named(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (one for one in element.iter() if one.tag.rpartition("}")[2] == name)


def _text(element: ElementTree.Element, name: str) -> str:
    return next((one.text or "" for one in _named(element, name)), "").strip()
