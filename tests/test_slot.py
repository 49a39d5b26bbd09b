from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import SlotError
from pipeline.runscope import RunLease, RunScope
from pipeline.slot import MAX_HELD, SlotFrame, SlotReader, SlotWriter

WH = (64, 36)
BIG_WH = (640, 360)
DEADLINE_S = 60.0
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def scope(short_path: Path) -> Iterator[RunScope]:
    with RunLease(short_path) as lease:
        yield lease.scope
    assert lease.scope.files() == []


def put(writer: SlotWriter, value: int, session: int = 1, wh: tuple[int, int] = WH) -> bool:
    with writer.loan(wh) as loan:
        loan.pixels[:] = value % 256
        return loan.send(session, frame_id=value)


def taken(reader: SlotReader) -> SlotFrame:
    frame = reader.take()
    assert frame is not None
    return frame


def test_reader_empty_slot_takes_none(scope: RunScope) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH):
        assert reader.take() is None


def test_frame_taken_carries_header_and_pixels(scope: RunScope) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        with writer.loan(WH) as loan:
            loan.pixels[:] = np.arange(36 * 64 * 3).reshape(36, 64, 3) % 251
            assert loan.send(session=2**47, frame_id=2**40)
        with taken(reader) as frame:
            assert (frame.session, frame.frame_id, frame.sequence, frame.replaced) == (2**47, 2**40, 0, 0)
            assert 0 < frame.sent_ns <= time.monotonic_ns()
            assert np.array_equal(frame.pixels, np.arange(36 * 64 * 3).reshape(36, 64, 3) % 251)
        assert reader.take() is None


def test_frame_pixels_are_read_only_and_gone_after_release(scope: RunScope) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        put(writer, 1)
        frame = taken(reader)
        with pytest.raises(ValueError, match="read-only"):
            frame.pixels[0, 0, 0] = 5
        frame.release()
        frame.release()
        assert frame.pixels.size == 0


@pytest.mark.parametrize("sizes", [[WH, (36, 64), (1, 1), WH], [(7, 5), WH]], ids=["smaller", "grows-to-max"])
def test_slot_picture_size_changes_reader_sees_it(scope: RunScope, sizes: list[tuple[int, int]]) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        shapes = []
        for number, wh in enumerate(sizes):
            put(writer, number, wh=wh)
            with taken(reader) as frame:
                shapes.append((frame.pixels.shape[1], frame.pixels.shape[0]))
    assert shapes == sizes


def test_slot_picture_larger_than_slot_is_an_error(scope: RunScope) -> None:
    with SlotWriter(scope, "gate", WH) as writer, pytest.raises(SlotError, match=r"gate.*no room.*65x36"):
        writer.loan((65, 36))


def test_slot_newer_frames_replace_older_and_are_counted(scope: RunScope) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        for value in range(10):
            put(writer, value)
        with taken(reader) as frame:
            assert (frame.frame_id, frame.replaced) == (9, 9)
        put(writer, 10)
        with taken(reader) as frame:
            assert (frame.frame_id, frame.replaced) == (10, 0)
        for value in range(11, 15):
            put(writer, value)
        with taken(reader) as frame:
            assert (frame.frame_id, frame.replaced) == (14, 3)


def test_slot_loan_discarded_counts_nothing(scope: RunScope) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        put(writer, 0)
        taken(reader).release()
        for _ in range(20):
            with pytest.raises(RuntimeError, match="decoder"), writer.loan(WH):
                raise RuntimeError("decoder")
        put(writer, 1)
        with taken(reader) as frame:
            assert (frame.frame_id, frame.replaced) == (1, 0)


def test_writer_without_reader_is_told_and_does_not_block(scope: RunScope) -> None:
    with SlotWriter(scope, "gate", WH) as writer:
        assert [put(writer, value) for value in range(5)] == [False] * 5
        with SlotReader(scope, "gate") as reader:
            assert put(writer, 5)
            with taken(reader) as frame:
                assert (frame.frame_id, frame.replaced) == (5, 0)


