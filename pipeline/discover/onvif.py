"""A device asked by ONVIF for its streams; the one module that knows onvif-zeep-async.

The package's ONVIFCamera is not used: it takes http_proxy out of the environment, asks at a fixed path, and goes to
whatever address a device names. Its services are, with a transport of ours: bounded in time and size, without
redirections, proxies and cookies, and without XML that could do harm. Certificates are not checked, because cameras
sign their own; the password travels as a digest.

Media 1 is asked, which every ONVIF camera with H.264 has; it has no word for H.265.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import onvif
from onvif.client import ONVIFService
from onvif.util import is_auth_error
from onvif.zeep_aiohttp import AIOHTTPTransport
from zeep.exceptions import Fault
from zeep.settings import Settings
from zeep.wsdl.utils import etree_to_string

from pipeline.discover import answers
from pipeline.discover.device import Candidate, Device, Login, Profile
from pipeline.discover.place import Placed, parted
from pipeline.discover.plain import DeviceError, plain_xml, shown

MOST_BYTES = 2 << 20
"""Of an answer: the profiles of a recorder with 64 inputs take half a megabyte."""
PATIENCE = 6
"""How many times as long as one answer a whole device may take."""
_PIECE_BYTES = 1 << 16
_WSDL = Path(onvif.__file__).parent / "wsdl"
_DEVICE, _MEDIA = "http://www.onvif.org/ver10/device/wsdl", "http://www.onvif.org/ver10/media/wsdl"
_MEDIA_2 = "http://www.onvif.org/ver20/media/wsdl"
_SERVICES = {_DEVICE: ("devicemgmt.wsdl", "DeviceBinding"), _MEDIA: ("media.wsdl", "MediaBinding")}
_STREAM = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
_SETTINGS = Settings(strict=False, xml_huge_tree=False, forbid_dtd=True)
"""Not strict, because few devices keep to every letter of the schema."""


class NotAuthorized(DeviceError):
    """The device does not answer whoever asks."""


class NotKnown(DeviceError):
    """The device does not know the question, or not the answer."""


async def warm_up() -> None:
    """Read the descriptions of the services, which takes a second of processor time and no network."""
    async with _Conversation(None, 1.0) as conversation:
        for kind in _SERVICES:
            await conversation.service(kind, "http://127.0.0.1/")


async def ask(candidate: Candidate, login: Login | None, answer_s: float) -> Device:
    """What a device says of itself and its streams; whatever it does, there is an answer that says so.

    Args:
        candidate: The device.
        login: Who asks; None asks as nobody.
        answer_s: How long each of its answers may take; all together may take `PATIENCE` times as long.
    """
    host = candidate.trust.host
    known = Device(host=host, name=candidate.name, model=candidate.model, notes=candidate.notes)
    try:
        async with asyncio.timeout(PATIENCE * answer_s), _Conversation(login, answer_s) as conversation:
            return await _Interview(conversation, candidate).device()
    except NotAuthorized:
        error = "refuses the user or the password" if login else "asks for a user and a password: give --user"
    except DeviceError as wrong:
        error = str(wrong)
    except TimeoutError:
        error = f"takes more than {PATIENCE * answer_s:g} s in all"
    except Exception as wrong:  # noqa: BLE001  zeep raises whatever an answer that nobody foresaw leads it to
        error = f"answers what is not ONVIF: {shown(wrong) or type(wrong).__name__}"
    return replace(known, error=error)


@dataclass(slots=True)
class _Interview:
    """The questions to one device, and what is to be told of its answers."""

    conversation: _Conversation
    candidate: Candidate
    notes: list[str] = field(default_factory=list)

    async def device(self) -> Device:
        talk, candidate = self.conversation, self.candidate
        management = await talk.service(_DEVICE, candidate.service)
        # A digest with a time of another clock than the device's own is refused.
        told = await _optional(talk.call(management, "GetSystemDateAndTime", as_nobody=True))
        talk.clock_diff = answers.clock_diff(told, dt.datetime.now(dt.UTC))
        management = await talk.service(_DEVICE, candidate.service)
        media = await talk.service(_MEDIA, self._media_address(await _addresses(talk, management)))
        profiles = answers.profiles(await talk.call(media, "GetProfiles"))
        if not profiles:
            raise DeviceError("has no profile with video: make one in its own pages")
        profiles = [replace(one, uri=await self._uri(media, one)) for one in profiles]
        about = await _optional(talk.call(management, "GetDeviceInformation"))
        return Device(
            host=candidate.trust.host,
            name=candidate.name or answers.name(await _optional(talk.call(management, "GetScopes"))),
            maker=answers.word(about, "Manufacturer"),
            model=answers.word(about, "Model") or candidate.model,
            profiles=tuple(profiles),
            notes=tuple(dict.fromkeys((*candidate.notes, *self.notes))),
        )

    def _media_address(self, addresses: dict[str, str]) -> str:
        if _MEDIA in addresses:
            placed = self._placed(addresses[_MEDIA])
            if placed is None or (parts := parted(placed.url)) is None or parts.scheme not in ("http", "https"):
                raise DeviceError("names an address of its media service that is none")
            # Behind NAT, its ports are others, too: its services are where the first of them is.
            at = urlsplit(self.candidate.service) if placed.named else parts
            return parts._replace(scheme=at.scheme, netloc=at.netloc.rpartition("@")[2]).geturl()
        if _MEDIA_2 in addresses:
            raise DeviceError("has only the second media service, which is not asked: take its streams from its pages")
        raise DeviceError("has no media service, so no streams: it may be a door, a speaker or a sensor")

    async def _uri(self, media: ONVIFService, profile: Profile) -> str:
        """Where a profile's stream is, or empty with a note."""
        try:
            answer = await self.conversation.call(
                media, "GetStreamUri", StreamSetup=_STREAM, ProfileToken=profile.token
            )
        except NotKnown:
            answer = None
        placed = self._placed(str(getattr(answer, "Uri", None) or "").strip())
        if placed is None:
            self.notes.append(f"it gives no usable address for the profile “{shown(profile.name)}”")
        return placed.url if placed else ""

    def _placed(self, url: str) -> Placed | None:
        placed = self.candidate.trust.place(url)
        if placed is not None and placed.named:
            self.notes.append(self.candidate.trust.note(placed))
        return placed


