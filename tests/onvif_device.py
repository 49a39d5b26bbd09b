"""Small ONVIF devices for tests: SOAP over real HTTP, and a network of them that answers probes over real UDP."""

from __future__ import annotations

import base64
import hashlib
import re
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape

MULTICAST, CARD = "239.255.255.250", "127.0.0.1"
_FRAME = (
    '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl"'
    ' xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:ter="http://www.onvif.org/ver10/error">'
    "<s:Body>{}</s:Body></s:Envelope>"
)
_MATCHES = (
    '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">'
    "<s:Header><a:RelatesTo>{relates}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches><d:ProbeMatch>"
    "<a:EndpointReference><a:Address>urn:uuid:{endpoint}</a:Address></a:EndpointReference>"
    "<d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/type/video_encoder"
    " onvif://www.onvif.org/name/{name} onvif://www.onvif.org/hardware/M1</d:Scopes><d:XAddrs>{xaddrs}</d:XAddrs>"
    "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
)
FAULT = (
    "<s:Fault><s:Code><s:Value>s:{side}</s:Value><s:Subcode><s:Value>ter:{code}</s:Value></s:Subcode></s:Code>"
    '<s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason></s:Fault>'
)
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 20}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + ']><b x="&i;">&i;</b>'
).encode()
"""Twenty to the eighth power of two letters."""


@dataclass(frozen=True)
class Stream:
    """One profile of a device; `{host}` in its address becomes the device's."""

    token: str
    name: str
    wh: tuple[int, int] | None = (1920, 1080)
    codec: str = "H264"
    fps: float = 25
    uri: str = "rtsp://{host}:554/{token}"
    source: str = "input"

    def profile(self) -> str:
        width, height = self.wh or (0, 0)
        size = f"<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
        return (
            f'<trt:Profiles token="{self.token}" fixed="true"><tt:Name>{escape(self.name)}</tt:Name>'
            f'<tt:VideoSourceConfiguration token="v"><tt:Name>v</tt:Name><tt:UseCount>1</tt:UseCount>'
            f"<tt:SourceToken>{self.source}</tt:SourceToken>"
            f'<tt:Bounds x="0" y="0" width="1920" height="1080"/></tt:VideoSourceConfiguration>'
            f'<tt:VideoEncoderConfiguration token="e"><tt:Name>e</tt:Name><tt:UseCount>1</tt:UseCount>'
            f"<tt:Encoding>{self.codec}</tt:Encoding>{size if self.wh else ''}<tt:Quality>5</tt:Quality>"
            f"<tt:RateControl><tt:FrameRateLimit>{self.fps}</tt:FrameRateLimit>"
            "<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>2048</tt:BitrateLimit></tt:RateControl>"
            "</tt:VideoEncoderConfiguration></trt:Profiles>"
        )


MAIN, SUB = Stream("main", "mainStream"), Stream("sub", "subStream", (640, 360), fps=15)


@dataclass(frozen=True)
class Habits:
    """How a device behaves.

    Attributes:
        name: In its scopes, percent-encoded.
        streams: Its profiles.
        user: Whom it answers; empty answers everybody.
        password: Of that user.
        http_digest: It wants HTTP Digest and knows no WS-Security.
        clock_ahead: Of its own clock; a token with a time ten seconds from it is refused.
        has_media: It has a media service.
        knows_services: It knows GetServices, and not GetCapabilities alone.
        named_host: The host that it names in all of its addresses; None for its own.
        named_port: The port that it names in those of its services; None for its own.
        answer: What it answers to everything, if not what it should: status, headers and body.
        silent: It takes requests and never answers.
    """

    name: str = "North%20Gate"
    streams: tuple[Stream, ...] = (MAIN, SUB)
    user: str = ""
    password: str = ""
    http_digest: bool = False
    clock_ahead: timedelta = timedelta()
    has_media: bool = True
    knows_services: bool = True
    named_host: str | None = None
    named_port: int | None = None
    answer: tuple[int, dict[str, str], bytes] | None = None
    silent: bool = False