def test_reader_holding_frames_keeps_them_whole_while_writer_goes_on(scope: RunScope) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        held = []
        for value in range(MAX_HELD):
            put(writer, value)
            held.append(taken(reader))
        put(writer, 99)
        with pytest.raises(SlotError, match="not released"):
            reader.take()
        for value in range(100, 150):
            put(writer, value)
        assert [sorted(set(frame.pixels.ravel().tolist())) for frame in held] == [[v] for v in range(MAX_HELD)]
        held.pop().release()
        with taken(reader) as frame:
            assert (frame.frame_id, frame.replaced) == (149, 50)
        for frame in held:
            frame.release()


def test_frame_released_in_another_thread_frees_its_memory(scope: RunScope) -> None:
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        for value in range(3 * MAX_HELD):
            put(writer, value)
            thread = threading.Thread(target=taken(reader).release)
            thread.start()
            thread.join()
        assert reader.take() is None


@pytest.mark.parametrize("leaver", ["writer", "reader"])
def test_slot_one_end_closes_other_goes_on_with_the_next(scope: RunScope, leaver: str) -> None:
    reader, writer = SlotReader(scope, "gate"), SlotWriter(scope, "gate", WH)
    assert reader.take() is None
    put(writer, 1)
    if leaver == "writer":
        writer.close()
        writer.close()
        with taken(reader) as frame:
            assert frame.frame_id == 1
        assert reader.take() is None
        writer = SlotWriter(scope, "gate", WH)
    else:
        reader.close()
        reader.close()
        assert not put(writer, 2)
        reader = SlotReader(scope, "gate")
    put(writer, 3)
    with taken(reader) as frame:
        assert (frame.frame_id, frame.replaced) == (3, 0)
    reader.close()
    writer.close()


def test_slots_of_two_cameras_do_not_mix(scope: RunScope) -> None:
    with SlotReader(scope, "cam1") as one, SlotReader(scope, "cam10") as ten, SlotWriter(scope, "cam10", WH) as writer:
        put(writer, 7)
        assert one.take() is None
        with taken(ten) as frame:
            assert frame.frame_id == 7


def test_slots_of_two_runs_with_the_same_camera_do_not_mix(short_path: Path) -> None:
    with RunLease(short_path) as a, RunLease(short_path) as b:
        with SlotReader(a.scope, "gate") as reader, SlotWriter(b.scope, "gate", WH) as writer:
            assert not put(writer, 7)
            assert reader.take() is None
        a.close()
        assert b.scope.files()
    assert b.scope.files() == []


