from __future__ import annotations

import pytest

from pipeline.rtsp.messages import MAX_HEADER_BYTES, MalformedRequest, RequestReader, parse_request, response
from pipeline.rtsp.transport import ClientPorts, InterleavedChannels, wanted_transport

OPTIONS = b"OPTIONS rtsp://h/gate RTSP/1.0\r\nCSeq: 1\r\n\r\n"
DESCRIBE = b"DESCRIBE rtsp://h/front%20door/trackID=0?x=1 RTSP/1.0\r\ncseq:2\r\nSession: ab;timeout=60\r\n\r\n"
PARAMETER = b"SET_PARAMETER rtsp://h/gate RTSP/1.0\r\nCSeq: 3\r\nContent-Length: 5\r\n\r\na: b\n"
RECEIVER_REPORT = b"$\x01\x00\x08\x80\xc9\x00\x01GETx"


@pytest.mark.parametrize("chunk_bytes", [1, 3, 4096])
def test_reader_finds_requests_between_rtcp_however_they_are_cut(chunk_bytes: int) -> None:
    received = b"\r\n" + OPTIONS + RECEIVER_REPORT + PARAMETER + RECEIVER_REPORT + DESCRIBE
    reader = RequestReader()

    requests = [
        request
        for start in range(0, len(received), chunk_bytes)
        for request in reader.feed(received[start : start + chunk_bytes])
    ]

    assert [(request.method, request.cseq) for request in requests] == [
        ("OPTIONS", "1"),
        ("SET_PARAMETER", "3"),
        ("DESCRIBE", "2"),
    ]


def test_request_names_its_path_and_session() -> None:
    request = parse_request(DESCRIBE.strip())

    assert (request.path, request.session_id) == ("front door/trackID=0", "ab")


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"hello\r\n\r\n", id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\nCSeq: 1\r\n\r\n", id="HTTP"),
        pytest.param(b"OPTIONS * RTSP/1.0\r\n\r\n", id="no CSeq"),
        pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: x\r\n\r\n", id="CSeq no number"),
        pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq 1\r\n\r\n", id="header without colon"),
        pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n", id="endless body"),
        pytest.param(b"OPTIONS rtsp://[::1/gate RTSP/1.0\r\nCSeq: 1\r\n\r\n", id="broken URL"),
        pytest.param(b"\xff\xfe RTSP/1.0\r\n\r\n", id="no text"),
        pytest.param(b"A" * MAX_HEADER_BYTES, id="endless header"),
    ],
)
def test_reader_refuses_what_is_no_request(received: bytes) -> None:
    with pytest.raises(MalformedRequest):
        list(RequestReader().feed(received))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("RTP/AVP/TCP;unicast;interleaved=0-1", InterleavedChannels(0, 1), id="TCP"),
        pytest.param("RTP/AVP/TCP;unicast;interleaved=4", InterleavedChannels(4, 5), id="one channel named"),
        pytest.param("RTP/AVP/TCP;unicast", InterleavedChannels(0, 1), id="no channel named"),
        pytest.param("RTP/AVP;unicast;client_port=5000-5001", ClientPorts(5000, 5001), id="UDP"),
        pytest.param("RTP/AVP/UDP;unicast;client_port=5000", ClientPorts(5000, 5001), id="UDP, one port named"),
        pytest.param("RTP/AVP;unicast", None, id="UDP without ports"),
        pytest.param("RTP/AVP;unicast;client_port=0-1", None, id="UDP port that does not exist"),
        pytest.param("RTP/AVP;multicast;client_port=4000-4001", None, id="multicast"),
        pytest.param(
            "RTP/SAVP;unicast;client_port=1-2, RTP/AVP/TCP;interleaved=2-3", InterleavedChannels(2, 3), id="TCP second"
        ),
        pytest.param("RTP/AVP/TCP;interleaved=255-256", None, id="channel that does not exist"),
        pytest.param("RTP/AVP/TCP;interleaved=3-3", None, id="both on one channel"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_transport_is_the_first_that_the_server_has(
    header: str, expected: InterleavedChannels | ClientPorts | None
) -> None:
    assert wanted_transport(header) == expected


def test_response_counts_the_bytes_of_its_body() -> None:
    assert (
        response(200, {"CSeq": "7"}, "s=Tür") == b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 6\r\n\r\ns=T\xc3\xbcr"
    )
