"""Who gets something from a page, and what strangers can make it do: nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pipeline import ConfigError, Fleet, PageError
from pipeline.config import load_fleet
from pipeline.web.live import MOST_VIEWERS
from pipeline.web.serving import LONGEST_WORD, MOST_CONNECTIONS

TOKEN = "correct-horse-battery"
PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Iterator[Callable[..., Fleet]]:
    """Fleets by what their page is; each is started once."""
    running: dict[str, Fleet] = {}

    def of(**page: Any) -> Fleet:
        key = json.dumps(page)
        if key not in running:
            file = tmp_path_factory.mktemp("page") / "fleet.yaml"
            body = {
                "name": f"safe-{len(running)}",
                "model": {"backend": "stub"},
                "publish": {"bind": "tcp://127.0.0.1:0"},
                "page": {"port": 0, **page},
                "cameras": {
                    "gate": {"url": str(recording), "loop": True},
                    "gone": {"url": f"rtsp://viewer:{PASSWORD}@127.0.0.1:9/stream"},
                },
            }
            file.write_text(json.dumps(body))
            running[key] = Fleet(file)
        return running[key]

    yield of
    for fleet in running.values():
        fleet.close()


@pytest.fixture
def open_page(fleets: Callable[..., Fleet]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fleets().page, timeout=30) as client:
        yield client


@pytest.fixture
def guarded(fleets: Callable[..., Fleet]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fleets(token=TOKEN).page, timeout=30) as client:
        yield client


def live(client: httpx.Client, **headers: str) -> ClientConnection:
    url = str(client.base_url).replace("http", "ws") + "live"
    return connect(url, additional_headers=headers, proxy=None, open_timeout=30, max_size=None)


def test_page_every_answer_has_the_headers_that_keep_a_browser_safe(open_page: httpx.Client):
    for path in ("/", "/static/app.js", "/api/history/gate", "/none", "/cameras/none.jpg"):
        headers = open_page.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::ffff:10.0.0.1]", "", "["])
def test_page_without_a_token_answers_only_to_this_machines_names(open_page: httpx.Client, host: str):
    assert open_page.get("/", headers={"host": host}).status_code in (400, 421)


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8080"])
def test_page_behind_a_tunnel_answers_to_this_machines_names(open_page: httpx.Client, host: str):
    assert open_page.get("/", headers={"host": host}).status_code == 200


def test_page_without_a_token_changes_nothing(open_page: httpx.Client):
    assert open_page.post("/api/cameras/gate/pause").status_code == 403
    assert open_page.post("/api/reload").status_code == 403


@pytest.mark.parametrize("path", ["/api/cameras/gate/pause", "/api/reload", "/logout"])
def test_page_changes_nothing_by_get(guarded: httpx.Client, path: str):
    assert guarded.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
    ids=["origin", "no-origin", "fetch-metadata"],
)
def test_page_refuses_what_another_site_asks(guarded: httpx.Client, headers: dict[str, str]):
    known = {"authorization": f"Bearer {TOKEN}"}
    assert guarded.post("/api/cameras/gate/pause", headers={**known, **headers}).status_code == 403
    assert guarded.post("/api/rules/check", json=[], headers={**known, **headers}).status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        live(guarded, **known, **headers)
    assert refused.value.response.status_code == 403


def test_page_with_a_token_gives_nothing_without_it(guarded: httpx.Client):
    for path in ("/cameras/gate.jpg", "/api/history/gate", "/status", "/metrics", "/readyz", "/static/app.js", "/none"):
        assert guarded.get(path).status_code == 401, path
        assert guarded.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401, path
        assert guarded.get(path, headers={"cookie": f"camfleet={TOKEN}"}).status_code == 401, path
    assert guarded.post("/api/rules/check", json=[]).status_code == 401
    assert guarded.get("/").headers["location"] == "/login"
    assert guarded.get("/livez").status_code != 401, "whoever keeps it alive needs to know nothing else"
    with pytest.raises(InvalidStatus):
        live(guarded)


def test_page_with_its_token_gives_all_and_changes_what_is_asked(guarded: httpx.Client):
    known = {"authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/", headers=known).status_code == 200
    assert guarded.post("/api/cameras/gate/pause", headers=known).json() == {"result": None}
    assert guarded.post("/api/cameras/gate/resume", headers=known).json() == {"result": None}
    assert "no camera" in guarded.post("/api/cameras/none/pause", headers=known).json()["error"]
    assert guarded.post("/api/cameras/gate/remove", headers=known).status_code == 404
    assert guarded.post("/api/reload", headers=known).json()["result"]["added"] == []


def test_page_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(guarded: httpx.Client):
    wrong = guarded.post("/login", data={"token": "wrong-horse-battery"})
    assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
    right = guarded.post("/login", data={"token": TOKEN})
    assert right.status_code == 303
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie
    guarded.cookies.clear()
    assert guarded.get("/", headers={"cookie": right.headers["set-cookie"].partition(";")[0]}).status_code == 200


@pytest.mark.parametrize(
    "body", [b"token=" + b"x" * 5000, b"\xff\xfe=\x00", b"a=1&" * 300, b""], ids=["long", "bytes", "many", "empty"]
)
def test_page_login_takes_no_nonsense(guarded: httpx.Client, body: bytes):
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert guarded.post("/login", content=body, headers=form).status_code == 401


def test_page_tells_no_password(open_page: httpx.Client, fleets: Callable[..., Fleet]):
    paths = ("/", "/api/history/gone", "/status", "/metrics", "/readyz", "/cameras/gone.jpg")
    told = [open_page.get(path).text for path in paths]
    heard: list[bytes] = []
    with live(open_page) as connection:
        while len(heard) < 3 or b"gone" not in b"".join(heard):
            heard.append(bytes(connection.recv(timeout=30)))
            connection.send('{"ack": 1}')
    assert PASSWORD not in "".join(told) + b"".join(heard).decode("utf-8", "replace")


@pytest.mark.parametrize(
    "word",
    [
        "",
        "null",
        "[]",
        '{"ack": -1}',
        '{"ack": 1e9}',
        '{"watch": {"gate": "all"}}',
        '{"watch": 1}',
        "{",
        b"\xff",
    ],
)
def test_page_ends_a_connection_that_says_what_it_does_not_understand(open_page: httpx.Client, word: str | bytes):
    with live(open_page) as connection:
        connection.send(word)
        with pytest.raises(ConnectionClosed):
            while True:
                connection.recv(timeout=30)


def test_page_ends_a_connection_that_says_too_much(open_page: httpx.Client):
    with live(open_page) as connection, pytest.raises(ConnectionClosed):
        connection.send(json.dumps({"watch": {"x" * 60 + str(number): "units" for number in range(LONGEST_WORD)}}))
        while True:
            connection.recv(timeout=30)


def test_page_ignores_cameras_that_the_fleet_does_not_have(open_page: httpx.Client):
    with live(open_page) as connection:
        connection.send(json.dumps({"watch": {"../../lock": "units", "none": "stills"}}))
        for _ in range(3):
            connection.recv(timeout=30)
            connection.send('{"ack": 1}')


def test_page_serves_only_so_many_browsers_and_goes_on(open_page: httpx.Client, within: Callable):
    with ExitStack() as stack:
        for _ in range(MOST_VIEWERS):
            stack.enter_context(live(open_page)).recv(timeout=30)
        with live(open_page) as one_too_many, pytest.raises(ConnectionClosed):
            one_too_many.recv(timeout=30)
        assert open_page.get("/").status_code == 200
    for _ in within(30):
        with live(open_page) as connection:
            try:
                connection.recv(timeout=30)
                break
            except ConnectionClosed:
                continue


def test_page_many_idle_sockets_do_not_keep_it_from_others(open_page: httpx.Client, fleets: Callable[..., Fleet]):
    address = (open_page.base_url.host, open_page.base_url.port or 80)
    idle = [socket.create_connection(address, timeout=30) for _ in range(MOST_CONNECTIONS + 40)]
    try:
        closed = 0
        for one in reversed(idle):
            one.settimeout(30)
            try:
                closed += one.recv(1) == b""
            except ConnectionResetError:
                closed += 1
        assert closed == len(idle), "those beyond the bound at once, the others when they have asked nothing for long"
    finally:
        for one in idle:
            one.close()
    assert open_page.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/.."])
def test_page_gives_no_file_that_is_not_its_own(open_page: httpx.Client, path: str):
    address = (open_page.base_url.host, open_page.base_url.port or 80)
    with socket.create_connection(address, timeout=30) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := raw.recv(65536):
            answer += chunk
    assert answer.split()[1] in (b"404", b"307", b"400"), answer[:200]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"bind": "0.0.0.0"}, "token"),
        ({"token": "short"}, "too short"),
        ({"bind": "page.example"}, "expected an address"),
        ({"cert": "a.pem"}, "belong together"),
        ({"port": 70000}, "65535"),
    ],
    ids=["beyond", "short", "name", "half", "port"],
)
def test_page_in_a_fleet_file_that_is_unsafe_or_wrong_is_refused(
    fleet_file: Callable[..., Path], recording: Path, page: dict[str, Any], words: str
):
    with pytest.raises(ConfigError, match=words):
        load_fleet(fleet_file({"gate": str(recording)}, page=page))


def test_page_at_a_port_in_use_refuses_the_start_in_one_sentence(fleet_file: Callable[..., Path], recording: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PageError, match=f"port {port}: address already in use"):
            Fleet(fleet_file({"gate": str(recording)}, page={"port": port}))


def test_page_with_tls_is_served_by_https_only(fleet_file: Callable[..., Path], recording: Path, tmp_path: Path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    made = subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("needs openssl, to make a certificate")
    page = {"port": 0, "cert": str(cert), "key": str(key), "token": TOKEN}
    with Fleet(fleet_file({"gate": str(recording)}, page=page)) as fleet:
        assert fleet.page.startswith("https://")
        import ssl

        context = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(verify=context, base_url=fleet.page, timeout=30) as client:
            given = client.post("/login", data={"token": TOKEN})
            assert "secure" in given.headers["set-cookie"].lower()
        with pytest.raises(httpx.HTTPError):
            httpx.get(fleet.page.replace("https", "http"), timeout=30)


def test_page_with_a_certificate_that_is_none_says_so(fleet_file: Callable[..., Path], recording: Path, tmp_path: Path):
    (tmp_path / "cert.pem").write_text("none")
    page = {"port": 0, "cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "cert.pem")}
    with pytest.raises(PageError, match="HTTPS cannot be served"):
        Fleet(fleet_file({"gate": str(recording)}, page=page))


def test_fleet_without_a_page_imports_no_server():
    code = "import pipeline.supervise.supervisor, sys; print({'uvicorn', 'starlette', 'websockets'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "set()"
