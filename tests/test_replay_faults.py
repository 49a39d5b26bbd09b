"""Each fault as a client meets it: one server, a camera for each fault, all with the same recording."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest

from pipeline.errors import ReplayError
from pipeline.replay import FAULT_NAMES, Fault, ReplayOptions, ServedRecordings, read_departures, serve_recordings
from pipeline.replay.departures import DEPARTURE, DepartureFile
from pipeline.replay.faults import ActiveFaults, Order
from pipeline.replay.link import MAX_QUEUE_S, Link
from pipeline.rtsp.rtp import RtpUnit
from tests.camera_media import Clip
from tests.rtsp_client import DEADLINE_S, RawClient, Unit

STEP = 3600
LASTING_S = 60
"""Of faults that a test ends itself: one who has no processor for a while would miss the end of a short one."""
Within = Callable[[float], Iterator[None]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The recording of all cameras, 25 fps with a key frame every 0.4 s, and one of another size."""
    folder = tmp_path_factory.mktemp("faults")
    return Clip().write(folder / "cam.mp4"), Clip(wh=(256, 192)).write(folder / "large.mp4")


@pytest.fixture(scope="module")
def departures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("departures") / "departures.bin"


@pytest.fixture(scope="module")
def server(files: tuple[Path, Path], departures: Path) -> Iterator[ServedRecordings]:
    options = ReplayOptions(tuple(files[:1]), cameras=len(FAULT_NAMES) + 1, departures=departures)
    with serve_recordings(options) as served:
        yield served


@pytest.fixture
def camera(server: ServedRecordings, request: pytest.FixtureRequest) -> Iterator[tuple[str, RawClient]]:
    """The camera for the fault in the test's name, being watched."""
    number = next(number for number, name in enumerate(FAULT_NAMES) if f"_{name}_" in request.node.name)
    with RawClient(server.urls[number]) as client:
        client.play()
        client.read_units(2)
        yield server.names[number], client


def growing(client: RawClient) -> Iterator[list[Unit]]:
    """All complete access units from now on: a list that is one longer each time."""
    units: list[list[bytes]] = []
    while len(units) < 1000:
        channel, frame = client.read_frame()
        if channel:
            continue
        if not units or units[-1][0][4:8] != frame[4:8]:
            if units:
                yield [Unit(tuple(packets)) for packets in units]
            units.append([])
        units[-1].append(frame)
    pytest.fail("it has not come in 1000 pictures")


def repeated(units: list[Unit]) -> list[Unit]:
    return [later for earlier, later in pairwise(units) if earlier.payloads == later.payloads]


def steps_of(units: list[Unit]) -> list[int]:
    return [(later.timestamp - earlier.timestamp) % 2**32 for earlier, later in pairwise(units)]


def test_silence_sends_nothing_answers_nothing_and_ends_with_a_key_frame(
    server: ServedRecordings, camera: tuple[str, RawClient]
) -> None:
    name, client = camera
    server.inject(name, Fault("silence", 60))
    while not client.is_silent_for(3):
        pass
    client.send(f"OPTIONS {client.url} RTSP/1.0\r\nCSeq: 9\r\n\r\n".encode())
    assert client.is_silent_for(0.3)

    server.inject(name, Fault("silence", 0))

    assert client.read_frame()[0] == 1, "a sender report comes first"
    assert client.read_units(1)[0].is_key


