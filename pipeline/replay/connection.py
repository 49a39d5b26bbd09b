"""One RTSP client: answers its requests and hands its subscription to a camera.

One connection carries one session with one camera, which is how players use it. RTP comes back inside the connection
or by UDP, as the client asks; a session over UDP, too, ends with its connection.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import structlog

from pipeline.replay.camera import ServedCamera
from pipeline.rtsp.auth import Doorkeeper, Login
from pipeline.rtsp.interleaved import InterleavedSubscriber
from pipeline.rtsp.messages import VERSION, MalformedRequest, Request, RequestReader, response
from pipeline.rtsp.sdp import TRACK, describe
from pipeline.rtsp.subscriber import RtpSubscriber
from pipeline.rtsp.transport import ClientPorts, InterleavedChannels, wanted_transport
from pipeline.rtsp.udp import Address, UdpPorts, UdpSubscriber

# RFC 2326 §12.37: the default. FFmpeg and GStreamer send something every half of it.
SESSION_TIMEOUT_S = 60.0
# After the goodbye a client gets this long to take its leave by TEARDOWN before the connection is closed.
FAREWELL_S = 1.0

_SERVER = "camfleet"
_NO_LINGER = struct.pack("ii", 1, 0)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """What all connections of a server share.

    Attributes:
        cameras: By name.
        login: Who may watch.
        udp: The server's ports for RTP and RTCP.
        connections: Each open connection, from its making to its loss.
    """

    cameras: Mapping[str, ServedCamera]
    login: Login
    udp: UdpPorts
    connections: set[RtspConnection] = field(default_factory=set)


class RtspConnection(asyncio.Protocol):
    """The server's end of one client's TCP connection."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._doorkeeper = Doorkeeper(served.login)
        self._reader = RequestReader()
        self._session_id = ""
        self._camera: ServedCamera | None = None
        self._subscriber: RtpSubscriber | None = None
        self._udp_client: Address | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._methods: dict[str, Callable[[Request], bytes]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "TEARDOWN": self._teardown,
            "GET_PARAMETER": self._keep_alive,
            "SET_PARAMETER": self._keep_alive,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for requests, though not for ever."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._served.connections.add(self)
        self._restart_idle_timer()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete; any byte, RTCP too, shows that the client lives."""
        self._restart_idle_timer()
        try:
            for request in self._reader.feed(data):
                if not self._transport.is_closing():
                    self._transport.write(self._answer(request))
        except MalformedRequest as error:
            _log.warning("malformed RTSP request", reason=str(error))
            self._transport.write(response(400, {"Server": _SERVER}))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the camera of this client."""
        self._unsubscribe()
        self._cancel_idle_timer()
        self._served.connections.discard(self)
        if not self.lost.done():
            self.lost.set_result(None)

    @property
    def camera(self) -> ServedCamera | None:
        """The camera that this client watches, or is about to."""
        return self._camera

    def close(self, grace_s: float = 0.0) -> None:
        """Close once everything written has been taken, or after `grace_s` in any case."""
        self._ending = True
        self._unsubscribe()
        self._transport.close()
        self._cancel_idle_timer()
        self._idle = asyncio.get_running_loop().call_later(grace_s, self._transport.abort)

    def abort(self) -> None:
        """Break off at once, with a reset instead of an orderly end; what was not sent yet is lost."""
        lingering = self._transport.get_extra_info("socket")
        lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._ending = True
        self._transport.abort()

    def _answer(self, request: Request) -> bytes:
        """The answer; empty where a fault keeps the camera from answering."""
        camera = self._camera or self._named(request)
        if camera is None:
            return self._answer_properly(request)
        if camera.faults.get("refuse"):
            self.close()
            return b""
        if (silence := camera.faults.get("silence")) and not silence.answers:
            return b""
        if camera.faults.get("wrong_password"):
            return self._unauthorized(request)
        return self._answer_properly(request)

    def _named(self, request: Request) -> ServedCamera | None:
        return self._served.cameras.get(request.path.removesuffix(f"/{TRACK}"))

    def _unauthorized(self, request: Request) -> bytes:
        return self._respond(request, 401, {"WWW-Authenticate": self._doorkeeper.challenges})

    def _answer_properly(self, request: Request) -> bytes:
        if request.version != VERSION:
            return self._respond(request, 505)
        if "require" in request.headers:
            return self._respond(request, 551, {"Unsupported": request.headers["require"]})
        if request.session_id and request.session_id != self._session_id:
            return self._respond(request, 454)
        if request.method != "OPTIONS" and not self._doorkeeper.admits(request):
            return self._unauthorized(request)
        method = self._methods.get(request.method)
        if method is None:
            return self._respond(request, 501, {"Public": ", ".join(self._methods)})
        return method(request)

    def _options(self, request: Request) -> bytes:
        return self._respond(request, 200, {"Public": ", ".join(self._methods)})

    def _keep_alive(self, request: Request) -> bytes:
        return self._respond(request, 200)

    def _describe(self, request: Request) -> bytes:
        camera = self._served.cameras.get(request.path)
        if camera is None:
            return self._respond(request, 404)
        if camera.ended:
            return self._respond(request, 410)
        headers = {"Content-Type": "application/sdp", "Content-Base": f"{_base_url(request, camera)}/"}
        return self._respond(request, 200, headers, describe(camera.name, camera.media, session=id(camera)))

    def _setup(self, request: Request) -> bytes:
        camera = self._named(request)
        if camera is None:
            return self._respond(request, 404)
        if camera.ended:
            return self._respond(request, 410)
        if self._camera not in {None, camera}:
            return self._respond(request, 459)
        wanted = wanted_transport(request.headers.get("transport", ""))
        if wanted is None:
            return self._respond(request, 461)
        self._unsubscribe()
        self._session_id = self._session_id or secrets.token_hex(8)
        self._camera = camera
        transport = (
            self._over_udp(camera, wanted) if isinstance(wanted, ClientPorts) else self._over_tcp(camera, wanted)
        )
        return self._respond(request, 200, {"Transport": f"{transport};ssrc={camera.ssrc:08X}"})

    def _over_tcp(self, camera: ServedCamera, channels: InterleavedChannels) -> str:
        self._subscriber = InterleavedSubscriber(
            self._transport, channels, camera.sender_report, self._farewell, asyncio.get_running_loop().time
        )
        return f"RTP/AVP/TCP;unicast;interleaved={channels.rtp}-{channels.rtcp}"

    def _over_udp(self, camera: ServedCamera, client: ClientPorts) -> str:
        ports = self._served.udp
        rtp, rtcp = ports.open()
        host = self._transport.get_extra_info("peername")[0]
        self._subscriber = UdpSubscriber(ports, host, client, camera.sender_report, self._farewell)
        self._udp_client = (host, client.rtcp)
        ports.on_report(self._udp_client, self._restart_idle_timer)
        return f"RTP/AVP;unicast;client_port={client.rtp}-{client.rtcp};server_port={rtp}-{rtcp}"

    def _play(self, request: Request) -> bytes:
        if self._camera is None or self._subscriber is None:
            return self._respond(request, 455)
        if self._camera.ended:
            return self._respond(request, 410)
        headers = {"Range": "npt=now-", **self._rtp_info(request, self._camera)}
        self._subscriber.restart()
        self._camera.join(self._subscriber)
        _log.info("client plays", camera_id=self._camera.name)
        return self._respond(request, 200, headers)

    def _pause(self, request: Request) -> bytes:
        if self._camera is None or self._subscriber is None:
            return self._respond(request, 455)
        self._camera.leave(self._subscriber)
        self._subscriber.close()
        return self._respond(request, 200)

    def _teardown(self, request: Request) -> bytes:
        if self._camera is None:
            return self._respond(request, 455)
        answer = self._respond(request, 200)
        self._unsubscribe()
        self._camera, self._session_id = None, ""
        if self._ending:
            asyncio.get_running_loop().call_soon(self.close, FAREWELL_S)
        return answer

    def _rtp_info(self, request: Request, camera: ServedCamera) -> dict[str, str]:
        """Where in the running stream the client comes in, as far as it is known.

        A client that must wait for a key frame is told nothing: with the numbers of this moment FFmpeg would begin its
        time line with a gap, and GStreamer would take every packet in between for lost.
        """
        if camera.entry is None:
            return {}
        sequence, timestamp = camera.entry
        url = f"{_base_url(request, camera)}/{TRACK}"
        return {"RTP-Info": f"url={url};seq={sequence};rtptime={timestamp}"}

    def _respond(
        self,
        request: Request,
        status: int,
        headers: Mapping[str, str | tuple[str, ...]] | None = None,
        body: str = "",
    ) -> bytes:
        common: dict[str, str | tuple[str, ...]] = {"CSeq": request.cseq, "Server": _SERVER}
        if self._session_id:
            common["Session"] = f"{self._session_id};timeout={SESSION_TIMEOUT_S:.0f}"
        return response(status, {**common, **(headers or {})}, body)

    def _unsubscribe(self) -> None:
        if self._camera is not None and self._subscriber is not None:
            self._camera.leave(self._subscriber)
            self._subscriber.close()
            _log.info("client leaves", camera_id=self._camera.name, access_units_left_out=self._subscriber.left_out)
        self._subscriber = None
        if self._udp_client is not None:
            self._served.udp.forget(self._udp_client)
            self._udp_client = None

    def _farewell(self) -> None:
        """The camera has ended: leave it to the client to go first, as its last pictures may still be under way."""
        self._ending = True
        self._cancel_idle_timer()
        self._idle = asyncio.get_running_loop().call_later(FAREWELL_S, self.close, FAREWELL_S)

    def _restart_idle_timer(self) -> None:
        if self._ending:
            return
        self._cancel_idle_timer()
        self._idle = asyncio.get_running_loop().call_later(SESSION_TIMEOUT_S, self._expire)

    def _cancel_idle_timer(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _expire(self) -> None:
        if self._camera is not None:
            _log.warning("RTSP session timed out", camera_id=self._camera.name)
        self.close()


def _base_url(request: Request, camera: ServedCamera) -> str:
    """The camera's URL as the client reaches it, without credentials."""
    host = urlsplit(request.target).netloc.rpartition("@")[2]
    return f"rtsp://{host}/{quote(camera.name)}"
