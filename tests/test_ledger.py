"""Which frame comes next, for the successor of a worker that was killed and of one that handed a camera over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from ctypes import c_int64
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.ledger import FileLedger, note, receipt
from pipeline.publish import Publisher
from pipeline.relay.process import Relay, RelaySpec
from pipeline.wire import name_session
from tests.test_wire import frame
from tests.waiting import DEADLINE_S, wait_until

SESSION = 0xABC


def test_a_session_begins_at_frame_0(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path / "ledgers" / "gate")
    ledger.hand_over(SESSION - 1, 500)
    note(tmp_path / "ledgers" / "gate", receipt(SESSION - 2, 700))
    assert ledger.next_frame(SESSION) == 0


def test_what_a_killed_worker_had_not_sent_yet_is_not_accounted_for(tmp_path: Path) -> None:
    file = tmp_path / "gate"
    killed, successor = FileLedger(file), FileLedger(file)
    note(file, receipt(SESSION, 41))
    killed.close()
    assert successor.next_frame(SESSION) == 42


@pytest.mark.parametrize("on_its_way", [0, 3])
def test_what_is_still_on_its_way_when_a_camera_is_handed_over_is_accounted_for(
    tmp_path: Path, on_its_way: int
) -> None:
    file = tmp_path / "gate"
    before, after = FileLedger(file), FileLedger(file)
    note(file, receipt(SESSION, 41 - on_its_way))
    before.hand_over(SESSION, 42)
    assert after.next_frame(SESSION) == 42
    note(file, receipt(SESSION, 41))
    assert after.next_frame(SESSION) == 42
    note(file, receipt(SESSION, 60))
    assert after.next_frame(SESSION) == 61


def test_a_camera_that_has_left_needs_no_note(tmp_path: Path) -> None:
    note(tmp_path / "gone", receipt(SESSION, 1))
    assert not (tmp_path / "gone").exists()


@pytest.fixture
def inbox(tmp_path: Path, short_path: Path) -> Iterator[str]:
    """Where a publisher that runs in a thread takes messages; ledgers are in `tmp_path`."""
    inbox = f"ipc://{short_path}/inbox"
    relay = Relay(RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, 100, tmp_path), SystemClock())
    thread = threading.Thread(target=relay.run, args=(c_int64(),))
    thread.start()
    yield inbox
    relay.stop()
    thread.join(DEADLINE_S)


def test_the_publisher_notes_what_it_has_received_of_every_camera(tmp_path: Path, inbox: str, within: Callable) -> None:
    ledgers = {camera_id: FileLedger(tmp_path / camera_id) for camera_id in ("gate", "yard")}
    publisher = Publisher(inbox)
    for frame_id in range(5):
        for camera_id in ledgers:
            publisher.publish(frame(camera_id, session=SESSION, frame_id=frame_id))
    wait_until(within, lambda: [ledger.next_frame(SESSION) for ledger in ledgers.values()] == [5, 5])
    publisher.close()


def test_the_publisher_notes_the_last_frame_of_each_camera_in_a_parcel(
    tmp_path: Path, inbox: str, within: Callable
) -> None:
    ledgers = {camera_id: FileLedger(tmp_path / camera_id) for camera_id in ("gate", "yard")}
    publisher = Publisher(inbox)
    publisher.publish(*(frame(name, session=SESSION, frame_id=number) for number in range(5) for name in ledgers))
    wait_until(within, lambda: [ledger.next_frame(SESSION) for ledger in ledgers.values()] == [5, 5])
    publisher.close()


def test_the_publisher_notes_frames_by_the_cameras_count_where_a_second_worker_counts_anew(
    tmp_path: Path, inbox: str, within: Callable
) -> None:
    ledger, publisher = FileLedger(tmp_path / "gate"), Publisher(inbox)
    publisher.publish(frame("gate", session=SESSION, session_id=name_session(SESSION, 300), frame_id=7))
    wait_until(within, lambda: ledger.next_frame(SESSION) == 308)
    publisher.close()