class _Conversation:
    """Calls to one device; closes what it opened."""

    def __init__(self, login: Login | None, answer_s: float) -> None:
        self._login, self._answer_s = login, answer_s
        self._opened = AsyncExitStack()
        self._transport: _Transport | None = None
        self.clock_diff: dt.timedelta | None = None

    async def __aenter__(self) -> Self:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            middlewares=(aiohttp.DigestAuthMiddleware(self._login.user, self._login.password),) if self._login else (),
        )
        self._transport = _Transport(await self._opened.enter_async_context(session), self._answer_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def service(self, kind: str, address: str) -> ONVIFService:
        """One of a device's services, by its namespace; nothing is sent."""
        file, binding = _SERVICES[kind]
        login = self._login or Login("", "")
        service = ONVIFService(
            address,
            login.user,
            login.password,
            str(_WSDL / file),
            no_cache=True,
            dt_diff=self.clock_diff,
            binding_name=f"{{{kind}}}{binding}",
        )
        self._opened.push_async_callback(service.close)
        service.transport = self._transport
        await service.setup()
        for client in (service.zeep_client, service.zeep_client_authless):
            client.settings = _SETTINGS
        return service

    async def call(self, service: ONVIFService, operation: str, *, as_nobody: bool = False, **parameters: Any) -> Any:
        """The answer to one question.

        Raises:
            NotAuthorized: It answers others, or not without a password.
            NotKnown: It says that it cannot answer.
            DeviceError: It cannot be reached, or does not answer in time.
        """
        named = f"authless_{operation}" if as_nobody or not self._login else operation
        try:
            return await getattr(service, named)(parameters)
        except Fault as fault:
            if is_auth_error(fault):
                raise NotAuthorized("refuses") from None
            raise NotKnown(f"answers {operation} with an error: {shown(fault.message)}") from None
        except aiohttp.ClientConnectorError as error:
            number, why = error.errno or 0, error.os_error.strerror
            why = os.strerror(number) if number > 0 else why
            raise DeviceError(f"cannot be reached at {shown(service.xaddr)}: {why}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise DeviceError(f"does not speak HTTP at {shown(service.xaddr)}: {shown(error)}") from None


class _Transport(AIOHTTPTransport):  # type: ignore[misc]  # the package has no types
    """HTTP to the address that is given and no other, up to `MOST_BYTES`."""

    def __init__(self, session: aiohttp.ClientSession, answer_s: float) -> None:
        super().__init__(session=session)
        self._answer_s = answer_s

    async def post_xml(self, address: str, envelope: Any, headers: dict[str, str]) -> _Answer:
        """The answer to one envelope.

        Raises:
            DeviceError: There is none that could be used.
        """
        try:
            async with (
                asyncio.timeout(self._answer_s),
                self.session.post(
                    address,
                    data=etree_to_string(envelope),  # type: ignore[no-untyped-call]
                    headers={**headers, "Accept-Encoding": "identity"},
                    allow_redirects=False,
                ) as response,
            ):
                return _Answer(response.status, await _body(response))
        except TimeoutError:
            raise DeviceError(f"does not answer within {self._answer_s:g} s") from None


@dataclass(frozen=True, slots=True)
class _Answer:
    """As much of a response of `requests` as zeep looks at."""

    status_code: int
    content: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/soap+xml"})
    encoding: str = "utf-8"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    if response.status in (401, 403):
        raise NotAuthorized("refuses")
    if response.status in (404, 405):
        raise DeviceError(f"has no ONVIF service at {shown(response.url)}")
    if 300 <= response.status < 400:
        raise DeviceError("sends whoever asks to another address, which is not followed; give that one by --address")
    body = bytearray()
    while piece := await response.content.read(_PIECE_BYTES):
        body += piece
        if len(body) > MOST_BYTES:
            raise DeviceError(f"answers more than {MOST_BYTES >> 20} MB")
    return plain_xml(bytes(body)).encode()


async def _addresses(talk: _Conversation, management: ONVIFService) -> dict[str, str]:
    """The device's services by namespace; old devices know the second question only."""
    found = answers.addresses(await _optional(talk.call(management, "GetServices", IncludeCapability=False)))
    if found:
        return found
    told = await talk.call(management, "GetCapabilities", Category=["All"])
    address = getattr(getattr(told, "Media", None), "XAddr", None)
    return {_MEDIA: str(address)} if address else {}


async def _optional(question: Any) -> Any:
    """An answer that a device may owe; None if it refuses or does not know it."""
    try:
        return await question
    except (NotAuthorized, NotKnown):
        return None
