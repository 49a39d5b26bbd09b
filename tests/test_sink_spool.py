from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.client.inlet import Position
from pipeline.errors import SinkError
from pipeline.sink.spool import ROW_BYTES, Spool
from pipeline.sink.spoolfile import DAMAGED, FILE
from pipeline.statefolder import state_folder

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pipeline.sink.process"])
ROOM = 1_000_000
NOW_NS = 1_760_000_000_000_000_000


def bodies(spool: Spool, most: int = 1000) -> list[bytes]:
    return [one.body for one in spool.take(most)]


def fill(spool: Spool, numbers: range) -> None:
    spool.append([(b"t", b"%06d" % number) for number in numbers], {}, NOW_NS)


def test_spool_gives_messages_in_order_and_each_once(tmp_path: Path):
    spool = Spool(tmp_path, ROOM)
    fill(spool, range(5))
    first = spool.take(3)
    assert [one.body for one in first] == [b"000000", b"000001", b"000002"]
    assert bodies(spool) == [b"000003", b"000004"]
    assert bodies(spool) == []
    spool.done(first[-1].number)
    assert spool.state(NOW_NS).waiting == 2
    spool.close()


def test_spool_that_is_opened_again_gives_what_was_not_done(tmp_path: Path):
    spool = Spool(tmp_path, ROOM)
    spool.append([(b"t", b"a"), (b"t", b"b")], {b"t": Position("p", 7)}, NOW_NS)
    spool.done(spool.take(1)[0].number)
    spool.take(1)
    spool.close()
    again = Spool(tmp_path, ROOM)
    assert again.positions() == {b"t": Position("p", 7)}
    assert bodies(again) == [b"b"]
    again.close()


def test_spool_tells_how_long_its_oldest_waits(tmp_path: Path):
    spool = Spool(tmp_path, ROOM)
    assert spool.state(NOW_NS).lag_s == 0
    fill(spool, range(2))
    state = spool.state(NOW_NS + 3_000_000_000)
    assert (state.waiting, state.size, state.lag_s) == (2, 2 * (7 + ROW_BYTES), 3.0)
    assert spool.state(NOW_NS - 1).lag_s == 0, "a clock that went back"
    spool.done(spool.take(2)[-1].number)
    assert spool.state(NOW_NS + 9_000_000_000).lag_s == 0
    spool.close()


def test_spool_that_is_full_drops_the_oldest_but_not_what_was_taken_and_counts(tmp_path: Path):
    spool = Spool(tmp_path, 10 * (7 + ROW_BYTES), "run")
    fill(spool, range(4))
    taken = spool.take(2)
    fill(spool, range(4, 20))
    state = spool.state(NOW_NS)
    assert (state.waiting, state.lost) == (10, 10)
    assert bodies(spool) == [b"%06d" % number for number in range(12, 20)]
    spool.done(taken[-1].number)
    assert spool.state(NOW_NS).waiting == 8
    spool.close()
    same = Spool(tmp_path, ROOM, "run")
    assert same.state(NOW_NS).lost == 10
    same.close()
    other = Spool(tmp_path, ROOM, "another run")
    assert (other.state(NOW_NS).lost, other.state(NOW_NS).waiting) == (0, 8)
    other.close()


def test_spool_has_one_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.sink.spoolfile.LOCK_S", 0.1)
    spool = Spool(tmp_path, ROOM)
    with pytest.raises(SinkError, match="another process uses the spool"):
        Spool(tmp_path, ROOM)
    spool.close()
    Spool(tmp_path, ROOM).close()


def test_spool_is_readable_by_its_user_alone(tmp_path: Path):
    folder = tmp_path / "a" / "b"
    spool = Spool(folder, ROOM)
    fill(spool, range(2))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    spool.close()


def test_spool_where_nothing_can_be_kept_says_where(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=f"nothing can be kept in {tmp_path}/file"):
        Spool(tmp_path / "file", ROOM)


def test_state_folder_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_folder("town", "sinks", "a") == Path("/state/camfleet/town/sinks/a")
    monkeypatch.setenv("XDG_STATE_HOME", "relative, which the specification has ignored")
    monkeypatch.setenv("HOME", "/home/me")
    assert state_folder("town") == Path("/home/me/.local/state/camfleet/town")


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 9000, b"short"])
def test_spool_that_is_damaged_is_put_aside_and_begun_anew(content: bytes, tmp_path: Path):
    (tmp_path / FILE).write_bytes(content)
    spool = Spool(tmp_path, ROOM)
    fill(spool, range(2))
    assert bodies(spool) == [b"000000", b"000001"]
    assert (tmp_path / DAMAGED).read_bytes() == content
    spool.close()


def test_spool_that_is_damaged_while_it_is_used_goes_on_with_other_numbers(tmp_path: Path):
    spool = Spool(tmp_path, ROOM)
    fill(spool, range(2000))
    taken = spool.take(10)
    for name in (FILE, f"{FILE}-wal"):
        os.truncate(tmp_path / name, 0)
        (tmp_path / name).write_bytes(os.urandom(5000))
    spool._link.close()
    # As SQLite finds the file on its next look.
    spool._link = sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)
    fill(spool, range(5))
    spool.done(taken[-1].number)
    assert bodies(spool) == [b"%06d" % number for number in range(5)]
    spool.close()


def fill_for_ever(folder: Path, told: Connection) -> None:
    """Append seven messages at a time, give some back, and tell how far that is safe."""
    spool = Spool(folder, 1 << 30)
    at = spool.positions().get(b"t", Position("p", 0)).number
    while True:
        rows = [(b"t", b"%09d" % number) for number in range(at + 1, at + 8)]
        at += 7
        spool.append(rows, {b"t": Position("p", at)}, 0)
        told.send(at)
        if at % 3 == 0:
            spool.done(spool.take(2)[-1].number)


def test_spool_of_an_owner_that_is_killed_again_and_again_has_everything_up_to_its_position(tmp_path: Path):
    told = 0
    for _ in range(20):
        hears, tells = CONTEXT.Pipe(duplex=False)
        filler = CONTEXT.Process(target=fill_for_ever, args=(tmp_path, tells), daemon=True)
        filler.start()
        tells.close()
        told = [hears.recv() for _ in range(10)][-1]
        filler.kill()
        filler.join()
        filler.close()
        hears.close()
    spool = Spool(tmp_path, 1 << 30)
    at = spool.positions()[b"t"].number
    left = [int(body) for body in bodies(spool, 1_000_000)]
    assert at >= told
    assert left == list(range(left[0], at + 1))
    spool.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(at=st.integers(0, 40_000), rest=st.binary(max_size=300), seed=st.integers(0, 1000))
def test_spool_with_any_bytes_changed_opens_and_works(
    tmp_path_factory: pytest.TempPathFactory, at: int, rest: bytes, seed: int
):
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, ROOM)
    spool.append([(b"t", b"x" * seed)] * 50, {b"t": Position("p", 3)}, NOW_NS)
    spool.close()
    with (folder / FILE).open("r+b") as file:
        file.seek(at)
        file.write(rest)
    spool = Spool(folder, ROOM)
    spool.positions()
    for one in spool.take(1000):
        spool.done(one.number)
    spool.append([(b"t", b"new")], {b"t": Position("q", 1)}, NOW_NS)
    assert spool.take(1000)[-1].body == b"new"
    assert spool.state(NOW_NS).waiting >= 1
    spool.close()