def test_refuse_closes_connections_and_lets_nobody_in(server: ServedRecordings, camera: tuple[str, RawClient]) -> None:
    name, client = camera
    server.inject(name, Fault("refuse", 60))

    assert client.ended()
    with RawClient(client.url) as late:
        late.send(f"DESCRIBE {client.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        assert late.ended() and late.frames == []
    with RawClient(server.urls[-1]) as other:
        assert other.ask("DESCRIBE").status == 200


def test_refused_camera_with_a_port_of_its_own_has_it_closed_until_it_is_mended(
    files: tuple[Path, Path], within: Within
) -> None:
    with serve_recordings(ReplayOptions(tuple(files[:1]), cameras=2, own_ports=True)) as server:
        assert len({urlsplit(url).port for url in server.urls}) == 2
        # Long enough that a test that has no processor for a while does not miss it.
        server.inject(server.names[0], Fault("refuse", 3))
        for _ in within(DEADLINE_S):
            try:
                RawClient(server.urls[0]).close()
            except ConnectionRefusedError:
                break
            except ConnectionError:
                continue  # it came just as the port was being closed
        RawClient(server.urls[1]).close()
        for _ in within(DEADLINE_S):
            try:
                with RawClient(server.urls[0]) as back:
                    assert back.ask("DESCRIBE").status == 200
            except ConnectionError:
                continue
            break


def test_freeze_repeats_the_last_key_frame_while_time_goes_on(
    server: ServedRecordings, camera: tuple[str, RawClient]
) -> None:
    name, client = camera
    server.inject(name, Fault("freeze", LASTING_S))

    stream = growing(client)
    next(units for units in stream if len(repeated(units)) >= 20)
    server.inject(name, Fault("freeze", 0))
    units = next(units for units in stream if units[-1].payloads != units[-2].payloads)

    assert set(steps_of(units)) == {STEP}
    numbers = [number for unit in units for number in unit.sequences]
    assert all((later - earlier) % 65536 == 1 for earlier, later in pairwise(numbers))
    assert units[-1].is_key, "it is live again from a key frame on"


def test_disconnect_ends_the_connection_and_lets_clients_back(
    server: ServedRecordings, camera: tuple[str, RawClient]
) -> None:
    name, client = camera
    server.inject(name, Fault("disconnect"))

    assert client.ended()
    with RawClient(client.url) as back:
        assert back.play().status == 200


def test_reset_breaks_the_connection(server: ServedRecordings, camera: tuple[str, RawClient]) -> None:
    name, client = camera
    server.inject(name, Fault("reset"))

    with pytest.raises(ConnectionResetError):
        client.ended()


def test_wrong_password_is_answered_to_everybody_until_it_is_over(
    server: ServedRecordings, camera: tuple[str, RawClient], within: Within
) -> None:
    name, client = camera
    server.inject(name, Fault("wrong_password", 4))

    assert client.ended()
    with RawClient(client.url) as again:
        assert again.ask("OPTIONS").status == 401
        for _ in within(DEADLINE_S):
            if again.ask("DESCRIBE").status == 200:
                break


@pytest.mark.parametrize(
    ("fault", "least_ms"),
    [
        pytest.param(Fault("delay", 2, delay_ms=250, jitter_ms=50), 250, id="_delay_"),
        pytest.param(Fault("key_frame_pause", 2, pause_ms=450), 450, id="_key_frame_pause_"),
        pytest.param(Fault("bandwidth", 2, kbit_s=10), 300, id="_bandwidth_"),
    ],
)
def test_bad_line_makes_pictures_leave_later_than_they_are_presented(
    server: ServedRecordings,
    camera: tuple[str, RawClient],
    departures: Path,
    within: Within,
    fault: Fault,
    least_ms: float,
) -> None:
    name, client = camera
    server.inject(name, fault)
    number = server.names.index(name)

    for _ in within(DEADLINE_S):
        client.read_units(1)
        left = read_departures(departures)
        late_ms = (left["left_wall_ns"] - left["presented_wall_ns"])[left["camera"] == number] / 1e6
        if (late_ms > least_ms).any():
            break
    assert (np.diff(left["left_ns"][left["camera"] == number]) >= 0).all()


def test_loss_of_packets_leaves_gaps_and_turns_them_around(
    server: ServedRecordings, camera: tuple[str, RawClient]
) -> None:
    name, client = camera
    server.inject(name, Fault("loss", LASTING_S, loss_share=0.2, reorder_share=0.2))

    for units in growing(client):
        numbers = [number for unit in units for number in unit.sequences]
        if any((later - earlier) % 65536 > 1 for earlier, later in pairwise(numbers)):
            break


def test_corrupt_pictures_make_the_decoder_complain_but_come(
    server: ServedRecordings, camera: tuple[str, RawClient]
) -> None:
    name, client = camera
    whole = {payload for unit in client.read_units(51) for payload in unit.payloads}
    server.inject(name, Fault("corrupt", LASTING_S, corrupt_share=0.5))

    for units in growing(client):
        came = [payload for unit in units for payload in unit.payloads]
        wrong = [payload for payload in came if payload not in whole]
        if len(units) >= 40 and len(wrong) > 10:
            break

    assert len(wrong) < len(came)
    assert {len(payload) for payload in wrong} <= {len(payload) for payload in whole}


def test_no_key_frame_lets_clients_begin_anywhere_and_never_sends_one(
    server: ServedRecordings, camera: tuple[str, RawClient]
) -> None:
    name, client = camera
    server.inject(name, Fault("no_key_frame", 4))
    assert client.ended()

    with RawClient(client.url) as late:
        late.play()
        units = next(units for units in growing(late) if units[-1].is_key)

    assert len(units) > 12, "until it is mended there is none"


def test_resolution_changes_in_the_running_stream_and_back(server: ServedRecordings, files: tuple[Path, Path]) -> None:
    number = FAULT_NAMES.index("resolution")
    with av.open(server.urls[number], options={"rtsp_transport": "tcp"}, timeout=DEADLINE_S) as container:
        sizes: list[tuple[int, int]] = []
        for frame in container.decode(video=0):
            if sizes[-1:] == [(frame.width, frame.height)]:
                continue
            sizes.append((frame.width, frame.height))
            if len(sizes) == 3:
                break
            seconds = LASTING_S if len(sizes) == 1 else 0
            server.inject(server.names[number], Fault("resolution", seconds, file=str(files[1])))

    assert sizes == [(128, 96), (256, 192), (128, 96)]


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        pytest.param(Fault("frame_rate", LASTING_S, fps=14.4), 6250, id="_frame_rate_"),
        pytest.param(Fault("slow", LASTING_S), 45000, id="_slow_"),
    ],
)
def test_frame_rate_changes_and_the_camera_comes_back_into_its_own_step(
    server: ServedRecordings, camera: tuple[str, RawClient], fault: Fault, step: int
) -> None:
    name, client = camera
    server.inject(name, fault)

    stream = growing(client)
    next(units for units in stream if steps_of(units).count(step) >= 2)
    server.inject(name, replace(fault, seconds=0))
    steps = next(steps for steps in map(steps_of, stream) if steps[-1] == STEP)

    back = [other for other in steps if other not in (STEP, step)]
    assert len(back) <= 1 and all(step < other < step + STEP for other in back)
    assert sum(steps) % STEP == 0, "its pictures come in the instants in which they came before"


