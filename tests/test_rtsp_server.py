"""The RTSP server against a client that speaks raw bytes; players are in test_replay_play."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.clock import NS_PER_S, VirtualClock
from pipeline.errors import ReplayError
from pipeline.replay import Playback, ReplayOptions, serve_recordings
from pipeline.rtsp.interleaved import MAX_UNSENT_BYTES, STALL_S, InterleavedSubscriber
from pipeline.rtsp.rtp import RtpUnit
from pipeline.rtsp.transport import InterleavedChannels
from tests.rtsp_client import DEADLINE_S, TCP, RawClient
from tests.test_replay_packets import FRAMES, KINDS, record

SENDER_REPORT = 200


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a key frame every half."""
    encoder, _, options = KINDS["h264"]
    return record(tmp_path_factory.mktemp("served") / "square.mp4", encoder, options)


@pytest.fixture(scope="module")
def urls(recording: Path) -> Iterator[tuple[str, ...]]:
    with serve_recordings(ReplayOptions((recording,), cameras=2)) as server:
        yield server.urls


@pytest.fixture
def client(urls: tuple[str, ...]) -> Iterator[RawClient]:
    with RawClient(urls[0]) as connected:
        yield connected


def test_server_names_every_camera_after_its_file(urls: tuple[str, ...]) -> None:
    assert [urlsplit(url).path for url in urls] == ["/square", "/square-2"]
    assert {urlsplit(url).hostname for url in urls} == {"127.0.0.1"}


def test_options_lists_what_players_need(client: RawClient) -> None:
    public = client.ask("OPTIONS").headers["public"].split(", ")

    assert {"DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"} <= set(public)