class OnvifDevice:
    """A device at a free port of a loopback address.

    Attributes:
        requests: The operations that it was asked for, and whether a user name came with each.
        bodies: The requests as they came.
    """

    def __init__(self, habits: Habits, host: str = CARD) -> None:
        self.habits, self.host = habits, host
        self.requests: list[tuple[str, bool]] = []
        self.bodies: list[str] = []
        self.closing = threading.Event()
        device = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                device._serve(self)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        Handler.do_GET = Handler.do_POST  # type: ignore[attr-defined]
        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def service(self) -> str:
        return (
            f"http://{self.habits.named_host or self.host}:{self.habits.named_port or self.port}/onvif/device_service"
        )

    def match(self, relates: str) -> bytes:
        endpoint = f"00000000-0000-0000-0000-{self.port:012}"
        return _MATCHES.format(relates=relates, endpoint=endpoint, name=self.habits.name, xaddrs=self.service).encode()

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> OnvifDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        operation = _operation(body)
        self.bodies.append(body)
        self.requests.append((operation, "UsernameToken" in body or "Authorization" in request.headers))
        if self.habits.silent:
            self.closing.wait(60)
            return
        status, headers, answer = self.habits.answer or self._answer(operation, body, request)
        with suppress(OSError):  # Whoever asked may have gone.
            request.send_response(status)
            for name, value in {"Content-Type": "application/soap+xml", **headers}.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(answer)))
            request.end_headers()
            request.wfile.write(answer)

    def _answer(self, operation: str, body: str, request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        if operation != "GetSystemDateAndTime" and not self._admits(body, request):
            if self.habits.http_digest:
                return 401, {"WWW-Authenticate": 'Digest realm="cam", nonce="7", qop="auth", algorithm=MD5'}, b""
            return 400, {}, _framed(FAULT.format(side="Sender", code="NotAuthorized", reason="Sender not Authorized"))
        make: Callable[[str], str] | None = getattr(self, f"_on_{operation.lower()}", None)
        told = make(body) if make else None
        if told is None:
            return 500, {}, _framed(FAULT.format(side="Receiver", code="ActionNotSupported", reason="Not implemented"))
        return 200, {}, _framed(told)

    def _admits(self, body: str, request: BaseHTTPRequestHandler) -> bool:
        habits = self.habits
        if not habits.user:
            return True
        if habits.http_digest:
            return _digest_fits(request.headers.get("Authorization", ""), habits)
        token = {name: _tagged(body, name) for name in ("Username", "Password", "Nonce", "Created")}
        if token["Username"] != habits.user:
            return False
        apart = abs(datetime.fromisoformat(token["Created"]) - (datetime.now(UTC) + habits.clock_ahead))
        plain = base64.b64decode(token["Nonce"]) + token["Created"].encode() + habits.password.encode()
        expected = base64.b64encode(hashlib.sha1(plain).digest()).decode()
        return apart < timedelta(seconds=10) and token["Password"] == expected

    def _on_getsystemdateandtime(self, body: str) -> str:
        now = datetime.now(UTC) + self.habits.clock_ahead
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>"
            "<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime>"
            f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
            f"<tt:Second>{now.second}</tt:Second></tt:Time><tt:Date><tt:Year>{now.year}</tt:Year>"
            f"<tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date>"
            "</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )

    def _on_getservices(self, body: str) -> str | None:
        if not self.habits.knows_services:
            return None
        spaces = ["device", *(["media"] if self.habits.has_media else [])]
        services = "".join(
            f"<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{name}/wsdl</tds:Namespace>"
            f"<tds:XAddr>{self.service}</tds:XAddr><tds:Version><tt:Major>2</tt:Major><tt:Minor>5</tt:Minor>"
            "</tds:Version></tds:Service>"
            for name in spaces
        )
        return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"

    def _on_getcapabilities(self, body: str) -> str:
        media = (
            f"<tt:Media><tt:XAddr>{self.service}</tt:XAddr><tt:StreamingCapabilities/></tt:Media>"
            if self.habits.has_media
            else ""
        )
        return (
            f"<tds:GetCapabilitiesResponse><tds:Capabilities>{media}</tds:Capabilities></tds:GetCapabilitiesResponse>"
        )

    def _on_getdeviceinformation(self, body: str) -> str:
        return (
            "<tds:GetDeviceInformationResponse><tds:Manufacturer>Acme</tds:Manufacturer><tds:Model>M1</tds:Model>"
            "<tds:FirmwareVersion>1</tds:FirmwareVersion><tds:SerialNumber>7</tds:SerialNumber>"
            "<tds:HardwareId>1</tds:HardwareId></tds:GetDeviceInformationResponse>"
        )

    def _on_getscopes(self, body: str) -> str:
        items = ("onvif://www.onvif.org/type/x", f"onvif://www.onvif.org/name/{self.habits.name}")
        scopes = "".join(
            f"<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef><tt:ScopeItem>{one}</tt:ScopeItem></tds:Scopes>"
            for one in items
        )
        return f"<tds:GetScopesResponse>{scopes}</tds:GetScopesResponse>"

    def _on_getprofiles(self, body: str) -> str:
        profiles = "".join(stream.profile() for stream in self.habits.streams)
        return f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"

    def _on_getstreamuri(self, body: str) -> str | None:
        token = _tagged(body, "ProfileToken")
        stream = next((one for one in self.habits.streams if one.token == token), None)
        if stream is None or not stream.uri:
            return None
        uri = stream.uri.replace("{host}", self.habits.named_host or self.host).replace("{token}", token)
        return (
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{escape(uri)}</tt:Uri>"
            "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>"
            "<tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>"
        )


@dataclass
class Network:
    """Devices in one multicast group, which answer probes.

    Attributes:
        devices: Each answers from its own address.
        noise: What somebody at 127.0.0.66 answers before any of them; `{relates}` becomes the probe's identifier.
        probes: What was asked.
    """

    devices: list[OnvifDevice] = field(default_factory=list)
    noise: list[bytes] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    port: int = 0

    def answer(self, probe: str, asker: Any) -> None:
        self.probes.append(probe)
        relates = _tagged(probe, "MessageID")
        for datagram in self.noise:
            _send(datagram.replace(b"{relates}", relates.encode()), "127.0.0.66", asker)
        for device in self.devices:
            _send(device.match(relates), device.host, asker)


@contextmanager
def network(
    *devices: OnvifDevice, noise: tuple[bytes, ...] = (), host: str | None = None, port: int = 0
) -> Iterator[Network]:
    """A network on a free port or the given one; with `host`, one host that answers probes to itself, in no group."""
    made = Network(list(devices), list(noise))
    with ExitStack() as stack:
        group = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        group.bind((host or "", port))
        made.port = group.getsockname()[1]
        if host is None:
            membership = socket.inet_aton(MULTICAST) + socket.inet_aton(CARD)
            group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        stop, stopped = (stack.enter_context(one) for one in socket.socketpair())

        def listen() -> None:
            while stopped not in select.select([group, stopped], [], [])[0]:
                probe, asker = group.recvfrom(65535)
                if host is None:
                    made.answer(probe.decode(), asker)
                else:
                    made.probes.append(probe.decode())
                    for device in made.devices:
                        group.sendto(device.match(_tagged(probe.decode(), "MessageID")), asker)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            stop.send(b"x")
            thread.join(5)


def _send(datagram: bytes, host: str, to: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind((host, 0))
        answering.sendto(datagram, to)


def _framed(body: str) -> bytes:
    return _FRAME.format(body).encode()


def _operation(body: str) -> str:
    found = re.search(r"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)", body)
    return found[1] if found else ""


def _tagged(body: str, name: str) -> str:
    found = re.search(rf"<(?:[\w-]+:)?{name}(?: [^>]*)?>([^<]*)<", body)
    return found[1] if found else ""


def _digest_fits(header: str, habits: Habits) -> bool:
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', header))

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()

    who, what = md5(habits.user, "cam", habits.password), md5("POST", given.get("uri", ""))
    between = (given.get("nonce", ""), given.get("nc", ""), given.get("cnonce", ""), given.get("qop", ""))
    return given.get("username") == habits.user and given.get("response") == md5(who, *between, what)