def test_time_jump_moves_timestamps_and_reports_alike(
    server: ServedRecordings, camera: tuple[str, RawClient], within: Within
) -> None:
    name, client = camera
    first_report = client.frames[0][1]
    server.inject(name, Fault("time_jump", 0, jump_s=-1000))

    def steps() -> set[int]:
        stamps = [struct.unpack_from(">I", frame, 4)[0] for channel, frame in client.frames if channel == 0]
        return {(later - earlier) % 2**32 for earlier, later in pairwise(stamps) if later != earlier}

    for _ in within(DEADLINE_S):
        client.read_frame()
        if len(steps()) > 1:
            break
    with RawClient(client.url) as late:
        late.play()
        late.read_frame()
        second_report = late.frames[0][1]

    assert steps() == {STEP, (STEP - 1000 * 90_000) % 2**32}
    (ntp_a, rtp_a), (ntp_b, rtp_b) = (struct.unpack_from(">QI", report, 8) for report in (first_report, second_report))
    elapsed_by_ntp_s = (ntp_b - ntp_a) / 2**32
    elapsed_by_rtp_s = ((rtp_b - rtp_a + 2**31) % 2**32 - 2**31) / 90_000
    assert elapsed_by_ntp_s == pytest.approx(elapsed_by_rtp_s, abs=0.01)
    assert -1000 <= elapsed_by_ntp_s < -900