def test_slot_without_room_in_shared_memory_says_so(scope: RunScope, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs("/")
    full = os.statvfs_result((*real[:4], 1, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(SlotError, match=r"gate.*0 MB free.*--shm-size"):
        SlotWriter(scope, "gate", BIG_WH)


def write_forever(scope: RunScope, ready: Connection) -> None:
    """Frames filled with one value each, in two strokes, so that a torn one shows."""
    with SlotWriter(scope, "gate", BIG_WH) as writer:
        ready.send("ready")
        value = 0
        while True:
            value += 1
            with writer.loan(BIG_WH) as loan:
                loan.pixels[:180] = value % 256
                loan.pixels[180:] = value % 256
                loan.send(os.getpid(), value)


def read_forever(scope: RunScope, ready: Connection) -> None:
    """Holds frames, so that it dies with some of them."""
    held: list[SlotFrame] = []
    with SlotReader(scope, "gate") as reader:
        ready.send("ready")
        while True:
            frame = reader.take()
            if frame is not None:
                held.append(frame)
            if len(held) == MAX_HELD:
                held.pop(0).release()


def start(target: object, scope: RunScope) -> BaseProcess:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(scope, theirs), daemon=True)  # type: ignore[arg-type]
    process.start()
    assert ours.poll(DEADLINE_S)
    ours.recv()
    return process


def kill(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(DEADLINE_S)
    assert process.exitcode == -signal.SIGKILL


def take_some(reader: SlotReader, pid: int, count: int) -> list[int]:
    """Frame ids of `count` frames of the writer `pid`; every frame on the way is checked for tears."""
    ids: list[int] = []
    never = threading.Event()
    deadline = time.monotonic() + DEADLINE_S
    while len(ids) < count:
        assert time.monotonic() < deadline
        frame = reader.take()
        if frame is None:
            # A reader that spins takes the only free core from the writer.
            never.wait(0.0005)
            continue
        with frame:
            assert frame.pixels.min() == frame.pixels.max() == frame.frame_id % 256
            if frame.session == pid:
                ids.append(frame.frame_id)
    return ids


def test_writer_killed_in_mid_write_leaves_no_torn_frame_and_the_next_is_read(scope: RunScope) -> None:
    leftovers = []
    with SlotReader(scope, "gate") as reader:
        for _ in range(4):
            writer = start(write_forever, scope)
            assert writer.pid is not None
            ids = take_some(reader, writer.pid, 60)
            assert ids == sorted(set(ids))
            kill(writer)
            scope.remove_dead()
            leftovers.append(len(scope.files()))
            while (frame := reader.take()) is not None:
                with frame:
                    assert frame.pixels.min() == frame.pixels.max()
    assert len(set(leftovers)) == 1


def test_reader_killed_with_frames_in_hand_writer_goes_on_and_the_next_reads(scope: RunScope) -> None:
    with SlotWriter(scope, "gate", WH) as writer:
        value = 0
        for _ in range(3):
            reader = start(read_forever, scope)
            for _ in range(50):
                value += 1
                assert put(writer, value)
            kill(reader)
            for _ in range(50):
                value += 1
                put(writer, value)
        with SlotReader(scope, "gate") as last:
            put(writer, 1000)
            with taken(last) as frame:
                assert frame.frame_id == 1000


def own_a_run(base: Path, ready: Connection) -> None:
    lease = RunLease(base)
    with SlotReader(lease.scope, "gate"), SlotWriter(lease.scope, "gate", WH) as writer:
        put(writer, 1)
        ready.send(lease.scope)
        threading.Event().wait()


def test_run_of_a_killed_owner_is_removed_by_the_next_and_a_living_one_is_not(short_path: Path) -> None:
    owners, scopes = [], []
    for _ in range(2):
        ours, theirs = SPAWN.Pipe()
        owners.append(SPAWN.Process(target=own_a_run, args=(short_path, theirs), daemon=True))
        owners[-1].start()
        assert ours.poll(DEADLINE_S)
        scopes.append(ours.recv())
    kill(owners[0])
    assert scopes[0].files() and scopes[1].files()
    with RunLease(short_path):
        assert scopes[0].files() == [] and not scopes[0].directory.exists()
        assert scopes[1].files() and scopes[1].directory.exists()
    kill(owners[1])
    with RunLease(short_path) as lease:
        assert [path.name for path in short_path.iterdir() if path.is_dir()] == [lease.scope.run_id]
    assert scopes[1].files() == []


def test_run_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "open"
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(SlotError, match="can be written by others"):
        RunLease(base)


def test_run_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "link"
    base.symlink_to(tmp_path)
    with pytest.raises(SlotError, match="can be written by others"):
        RunLease(base)


def test_frame_in_hand_stays_whole_after_its_reader_closed(scope: RunScope) -> None:
    with SlotWriter(scope, "gate", WH) as writer:
        reader = SlotReader(scope, "gate")
        put(writer, 42)
        frame = taken(reader)
        reader.close()
        for value in range(50):
            put(writer, value)
        assert set(frame.pixels.ravel().tolist()) == {42}
        frame.release()


def test_slot_whose_maker_was_killed_over_it_is_made_anew(scope: RunScope) -> None:
    with SlotReader(scope, "gate"):
        (service,) = scope.directory.rglob("*.service")
        content = service.read_bytes()
    assert not service.exists()
    service.write_bytes(content[:100])
    service.chmod(0o600)
    with SlotReader(scope, "gate") as reader, SlotWriter(scope, "gate", WH) as writer:
        assert put(writer, 5)
        with taken(reader) as frame:
            assert frame.frame_id == 5


def test_files_of_a_run_are_its_owners_alone(scope: RunScope) -> None:
    with SlotWriter(scope, "gate", BIG_WH), SlotReader(scope, "gate"):
        assert len(scope.files()) > 2
        assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in scope.files()} == {0}
