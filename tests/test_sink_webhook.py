"""A web server that is told: what it gets, what it may answer, and what it never gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import msgspec
import pytest

from pipeline.config.sinks.choice import sink_of
from pipeline.errors import SinkError
from pipeline.sink.opening import open_sink
from pipeline.sink.protocol import Refused
from pipeline.sink.webhook import Webhook
from tests.sinks import frame, place
from tests.wire_messages import EVIDENCE, STATE

PLANTED = "hunter2-is-secret"
URL = f"https://hooks.example/{PLANTED}?token={PLANTED}"


class Server:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if self._answers else httpx.Response(204)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    @property
    def frames(self) -> list[list[int]]:
        return [[one["frame_id"] for one in json.loads(request.content)["messages"]] for request in self.asked]


def webhook(server: Server, folder: Path = Path("/"), **settings) -> Webhook:
    found = sink_of("webhook", {"url": URL, **settings})
    return Webhook(found, place(folder), httpx.MockTransport(server))


def test_webhook_posts_frames_signed_and_with_its_token():
    server = Server()
    webhook(server, secret="s3", token="t0").write([frame(0), STATE, frame(1)])
    (request,) = server.asked
    body = json.loads(request.content)
    assert (request.method, body["fleet"], body["sink"]) == ("POST", "town", "keep")
    assert [(one["kind"], one["frame_id"]) for one in body["messages"]] == [("detections", 0), ("detections", 1)]
    assert (request.headers["Authorization"], request.headers["Content-Type"]) == ("Bearer t0", "application/json")
    signed = request.headers["X-Camfleet-Timestamp"].encode() + b"." + request.content
    expected = hmac.new(b"s3", signed, hashlib.sha256).hexdigest()
    assert request.headers["X-Camfleet-Signature"] == f"sha256={expected}"


def test_webhook_tells_states_where_it_is_asked_to():
    server = Server()
    webhook(server, states=True).write([STATE])
    assert json.loads(server.asked[0].content)["messages"][0]["kind"] == "cameras"
    webhook(server).write([STATE])
    assert len(server.asked) == 1, "nothing is posted of nothing"


def test_webhook_sends_the_picture_of_an_event_where_it_is_asked_to(tmp_path: Path):
    server = Server()
    picture = tmp_path / "gate.jpg"
    picture.write_bytes(b"\xff\xd8jpeg")
    kept = msgspec.structs.replace(EVIDENCE, snapshot=str(picture))
    webhook(server).write([kept])
    webhook(server, snapshots=True).write([kept, EVIDENCE, frame(0)])
    without, shown, gone, plain = [one for asked in server.asked for one in json.loads(asked.content)["messages"]]
    assert (without["kind"], without["snapshot"]) == ("evidence", str(picture)) and "snapshot_jpeg" not in without
    assert base64.b64decode(shown["snapshot_jpeg"]) == picture.read_bytes()
    assert gone["snapshot_jpeg"] is None, "it was deleted meanwhile"
    assert "snapshot_jpeg" not in plain


def test_webhook_sends_so_many_at_once_and_knows_a_request_that_is_made_again():
    server = Server(httpx.Response(200), httpx.Response(503))
    sink = webhook(server, most=2)
    with pytest.raises(SinkError, match=r"^hooks\.example answered 503 Service Unavailable$"):
        sink.write([frame(number) for number in range(5)])
    sink.write([frame(number) for number in range(5)])
    assert server.frames == [[0, 1], [2, 3], [0, 1], [2, 3], [4]]
    deliveries = [request.headers["X-Camfleet-Delivery"] for request in server.asked]
    assert deliveries[:2] == deliveries[2:4]
    assert len(set(deliveries)) == 3


@pytest.mark.parametrize("code", [401, 403, 404, 408, 425, 429, 500, 502])
def test_webhook_that_is_refused_for_now_keeps_the_batch(code: int):
    with pytest.raises(SinkError, match=f"hooks.example answered {code}") as caught:
        webhook(Server(httpx.Response(code))).write([frame(0)])
    assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize("code", [400, 410, 415, 422])
def test_webhook_that_is_refused_for_good_loses_that_request_and_makes_the_next(code: int):
    server = Server(httpx.Response(code))
    with pytest.raises(Refused, match=f"refuses results for good: it answered {code}") as caught:
        webhook(server, most=2).write([frame(number) for number in range(5)])
    assert caught.value.messages == 2
    assert server.frames == [[0, 1], [2, 3], [4]]


def test_webhook_whose_request_is_too_large_makes_two_of_it():
    def picky(request: httpx.Request) -> httpx.Response:
        return httpx.Response(413 if len(json.loads(request.content)["messages"]) > 1 else 200)

    server = Server(*[picky] * 9)
    webhook(server).write([frame(number) for number in range(3)])
    assert server.frames == [[0, 1, 2], [0], [1, 2], [1], [2]]
    with pytest.raises(Refused):
        webhook(Server(httpx.Response(413))).write([frame(0)])


def onward(to: str, code: int = 307) -> httpx.Response:
    return httpx.Response(code, headers={"Location": to})


def test_webhook_follows_to_the_same_host():
    server = Server(onward("/new"), onward("https://hooks.example:443/newer", 308))
    webhook(server).write([frame(0)])
    assert [str(request.url) for request in server.asked][1:] == [
        "https://hooks.example/new",
        "https://hooks.example/newer",
    ]
    assert server.asked[0].content == server.asked[2].content


@pytest.mark.parametrize(
    "answer",
    [
        onward("https://elsewhere.example/"),
        onward("//elsewhere.example/"),
        onward("http://hooks.example/"),
        onward("https://hooks.example:444/"),
        onward("https://hooks.example@elsewhere.example/"),
        onward(""),
        onward("https://[half"),
        onward("https://hooks.example:99999/"),
        onward("https://elsewhere.example/", 301),
        onward("https://elsewhere.example/", 302),
        onward("https://elsewhere.example/", 303),
    ],
)
def test_webhook_is_led_to_no_other_host(answer: httpx.Response):
    server = Server(answer)
    with pytest.raises(SinkError):
        webhook(server).write([frame(0)])
    assert [request.url.host for request in server.asked] == ["hooks.example"]


def test_webhook_that_is_led_in_circles_gives_up():
    server = Server(*[onward("/again")] * 9)
    with pytest.raises(SinkError, match="sends on and on"):
        webhook(server).write([frame(0)])
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout(URL), "hooks.example has not answered for 10 s"),
        (httpx.ReadTimeout(URL), "hooks.example has not answered for 10 s"),
        (httpx.ConnectError("[Errno 111] Connection refused"), "cannot be reached: [Errno 111] Connection refused"),
        (httpx.RemoteProtocolError("Server disconnected"), "cannot be reached: Server disconnected"),
        (httpx.ConnectError(""), "cannot be reached: ConnectError"),
    ],
)
def test_webhook_that_does_not_answer_says_who(error: Exception, words: str):
    with pytest.raises(SinkError) as caught:
        webhook(Server(error)).write([frame(0)])
    assert words in str(caught.value)


def test_webhook_says_nothing_of_its_address_whatever_happens():
    for answer in (httpx.Response(500), httpx.Response(410), onward(URL + "x"), httpx.ReadTimeout(URL)):
        with pytest.raises(SinkError) as caught:
            webhook(Server(*[answer] * 5), secret=PLANTED, token=PLANTED).write([frame(0)])
        assert PLANTED not in f"{caught.value!r} {caught.value}"


def test_webhook_whose_authority_cannot_be_read_says_so(tmp_path: Path):
    with pytest.raises(SinkError, match=r"the certificates of none\.pem cannot be read: No such file"):
        open_sink(sink_of("webhook", {"url": URL, "ca_file": "none.pem"}), place(tmp_path))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    asked = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    asked += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", *asked], check=True, capture_output=True)
    return key, cert


@pytest.fixture
def secured(certificate: tuple[Path, Path]) -> Iterator[tuple[int, list[bytes]]]:
    """A real server that nobody knows; its port, and what it got."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None: ...

    class Quiet(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None: ...

    server = Quiet(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, got
    server.shutdown()
    server.server_close()
    thread.join()


def test_webhook_trusts_no_stranger_and_its_own_authority(secured: tuple[int, list[bytes]], tmp_path: Path):
    port, got = secured
    url = f"https://localhost:{port}/"
    stranger = open_sink(sink_of("webhook", {"url": url}), place(tmp_path))
    with pytest.raises(SinkError, match=r"localhost cannot be reached: .*certificate verify failed"):
        stranger.write([frame(0)])
    stranger.close()
    assert got == []
    known = open_sink(sink_of("webhook", {"url": url, "ca_file": "cert.pem"}), place(tmp_path))
    known.write([frame(0)])
    known.close()
    assert len(got) == 1