def test_describe_gives_sdp_and_the_base_of_its_urls_without_credentials(client: RawClient) -> None:
    answer = client.ask("DESCRIBE", client.url.replace("//", "//bob:secret@"), Accept="application/sdp")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["content-base"] == f"{client.url}/"
    assert "m=video 0 RTP/AVP 96" in answer.body


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("DESCRIBE", "/nobody", {}, 404, id="unknown camera"),
        pytest.param("SETUP", "/square/trackID=7", TCP, 404, id="unknown track"),
        pytest.param("SETUP", "/square", {"Transport": "RTP/AVP;multicast"}, 461, id="multicast"),
        pytest.param("PLAY", "/square", {}, 455, id="play before setup"),
        pytest.param("PAUSE", "/square", {}, 455, id="pause before setup"),
        pytest.param("PLAY", "/square", {"Session": "made-up"}, 454, id="unknown session"),
        pytest.param("RECORD", "/square", {}, 501, id="method nobody serves"),
        pytest.param("OPTIONS", "/square", {"Require": "implicit-teleport"}, 551, id="feature nobody has"),
    ],
)
def test_server_says_what_is_wrong_and_stays_connected(
    client: RawClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.ask(method, client.url.replace("/square", path), **headers)

    assert answer.status == status
    assert client.ask("OPTIONS").status == 200


def test_malformed_request_is_answered_with_400_and_the_end(client: RawClient) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert client.answer().status == 400
    assert client.ended()


def test_other_version_of_rtsp_is_refused(client: RawClient) -> None:
    client.send(b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n")

    assert client.answer().status == 505


def test_second_camera_on_one_connection_is_refused(client: RawClient, urls: tuple[str, ...]) -> None:
    assert client.ask("SETUP", f"{urls[0]}/trackID=0", **TCP).status == 200

    assert client.ask("SETUP", f"{urls[1]}/trackID=0", **TCP).status == 459


def test_client_gets_a_report_first_then_packets_without_gaps(client: RawClient) -> None:
    assert client.play().status == 200

    packets = client.read_packets(20)

    assert client.frames[0][0] == 1 and client.frames[0][1][1] == SENDER_REPORT
    numbers = [int.from_bytes(packet[2:4], "big") for packet in packets]
    assert all((later - earlier) % 65536 == 1 for earlier, later in pairwise(numbers))
    aggregated_with_parameter_sets = packets[0][12] & 0x1F == 24 and packets[0][15] & 0x1F == 7
    assert aggregated_with_parameter_sets, "it begins with a key frame"


def test_clients_of_one_camera_get_the_same_packets(urls: tuple[str, ...]) -> None:
    with RawClient(urls[0]) as early, RawClient(urls[0]) as late:
        early.play()
        early.read_packets(5)
        late.play()

        common = late.read_packets(3)
        early.read_past(common[-1])

        assert set(common) <= {frame for _, frame in early.frames}


def test_keep_alive_and_receiver_reports_do_not_disturb_playing(client: RawClient) -> None:
    session = client.play().headers["session"].split(";")[0]
    client.read_packets(3)
    client.send(b"$\x01\x00\x08" + struct.pack(">BBHI", 0x80, 201, 1, 1))

    assert client.ask("GET_PARAMETER", Session=session).status == 200
    already = sum(channel == 0 for channel, _ in client.frames)
    assert len(client.read_packets(already + 5)) == already + 5


def test_pause_stops_the_packets_and_play_goes_on_with_a_key_frame(client: RawClient) -> None:
    session = client.play().headers["session"].split(";")[0]
    client.read_packets(3)

    assert client.ask("PAUSE", Session=session).status == 200
    paused_at = len(client.frames)
    assert client.ask("OPTIONS").status == 200
    assert len(client.frames) == paused_at
    client.ask("PLAY", Session=session)
    client.read_packets(sum(channel == 0 for channel, _ in client.frames) + 1)

    assert client.frames[paused_at][1][1] == SENDER_REPORT


def test_teardown_ends_the_session_but_not_the_connection(client: RawClient) -> None:
    session = client.play().headers["session"].split(";")[0]

    assert client.ask("TEARDOWN", Session=session).status == 200
    assert client.ask("PLAY", Session=session).status == 454


def test_second_camera_on_the_same_file_shows_another_part(urls: tuple[str, ...]) -> None:
    with RawClient(urls[0]) as first, RawClient(urls[1]) as second:
        payloads = []
        for camera in (first, second):
            camera.play()
            payloads.append({packet[12:] for packet in camera.read_packets(8)})

        assert payloads[0] != payloads[1]


class _FullTransport:
    """A transport whose client has left `unread` bytes lying."""

    def __init__(self) -> None:
        self.unread = 0
        self.written: list[bytes] = []
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


KEY, OTHER = (RtpUnit((name,), 0, 0, 1, name == b"KEY") for name in (b"KEY", b"other"))


def subscriber_to(transport: _FullTransport, clock: VirtualClock) -> InterleavedSubscriber:
    return InterleavedSubscriber(
        transport,  # type: ignore[arg-type]
        InterleavedChannels(),
        lambda unit: b"report",
        lambda: None,
        lambda: clock.monotonic_ns() / NS_PER_S,
    )


def test_client_that_reads_too_slowly_misses_whole_pictures_up_to_a_key_frame() -> None:
    transport = _FullTransport()
    subscriber = subscriber_to(transport, VirtualClock())

    too_much = MAX_UNSENT_BYTES + 1
    for unread, unit in [(0, OTHER), (0, KEY), (0, OTHER), (too_much, OTHER), (0, OTHER), (0, KEY), (0, OTHER)]:
        transport.unread = unread
        subscriber.deliver(unit, unit.is_key)

    written = [frame[4:] for frame in transport.written]
    assert written == [b"report", b"KEY", b"other", b"report", b"KEY", b"other"]
    assert subscriber.left_out == 1


@pytest.mark.parametrize(("waited_s", "disconnected"), [(STALL_S - 1, False), (STALL_S + 1, True)])
def test_client_that_takes_nothing_for_long_is_disconnected(waited_s: float, disconnected: bool) -> None:
    transport, clock = _FullTransport(), VirtualClock()
    subscriber = subscriber_to(transport, clock)
    subscriber.deliver(KEY, True)

    transport.unread = MAX_UNSENT_BYTES + 1
    clock.advance(waited_s)
    subscriber.deliver(KEY, True)

    assert transport.aborted is disconnected


def test_client_that_never_reads_delays_nobody(urls: tuple[str, ...]) -> None:
    with RawClient(urls[0]) as stuck, RawClient(urls[0]) as healthy:
        stuck.play()
        healthy.play()

        assert len(healthy.read_packets(30)) == 30


def test_stopping_says_goodbye_to_clients_and_ends_the_child(recording: Path) -> None:
    with serve_recordings(ReplayOptions((recording,))) as server:
        playing = RawClient(server.urls[0])
        playing.play()
        playing.read_packets(1)

    with playing:
        assert playing.ended()
        assert playing.frames[-1][0] == 1 and playing.frames[-1][1][-7] == 203, "the last frame is RTCP with a BYE"
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_server_without_loop_ends_when_all_was_played(recording: Path) -> None:
    with serve_recordings(ReplayOptions((recording,), playback=Playback(loop=False))) as server:
        with RawClient(server.urls[0]) as client:
            answer = client.play()
            assert client.ended()

        assert server.wait(DEADLINE_S) == 0
    first = client.read_packets(1)[0]
    seq, rtptime = struct.unpack_from(">HI", first, 2)
    assert answer.headers["rtp-info"].endswith(f"seq={seq};rtptime={rtptime}")
    assert len({packet[4:8] for channel, packet in client.frames if channel == 0}) == FRAMES, "every picture came"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({}, "in use; give another one with --port", id="port in use"),
        pytest.param({"bind": "203.0.113.1"}, "cannot serve on 203.0.113.1", id="address of another machine"),
    ],
)
def test_server_that_cannot_bind_says_why(
    recording: Path, urls: tuple[str, ...], options: dict[str, str], reason: str
) -> None:
    with (
        pytest.raises(ReplayError, match=reason),
        serve_recordings(ReplayOptions((recording,), port=urlsplit(urls[0]).port or 0, **options)),
    ):
        pytest.fail("it was served")


def test_missing_recording_is_told_across_the_process_border(tmp_path: Path) -> None:
    options = ReplayOptions((tmp_path / "gone.mp4",))
    with pytest.raises(ReplayError, match=r"gone\.mp4: no such file"), serve_recordings(options):
        pytest.fail("it was served")


def test_server_ends_when_its_parent_is_killed(recording: Path, within) -> None:  # type: ignore[no-untyped-def]
    script = f"""
        from pathlib import Path
        from pipeline.replay import ReplayOptions, serve_recordings
        with serve_recordings(ReplayOptions((Path({str(recording)!r}),))) as server:
            print(server.pid, flush=True)
            input()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert parent.stdin and parent.stdout
    child_pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait(DEADLINE_S)

    for _ in within(DEADLINE_S):
        if not _is_running(child_pid):
            break
    parent.stdin.close()
    parent.stdout.close()


def _is_running(pid: int) -> bool:
    """Whether the process exists and has not ended; nobody may be there to reap it."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:4]
    except FileNotFoundError:
        return False
