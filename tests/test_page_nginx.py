"""The page behind nginx with TLS, by the manual's own example."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pipeline import Fleet
from tests.servers import nginx

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "watch.md"
TOKEN = "correct-horse-battery"


@dataclass(frozen=True, slots=True)
class Site:
    """Where nginx serves the page, and what its certificate is known by."""

    address: str
    trusted: ssl.SSLContext

    def client(self) -> httpx.Client:
        """A browser that knows nothing yet."""
        return httpx.Client(base_url=self.address, verify=self.trusted, timeout=30)

    def live(self, **headers: str) -> ClientConnection:
        """The page's WebSocket."""
        url = self.address.replace("https", "wss") + "live"
        return connect(url, additional_headers=headers, proxy=None, ssl=self.trusted, open_timeout=30, max_size=None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Iterator[Site]:
    """A page that wants a token, behind nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    body = {
        "name": "behind-nginx",
        "model": {"backend": "stub"},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "page": {"port": 0, "token": TOKEN},
        "cameras": {"gate": {"url": str(recording), "loop": True}},
    }
    file = folder / "fleet.yaml"
    file.write_text(json.dumps(body))
    (example,) = re.findall(r"```nginx\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    with Fleet(file) as fleet:
        location = example.replace("http://127.0.0.1:8080", fleet.page.rstrip("/"))
        with nginx(folder, location) as (server, cert):
            trusted = ssl.create_default_context(cafile=str(cert))
            yield Site(f"https://127.0.0.1:{server.port}/", trusted)


def test_page_behind_nginx_asks_for_the_token_and_gives_a_cookie_that_goes_by_tls_only(site: Site):
    with site.client() as client:
        asked = client.get("/")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login")
        assert client.get("/status").status_code == 401
        given = client.post("/login", data={"token": TOKEN}).headers["set-cookie"].lower()
        assert "secure" in given and "httponly" in given and TOKEN not in given
        assert client.get("/").status_code == client.get("/status").status_code == 200


def test_page_behind_nginx_streams_to_its_own_pages_only(site: Site):
    known = {"authorization": f"Bearer {TOKEN}"}
    with site.live(**known, origin=site.address.rstrip("/")) as connection:
        assert b"behind-nginx" in bytes(connection.recv(timeout=30))
    with pytest.raises(InvalidStatus):
        site.live(**known, origin="https://evil.example")
    with pytest.raises(InvalidStatus):
        site.live(origin=site.address.rstrip("/"))


def test_page_behind_nginx_changes_the_fleet_for_its_own_pages_only(site: Site):
    known = {"authorization": f"Bearer {TOKEN}"}
    with site.client() as client:
        foreign = client.post("/api/cameras/gate/pause", headers={**known, "origin": "https://evil.example"})
        assert foreign.status_code == 403
        own = client.post("/api/cameras/gate/pause", headers={**known, "origin": site.address.rstrip("/")})
        assert own.status_code == 200
