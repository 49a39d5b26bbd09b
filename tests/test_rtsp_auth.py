"""Who is let in, and that nobody else learns the password."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from pipeline.errors import ReplayError
from pipeline.replay import Login, ReplayOptions, ServedRecordings, serve_recordings
from pipeline.rtsp.auth import REALM, AuthScheme, Doorkeeper
from pipeline.rtsp.messages import Request
from tests.rtsp_client import DEADLINE_S, RawClient

USER, PASSWORD = "bob", "hunter2:x"
URI = "rtsp://h/gate"


def request(authorization: str = "", method: str = "DESCRIBE") -> Request:
    return Request(method, URI, "RTSP/1.0", {"authorization": authorization} if authorization else {})


def basic(user: str = USER, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def digest(
    door: Doorkeeper, *, password: str = PASSWORD, qop: bool = True, algorithm: str = "MD5", **changed: str
) -> str:
    """An answer to the challenge of `door`, by the letter of RFC 7616 §3.4."""
    nonce = next(re.findall(r'nonce="(\w+)"', challenge)[0] for challenge in door.challenges if "nonce" in challenge)
    hashed = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]
    a1 = hashed(f"{USER}:{REALM}:{password}".encode()).hexdigest()
    a2 = hashed(f"DESCRIBE:{URI}".encode()).hexdigest()
    between = f"{nonce}:00000001:abc:auth" if qop else nonce
    fields = {"username": USER, "realm": REALM, "nonce": nonce, "uri": URI, "algorithm": algorithm}
    fields |= {"qop": "auth", "nc": "00000001", "cnonce": "abc"} if qop else {}
    fields |= {"response": hashed(f"{a1}:{between}:{a2}".encode()).hexdigest(), **changed}
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items())


@pytest.mark.parametrize(
    ("scheme", "offered"),
    [("any", ["Digest", "Basic"]), ("basic", ["Basic"]), ("digest", ["Digest"])],
)
def test_challenge_offers_the_schemes_asked_for(scheme: AuthScheme, offered: list[str]) -> None:
    challenges = Doorkeeper(Login(USER, PASSWORD, scheme)).challenges

    assert [challenge.split()[0] for challenge in challenges] == offered


def test_doorkeeper_admits_those_who_know_the_password() -> None:
    door = Doorkeeper(Login(USER, PASSWORD))

    assert door.admits(request(basic()))
    assert door.admits(request(digest(door)))
    assert door.admits(request(digest(door, qop=False)))
    assert door.admits(request(digest(door, algorithm="SHA-256")))


def test_doorkeeper_without_a_user_admits_everybody() -> None:
    assert Doorkeeper(Login()).admits(request())


def test_doorkeeper_turns_the_others_away() -> None:
    door, other = Doorkeeper(Login(USER, PASSWORD)), Doorkeeper(Login(USER, PASSWORD))
    only_digest, only_basic = Doorkeeper(Login(USER, PASSWORD, "digest")), Doorkeeper(Login(USER, PASSWORD, "basic"))

    refused = {
        "nothing": door.admits(request()),
        "wrong password": door.admits(request(basic(password="hunter3"))),
        "wrong user": door.admits(request(basic(user="eve"))),
        "no base64": door.admits(request("Basic ???")),
        "wrong password, digest": door.admits(request(digest(door, password="hunter3"))),
        "another connection's nonce": door.admits(request(digest(other))),
        "another method's answer": door.admits(request(digest(door), "PLAY")),
        "unknown algorithm": door.admits(request(digest(door).replace("MD5", "CRC"))),
        "another user": door.admits(request(digest(door, username="eve"))),
        "unknown scheme": door.admits(request("Bearer token")),
        "basic where digest is asked for": only_digest.admits(request(basic())),
        "digest where basic is asked for": only_basic.admits(request(digest(door))),
    }

    assert [how for how, admitted in refused.items() if admitted] == []


@pytest.fixture(scope="module")
def server(recording: Path) -> Iterator[ServedRecordings]:
    with serve_recordings(ReplayOptions((recording,), login=Login(USER, PASSWORD))) as served:
        yield served


def test_server_asks_and_tells_only_what_it_can(server: ServedRecordings) -> None:
    with RawClient(server.urls[0]) as client:
        assert client.ask("OPTIONS").status == 200
        refused = client.ask("DESCRIBE")
        admitted = client.ask("DESCRIBE", Authorization=basic())

    assert refused.status == 401 and refused.headers["www-authenticate"].startswith(("Digest", "Basic"))
    assert refused.body == "" and admitted.status == 200


def test_player_with_the_password_plays(server: ServedRecordings) -> None:
    address = server.urls[0].replace("//", "//bob:hunter2%3Ax@")
    with av.open(address, options={"rtsp_transport": "tcp"}, timeout=DEADLINE_S) as container:
        assert next(container.decode(video=0)).width == 320


def test_player_with_another_password_is_refused(server: ServedRecordings) -> None:
    with pytest.raises(av.HTTPUnauthorizedError):
        av.open(server.urls[0].replace("//", "//bob:wrong@"), timeout=DEADLINE_S)


def test_password_is_nowhere_to_be_read(server: ServedRecordings) -> None:
    process = Path(f"/proc/{server.pid}")

    told = [repr(server), repr(Login(USER, PASSWORD)), *server.urls]
    told += [(process / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]

    assert [text for text in told if "hunter2" in text] == []


def test_user_without_a_password_is_told_where_to_put_it() -> None:
    with pytest.raises(ReplayError, match="CAMFLEET_REPLAY_PASSWORD"):
        Login("bob")
