"""A login in a player's place, message by message: RFC 7616's own example, and what goes through as it is."""

from __future__ import annotations

import re

import pytest

from pipeline.errors import RtspError
from pipeline.rtsp import challenge as challenge_module
from pipeline.rtsp.challenge import Credentials, best, challenges
from pipeline.rtsp.login import MOST_UNANSWERED, MessageReader, Passage
from pipeline.rtsp.messages import MAX_BODY_BYTES, MAX_HEADER_BYTES

WHO = Credentials("bob", "hunter2")
NEAR, FAR = "rtsp://127.0.0.1:9/word", "rtsp://cam.example:554"
ASKS = b'WWW-Authenticate: Digest realm="cam", nonce="%s", algorithm=SHA-256\r\n'


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_answer_is_that_of_rfc_7616(algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        challenge_module.secrets, "token_hex", lambda size: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    )
    header = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=' + algorithm + ", "
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    (offer,) = challenges([header])
    answer = offer.answer(Credentials("Mufasa", "Circle of Life"), "GET", "/dir/index.html", 1)
    assert f'response="{response}"' in answer
    assert "qop=auth, nc=00000001" in answer and 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in answer


@pytest.mark.parametrize(
    ("headers", "chosen"),
    [
        (['Digest nonce="1"', 'Digest nonce="2", algorithm=SHA-256', "Basic"], ("digest", "SHA-256")),
        (['Digest nonce="1", Digest nonce="2", algorithm=SHA-512-256'], ("digest", "SHA-512-256")),
        (['Digest nonce="1", algorithm=BLAKE3, Basic realm="a, Digest x=1"'], ("basic", "MD5")),
        (['Digest algorithm=SHA-256, realm="no nonce"'], None),
        (['Digest nonce="1", qop="auth-int"'], None),
        (["Bearer", "", ",,,"], None),
    ],
)
def test_the_safest_way_that_can_be_answered_is_taken(headers: list[str], chosen: tuple[str, str] | None) -> None:
    found = best(challenges(headers))
    assert (found and (found.scheme, found.algorithm)) == chosen


def asked(passage: Passage, request: bytes) -> bytes:
    """What the camera is asked for it."""
    passage.from_player(request)
    return taken(passage.to_camera)


def answered(passage: Passage, answer: bytes) -> bytes:
    """What the player gets for it."""
    passage.from_camera(answer)
    return taken(passage.to_player)


def taken(waiting: bytearray) -> bytes:
    data = bytes(waiting)
    waiting.clear()
    return data


def test_a_request_is_asked_again_with_the_answer_and_the_player_sees_its_own_number() -> None:
    passage = Passage(WHO, NEAR, FAR)
    first = asked(passage, f"DESCRIBE {NEAR}/live?a=1 RTSP/1.0\r\nCSeq: 7\r\nAccept: x\r\n\r\n".encode())
    assert first == b"DESCRIBE rtsp://cam.example:554/live?a=1 RTSP/1.0\r\nCSeq: 1\r\nAccept: x\r\n\r\n"
    assert answered(passage, b"RTSP/1.0 401 No\r\nCSeq: 1\r\n" + ASKS % b"n1" + b"\r\n") == b""
    again = taken(passage.to_camera)
    assert again.startswith(
        b"DESCRIBE rtsp://cam.example:554/live?a=1 RTSP/1.0\r\nCSeq: 2\r\nAccept: x\r\nAuthorization: "
    )
    assert answered(passage, b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 3\r\n\r\nv=0") == (
        b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 3\r\n\r\nv=0"
    )
    assert b"Authorization: Digest" in asked(passage, b"SETUP rtsp://cam.example/live/1 RTSP/1.0\r\nCSeq: 8\r\n\r\n")


def test_a_password_that_was_refused_is_not_tried_again_and_the_player_is_offered_nothing() -> None:
    passage = Passage(WHO, NEAR, FAR)
    asked(passage, f"DESCRIBE {NEAR} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
    answered(passage, b"RTSP/1.0 401 No\r\nCSeq: 1\r\n" + ASKS % b"n1" + b"\r\n")
    refused = answered(passage, b"RTSP/1.0 401 No\r\nCSeq: 2\r\n" + ASKS % b"n2" + b"\r\n")
    assert refused == b"RTSP/1.0 401 No\r\nCSeq: 1\r\n\r\n" and passage.refused
    assert taken(passage.to_camera).count(b"DESCRIBE") == 1


def test_packets_and_a_cameras_own_requests_go_through_as_they_are_however_they_are_cut() -> None:
    sent = b"$\x00\x00\x05RTSP/xx$\x01\x00\x02\r\nOPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n$\x00\x00\x01$"
    for size in (1, 3, len(sent)):
        passage = Passage(WHO, NEAR, FAR)
        came = b"".join(answered(passage, sent[at : at + size]) for at in range(0, len(sent), size))
        assert came == sent
    assert (
        asked(passage, b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n$\x01\x00\x01r")
        == b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n$\x01\x00\x01r"
    )


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"RTSP/1.0 200 OK\r\nX: " + b"a" * MAX_HEADER_BYTES, id="header-without-end"),
        pytest.param(f"RTSP/1.0 200 OK\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode(), id="body-too-long"),
        pytest.param(b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", id="no-length"),
    ],
)
def test_what_has_no_bounds_is_refused(sent: bytes) -> None:
    with pytest.raises(RtspError):
        list(MessageReader().feed(sent))


def test_requests_that_are_never_answered_are_forgotten_and_end_nothing() -> None:
    passage = Passage(WHO, NEAR, FAR)
    for number in range(3 * MOST_UNANSWERED):
        assert asked(passage, f"OPTIONS {NEAR} RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode())
    assert answered(passage, b"RTSP/1.0 200 OK\r\nCSeq: 48\r\n\r\n") == b"RTSP/1.0 200 OK\r\nCSeq: 47\r\n\r\n"
    assert len(passage._asked) < MOST_UNANSWERED


def test_the_password_is_in_no_repr() -> None:
    assert not re.search("hunter2", repr(Passage(WHO, NEAR, FAR)))
