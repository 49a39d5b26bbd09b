"""The same of SQLite, DuckDB and PostgreSQL: what goes in, comes out, once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.clock import NS_PER_S, VirtualClock
from pipeline.config.sinks.database import DatabaseSettings, DatabaseUrl
from pipeline.errors import SinkError
from pipeline.sink import database, tables
from pipeline.sink.database import DatabaseSink, connect, open_sink
from pipeline.sink.frame_rows import box_rows, frame_row
from pipeline.sink.protocol import Place
from pipeline.sink.tables import VERSION
from pipeline.wire import FrameResult, decode, encode
from tests.postgres_server import PostgresServer, postgres_server
from tests.sink_frames import START_NS, frame
from tests.test_sink_rows import frames
from tests.wire_messages import ALL, EVENT, EVIDENCE, STATE

DAY_NS = 86_400 * NS_PER_S

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseUrl:
    """A database without anything in it."""
    if request.param != "postgresql":
        return DatabaseUrl(str(tmp_path / f"results.{request.param}"))
    server = request.getfixturevalue("server")
    return DatabaseUrl(server.new_database())


def asked(url: DatabaseUrl, sql: str) -> list[tuple[Any, ...]]:
    """The rows of an answer, over a connection of its own."""
    connection = connect(url, Path())
    try:
        return list(connection.execute(sql))  # type: ignore[attr-defined]
    finally:
        connection.close()


def bare(url: DatabaseUrl, sql: str) -> list[tuple[Any, ...]]:
    """The rows of an answer, of a database that camfleet may not want to open."""
    if url.engine == "postgresql":
        connection: Any = psycopg.connect(url.reveal(), autocommit=True)
    elif url.engine == "duckdb":
        connection = duckdb.connect(url.reveal())
    else:
        connection = sqlite3.connect(url.reveal(), isolation_level=None)
    try:
        cursor = connection.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def opened(url: DatabaseUrl, **options: Any) -> DatabaseSink:
    return DatabaseSink(lambda: connect(url, Path()), **options)


def test_database_keeps_frames_boxes_and_states(url: DatabaseUrl) -> None:
    sink = opened(url)
    sink.write([*ALL, frame(8, objects=0)])
    sink.tick()
    sink.close()
    assert asked(url, "SELECT frame_id, objects, origin FROM frames ORDER BY frame_id") == [
        (7, 1, "detected"),
        (8, 0, "detected"),
    ]
    assert asked(url, "SELECT frame_id, track_id, class_name, x1, y2 FROM boxes") == [(7, 3, "person", 10.0, 220.5)]
    assert asked(url, "SELECT camera_id, state FROM camera_states") == [("gate", "degraded")]


def test_database_derives_times_from_nanoseconds(url: DatabaseUrl) -> None:
    sink = opened(url)
    sink.write(ALL)
    sink.close()
    assert asked(url, "SELECT count(*) FROM frames WHERE captured_at BETWEEN '2025-10-09' AND '2025-10-10'") == [(1,)]
    assert asked(url, "SELECT count(*) FROM camera_states WHERE told_at > '2025-10-09'") == [(1,)]


def test_database_batch_that_comes_again_in_part_changes_nothing(url: DatabaseUrl) -> None:
    sink = opened(url)
    sink.write([frame(number) for number in range(10)])
    sink.write([*(frame(number) for number in range(5, 15)), frame(14)])
    sink.close()
    sink = opened(url)
    sink.write([frame(number) for number in range(20)])
    sink.close()
    assert asked(url, "SELECT count(*), count(DISTINCT frame_id) FROM frames") == [(20, 20)]
    assert asked(url, "SELECT count(*) FROM boxes") == [(100,)]


def test_database_same_numbers_of_other_cameras_and_sessions_are_other_frames(url: DatabaseUrl) -> None:
    sink = opened(url)
    sink.write([frame(0), frame(0, camera_id="yard"), frame(0, session_id="0000000001f0.9")])
    sink.write([msgspec.structs.replace(frame(0), fleet="village")])
    sink.close()
    assert asked(url, "SELECT count(*) FROM frames") == [(4,)]
    assert asked(url, "SELECT count(*) FROM boxes") == [(20,)]


def test_database_state_that_did_not_change_is_not_written_after_a_restart(url: DatabaseUrl) -> None:
    later = msgspec.structs.replace(STATE, at_ns=STATE.at_ns + NS_PER_S)
    for message in (STATE, later):
        sink = opened(url)
        sink.write([message])
        sink.close()
    assert asked(url, "SELECT count(*) FROM camera_states") == [(1,)]


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_database_two_sinks_that_start_at_once_make_the_tables_once(url: DatabaseUrl) -> None:
    failed: list[SinkError] = []

    def write(camera_id: str) -> None:
        try:
            sink = opened(url)
            sink.write([frame(number, camera_id=camera_id) for number in range(20)])
            sink.close()
        except SinkError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(f"c{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert asked(url, "SELECT count(*) FROM frames") == [(80,)]
    assert asked(url, "SELECT camera_id, count(*) FROM boxes GROUP BY 1 ORDER BY 1")[0] == ("c0", 100)
    assert asked(url, "SELECT count(*) FROM schema_version") == [(VERSION,)]


def test_database_sqlite_files_that_many_begin_with_at_the_same_moment_are_opened_by_all(tmp_path: Path) -> None:
    failed: list[SinkError] = []

    def begin(url: DatabaseUrl, together: threading.Barrier) -> None:
        together.wait()
        try:
            opened(url).close()
        except SinkError as error:
            failed.append(error)

    for turn in range(100):
        url, together = DatabaseUrl(str(tmp_path / f"{turn}.sqlite")), threading.Barrier(6)
        threads = [threading.Thread(target=begin, args=(url, together)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


def test_database_duckdb_file_that_another_process_has_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    opened(DatabaseUrl(str(path))).close()
    holder = f"import duckdb; held = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    command = [sys.executable, "-c", holder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            with pytest.raises(SinkError, match="another process has the file open, and DuckDB lets one in"):
                opened(DatabaseUrl(str(path)))
        finally:
            process.kill()


def test_database_of_a_newer_camfleet_is_refused(url: DatabaseUrl) -> None:
    opened(url).close()
    asked(url, "INSERT INTO schema_version VALUES (99, 0)")
    with pytest.raises(SinkError, match=r"its tables have version 99, made by a newer camfleet"):
        opened(url)


def test_database_of_an_older_camfleet_is_brought_up_to_date(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = opened(url)
    sink.write([frame(0)])
    sink.close()
    next_step = "ALTER TABLE frames ADD COLUMN weather TEXT; CREATE TABLE sites (name TEXT PRIMARY KEY);"
    monkeypatch.setattr(tables, "_script", {**{n: tables._script(n) for n in (1, 2, 3)}, 4: next_step}.get)
    monkeypatch.setattr(tables, "VERSION", 4)
    for _ in range(2):
        sink = opened(url)
        sink.write([frame(0), frame(1)])
        sink.close()
    assert asked(url, "SELECT frame_id, weather FROM frames ORDER BY 1") == [(0, None), (1, None)]
    assert asked(url, "SELECT camfleet_schema FROM schema_version ORDER BY 1") == [(1,), (2,), (3,), (4,)]


def make_first_version(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as the first camfleet made them."""
    dialect = import_module(f"pipeline.sink.{url.engine}").DIALECT
    with monkeypatch.context() as before:
        before.setattr(tables, "VERSION", 1)
        for statement in tables.steps(0, dialect, 0):
            bare(url, statement)