def test_inject_refuses_what_cannot_be(server: ServedRecordings) -> None:
    with pytest.raises(ReplayError, match="no camera 'nobody'"):
        server.inject("nobody", Fault("freeze", 1))
    with pytest.raises(ReplayError, match="no such file"):
        server.inject(server.names[0], Fault("resolution", 1, file="gone.mp4"))


def test_inject_into_a_server_that_has_ended_says_so(files: tuple[Path, Path]) -> None:
    with serve_recordings(ReplayOptions(tuple(files[:1]))) as server:
        pass

    with pytest.raises(ReplayError, match="has ended"):
        server.inject(server.names[0], Fault("freeze", 1))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: Fault("bad luck", 1), "no fault 'bad luck'", id="unknown"),  # type: ignore[arg-type]
        pytest.param(lambda: Fault("loss", 1, loss_share=2), "loss_share must be 0 to 1", id="share above one"),
        pytest.param(lambda: Fault("freeze", -1), "0 or more", id="negative time"),
        pytest.param(lambda: Fault("resolution", 1), "needs `file`", id="resolution of what"),
        pytest.param(lambda: Order.from_line(b"{}"), "no order", id="no order"),
    ],
)
def test_fault_that_makes_no_sense_is_refused(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(ReplayError, match=reason):
        make()


def test_order_comes_back_from_its_line() -> None:
    order = Order("gate", Fault("delay", 2, delay_ms=7))

    assert Order.from_line(order.to_line().strip()) == order


def carried(fault: Fault, units: list[RtpUnit], apart_s: float = 0.0) -> list[RtpUnit]:
    """What comes out of a line with `fault` when `units` go in, `apart_s` one after the other on its clock."""

    async def carry() -> list[RtpUnit]:
        faults, out, now_s = ActiveFaults(), list[RtpUnit](), [0.0]
        faults.begin(fault, lambda ended: None)
        link = Link(faults, lambda: now_s[0], out.append)
        for unit in units:
            link.carry(unit)
            now_s[0] += apart_s
        link.clear()
        faults.clear()
        return out

    return asyncio.run(carry())


def unit_of(packets: int, *, is_key: bool = False) -> RtpUnit:
    return RtpUnit(
        tuple(struct.pack(">BBHII", 0x80, 96, n, 0, 0) + bytes(100) for n in range(packets)), 0, 0, 1, is_key
    )


def test_line_without_a_fault_carries_the_very_packets_at_once() -> None:
    unit = unit_of(3)

    assert carried(Fault("freeze", 9), [unit]) == [unit]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault("loss", 9, loss_share=1), [], id="all lost"),
        pytest.param(Fault("loss", 9, loss_share=0, reorder_share=1), [1, 2, 0], id="the first goes to the end"),
    ],
)
def test_line_loses_and_turns_around_packets(fault: Fault, expected: list[int]) -> None:
    out = carried(fault, [unit_of(3)])

    assert [struct.unpack_from(">H", packet, 2)[0] for unit in out for packet in unit.packets] == expected