def test_database_of_before_there_were_events_gets_them_and_has_each_once(
    url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_first_version(url, monkeypatch)
    assert bare(url, "SELECT max(camfleet_schema) FROM schema_version") == [(1,)]
    for _ in range(2):
        sink = opened(url)
        sink.write([frame(0), EVENT, msgspec.structs.replace(EVENT, phase="begin", frame_id=1), EVENT, EVIDENCE])
        sink.close()
    assert asked(url, "SELECT phase, lasted_s, revised FROM events ORDER BY frame_id DESC") == [
        ("end", 41.2, 1),
        ("begin", 41.2, 1),
    ]
    assert asked(url, "SELECT count(*) FROM events WHERE happened_at > '2025-10-09'") == [(2,)]
    assert asked(url, "SELECT clip, snapshot_width FROM evidence") == [(EVIDENCE.clip, 1920)]


def test_database_of_before_there_were_events_with_a_table_of_that_name_is_refused(
    url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_first_version(url, monkeypatch)
    bare(url, "CREATE TABLE events (picture TEXT)")
    with pytest.raises(SinkError, match="there is a table “events” that camfleet has not made"):
        opened(url)


@pytest.mark.parametrize("name", ["frames", "boxes", "schema_version"])
def test_database_with_a_table_of_that_name_is_refused_and_left_alone(url: DatabaseUrl, name: str) -> None:
    bare(url, f"CREATE TABLE {name} (picture TEXT)")
    with pytest.raises(SinkError, match=f"there is a table “{name}” that camfleet has not made"):
        opened(url)
    assert bare(url, f"SELECT picture FROM {name}") == []


def test_database_with_a_column_missing_is_told(url: DatabaseUrl) -> None:
    opened(url).close()
    bare(url, "ALTER TABLE camera_states DROP COLUMN reconnects")
    with pytest.raises(SinkError, match="reconnects"):
        opened(url)


def test_database_too_old_rows_go_a_few_at_a_time(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "STEP", 20)
    clock = VirtualClock(wall_offset_s=START_NS / NS_PER_S)
    sink = opened(url, keep_days=1, clock=clock)
    sink.write([frame(number) for number in range(10)])
    sink.write([msgspec.structs.replace(frame(99), captured_at_ns=START_NS + DAY_NS)])
    sink.tick()
    clock.advance(86_400 + 60)
    left = []
    for _ in range(6):
        sink.tick()
        left.append(sink._connection.execute("SELECT (SELECT count(*) FROM boxes), (SELECT count(*) FROM frames)")[0])
    sink.close()
    assert left[0] == (35, 11)
    assert left[-1] == (5, 1)
    assert all(boxes >= 5 for boxes, _ in left)


def test_database_open_sink_puts_a_file_beside_the_fleet_file(tmp_path: Path) -> None:
    sink = open_sink(DatabaseSettings(), Place("archive", "town", tmp_path))
    sink.write(ALL)
    sink.close()
    assert (tmp_path / "results.sqlite").exists()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(result=frames)
def test_database_any_frame_of_the_wire_comes_out_as_it_went_in(url: DatabaseUrl, result: FrameResult) -> None:
    received = decode(result.topic, encode(result))
    assert isinstance(received, FrameResult)
    row, boxes = frame_row(received), box_rows(received)
    sink = opened(url)
    connection: Any = sink._connection
    for table in ("frames", "boxes"):
        connection.execute(f"DELETE FROM {table}")
    sink.write([received])
    kept = connection.execute(f"SELECT {', '.join(row._fields[:15])} FROM frames")
    kept_boxes = connection.execute("SELECT track_id, class_id, class_name, score, x1, y1, x2, y2 FROM boxes")
    sink.close()
    assert kept == [tuple(row[:15])]
    assert sorted(kept_boxes) == sorted((box[4], *box[6:13]) for box in boxes)