def test_line_damages_one_byte_of_the_payload_and_none_of_the_header() -> None:
    unit = unit_of(50)

    damaged = carried(Fault("corrupt", 9, corrupt_share=1), [unit])[0]

    for before, after in zip(unit.packets, damaged.packets, strict=True):
        assert before[:12] == after[:12]
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_slow_line_drops_what_would_wait_too_long_up_to_a_key_frame() -> None:
    async def carry() -> list[bool]:
        faults, now_s, taken = ActiveFaults(), [0.0], list[bool]()
        faults.begin(Fault("bandwidth", 9, kbit_s=8.96), lambda ended: None)
        link = Link(faults, lambda: now_s[0], lambda unit: None)
        # 10 packets of 112 bytes are a second of this line: the fourth would begin after three.
        for is_key, at_s in [(True, 0), (False, 0), (False, 0), (False, 0), (False, 3), (True, 3)]:
            now_s[0] = at_s
            before = len(link._under_way)
            link.carry(unit_of(10, is_key=is_key))
            taken.append(len(link._under_way) > before)
        link.clear()
        faults.clear()
        return taken

    assert MAX_QUEUE_S == 2
    assert asyncio.run(carry()) == [True, True, True, False, False, True]


def test_line_that_stalls_at_key_frames_carries_pictures_that_are_all_key_frames_in_bursts() -> None:
    async def carry() -> list[float]:
        faults, now_s, waits_s = ActiveFaults(), [0.0], list[float]()
        faults.begin(Fault("key_frame_pause", 9, pause_ms=450), lambda ended: None)
        link = Link(faults, lambda: now_s[0], lambda unit: None)
        for number in range(100):
            now_s[0] = number / 25
            waits_s.append((link._arrival_s(unit_of(1, is_key=True), now_s[0]) or 0.0) - now_s[0])
        faults.clear()
        return waits_s

    waits_s = asyncio.run(carry())

    assert max(waits_s) == pytest.approx(0.45), "no stall is added to another"
    assert waits_s.count(0.0) > 30, "between them the line flows"
    assert sum(wait_s == pytest.approx(0.45) for wait_s in waits_s) == 5


def test_jittery_line_keeps_the_order() -> None:
    async def carry() -> list[int]:
        loop, faults, out = asyncio.get_running_loop(), ActiveFaults(), list[int]()
        done = asyncio.Event()

        def deliver(unit: RtpUnit) -> None:
            out.append(unit.pts)
            if len(out) == 30:
                done.set()

        faults.begin(Fault("delay", 9, delay_ms=1, jitter_ms=30), lambda ended: None)
        link = Link(faults, loop.time, deliver)
        for number in range(30):
            link.carry(RtpUnit((b"x" * 20,), number, number, 1, False))
            await asyncio.sleep(0.001)
        await asyncio.wait_for(done.wait(), DEADLINE_S)
        faults.clear()
        return out

    assert asyncio.run(carry()) == list(range(30))


def test_departures_tell_what_a_player_makes_of_the_sender_reports(
    server: ServedRecordings, departures: Path, within: Within
) -> None:
    number = len(FAULT_NAMES)
    with av.open(server.urls[number], options={"rtsp_transport": "tcp"}, timeout=DEADLINE_S) as container:
        told_ns = [
            struct.unpack_from("q", bytes(packet.get_sidedata("prft")))[0] * 1000
            for packet, _ in zip(container.demux(video=0), range(30), strict=False)
        ]

    for _ in within(DEADLINE_S):
        left = read_departures(departures)
        mine = left[left["camera"] == number]
        if mine["presented_wall_ns"].max() >= told_ns[-1]:
            break
    assert all(np.abs(mine["presented_wall_ns"] - told).min() < 20_000 for told in told_ns)
    assert (np.diff(mine["presented_wall_ns"]) > 30_000_000).all()
    assert (mine["left_wall_ns"] >= mine["presented_wall_ns"]).all()


def test_departures_cut_short_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    with DepartureFile(tmp_path / "d.bin") as file:
        file.note(3, 10, 20, 30)
    with (tmp_path / "d.bin").open("ab") as broken:
        broken.write(b"\x01\x02")

    records = read_departures(tmp_path / "d.bin")

    assert records.dtype == DEPARTURE and records.tolist() == [(3, 10, 20, 30)]
    with pytest.raises(ReplayError, match="no departures can be read"):
        read_departures(tmp_path / "gone.bin")
