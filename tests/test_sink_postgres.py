"""PostgreSQL that is away, refuses or is killed: each has one sentence, and then everything is there, once."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from pipeline.config.sinks.database import DatabaseUrl
from pipeline.errors import SinkError
from pipeline.sink.database import DatabaseSink, connect
from pipeline.sink.protocol import Refused
from tests.postgres_server import PASSWORD, PostgresServer, postgres_server
from tests.sink_frames import frame
from tests.wire_messages import STATE

BATCH = 50
KILLS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


def opened(url: str) -> DatabaseSink:
    return DatabaseSink(lambda: connect(DatabaseUrl(url), Path()))


def batch(number: int) -> list:
    return [frame(number * BATCH + index, objects=2) for index in range(BATCH)]


def as_admin(url: str, *statements: str) -> list[tuple]:
    """The rows of the last."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def counted(url: str) -> list[tuple]:
    return as_admin(url, "SELECT (SELECT count(*) FROM frames), (SELECT count(*) FROM boxes)")


def refusal(url: str) -> str:
    """What is told where a sink cannot be opened."""
    with pytest.raises(SinkError) as caught:
        opened(url)
    told = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in told
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_user(server: PostgresServer, url: str, *rights: str) -> str:
    """The address of the same database for a user who has these rights alone."""
    name = url.rpartition("/")[2]
    as_admin(
        url, f"CREATE USER u{name} PASSWORD '{PASSWORD}'", *(right.format(user=f"u{name}", db=name) for right in rights)
    )
    return server.url(name, user=f"u{name}")


def test_postgres_wrong_password_is_told_without_it(server: PostgresServer) -> None:
    told = refusal(server.url(password="hunter2x"))
    assert "password authentication failed for user" in told
    assert told.startswith(f"postgresql://***@127.0.0.1:{server.port}/postgres: ")


def test_postgres_database_that_is_not_there_is_told(server: PostgresServer) -> None:
    assert 'database "nowhere" does not exist' in refusal(server.url("nowhere"))


def test_postgres_server_that_is_away_is_told() -> None:
    assert "Connection refused" in refusal(f"postgresql://bob:{PASSWORD}@127.0.0.1:1/town")


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("postgresql://bob:hunter2@host/db?hunter2=1", id="unknown-option"),
        pytest.param("postgresql://bob:hun%ter2hunter2@host/db", id="wrong-encoding"),
        pytest.param("postgresql://bob@[host/db", id="no-address"),
    ],
)
def test_postgres_address_that_cannot_be_read_is_told_without_it(address: str) -> None:
    assert "the address cannot be read" in refusal(address)


def test_postgres_user_who_may_make_no_tables_is_told_which_right_is_missing(server: PostgresServer) -> None:
    told = refusal(with_user(server, server.new_database()))
    assert "the user lacks a right: GRANT CREATE" in told
    assert "permission denied for schema public" in told


def test_postgres_user_who_may_only_write_rows_can_use_tables_that_are_there(server: PostgresServer) -> None:
    url = server.new_database()
    opened(url).close()
    sink = opened(with_user(server, url, "GRANT INSERT, SELECT, DELETE ON ALL TABLES IN SCHEMA public TO {user}"))
    sink.write(batch(0))
    sink.close()
    assert counted(url) == [(BATCH, 2 * BATCH)]


def test_postgres_user_who_may_not_insert_is_told(server: PostgresServer) -> None:
    url = server.new_database()
    opened(url).close()
    sink = opened(with_user(server, url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"))
    with pytest.raises(SinkError, match=r"lacks a right.*permission denied for table frames"):
        sink.write(batch(0))
    sink.close()


def test_postgres_server_that_takes_no_writes_is_told(server: PostgresServer) -> None:
    url = server.new_database()
    as_admin(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    assert "read-only, or a standby" in refusal(url)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        pytest.param("RAISE EXCEPTION 'no space' USING ERRCODE = '53100'", "the server's disk is full", id="full"),
        pytest.param("RAISE EXCEPTION 'stopped' USING ERRCODE = '57P01'", "the server was stopped", id="stopped"),
        pytest.param("RAISE EXCEPTION 'x hunter2 y'", r"x \*\*\* y", id="repeats-the-password"),
        pytest.param("PERFORM pg_terminate_backend(pg_backend_pid())", "the server was stopped", id="cut-off"),
    ],
)
def test_postgres_write_that_failed_is_told_and_the_same_sink_writes_it_later(
    server: PostgresServer, failure: str, told: str
) -> None:
    url = server.new_database()
    sink = opened(url)
    sink.write(batch(0))
    as_admin(
        url,
        f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {failure}; RETURN NULL; END $$",
        "CREATE TRIGGER fail AFTER INSERT ON boxes EXECUTE FUNCTION fail()",
    )
    for _ in range(2):
        with pytest.raises(SinkError, match=told) as caught:
            sink.write(batch(1))
        assert PASSWORD not in str(caught.value)
    as_admin(url, "DROP TRIGGER fail ON boxes")
    sink.write(batch(1))
    sink.close()
    assert counted(url) == [(2 * BATCH, 4 * BATCH)]


def latin1_database(server: PostgresServer) -> str:
    """One that has no sign for most of the world's letters."""
    url = server.url("latin1")
    as_admin(
        server.url(),
        "DROP DATABASE IF EXISTS latin1",
        "CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    return url


def test_postgres_text_that_its_encoding_has_not_is_put_aside_and_all_else_written(server: PostgresServer) -> None:
    url = latin1_database(server)
    sink = opened(url)
    messages = [*batch(0), STATE]
    for number in (3, 17, 18):
        foreign = msgspec.structs.replace(messages[number].tracks[0], class_name="行人")
        messages[number] = msgspec.structs.replace(messages[number], tracks=(foreign, *messages[number].tracks[1:]))
    with pytest.raises(Refused, match='no equivalent in encoding "LATIN1"') as caught:
        sink.write(messages)
    assert caught.value.messages == 3
    assert PASSWORD not in str(caught.value)
    sink.write(batch(1))
    sink.close()
    assert counted(url) == [(2 * BATCH - 3, 2 * (2 * BATCH - 3))]
    assert as_admin(url, "SELECT count(*) FROM camera_states") == [(1,)]
    assert as_admin(url, "SELECT count(*) FROM frames WHERE frame_id IN (3, 17, 18)") == [(0,)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"session_id": "".join(map(chr, range(0x4E00, 0x6000)))}, "index row", id="long-key"),
        pytest.param({"age_ms": 1e12}, 'violates check constraint "sane"', id="check"),
        pytest.param({"stride": 1 << 40}, "integer out of range", id="range"),
    ],
)
def test_postgres_value_that_a_table_never_takes_is_put_aside(server: PostgresServer, changes: dict, told: str) -> None:
    url = server.new_database()
    sink = opened(url)
    as_admin(
        url,
        "ALTER TABLE frames ADD CONSTRAINT sane CHECK (age_ms < 1e9)",
        "ALTER TABLE frames ALTER COLUMN stride TYPE integer",
    )
    with pytest.raises(Refused, match=told) as caught:
        sink.write([msgspec.structs.replace(frame(0), **changes), frame(1)])
    sink.close()
    assert caught.value.messages == 1
    assert as_admin(url, "SELECT frame_id FROM frames") == [(1,)]


def test_postgres_change_of_a_table_that_can_be_mended_keeps_everything_waiting(server: PostgresServer) -> None:
    url = server.new_database()
    sink = opened(url)
    as_admin(url, "ALTER TABLE frames ADD COLUMN site text NOT NULL")
    with pytest.raises(SinkError, match='null value in column "site"') as caught:
        sink.write(batch(0))
    assert not isinstance(caught.value, Refused)
    as_admin(url, "ALTER TABLE frames ALTER COLUMN site SET DEFAULT 'town'")
    sink.write(batch(0))
    sink.close()
    assert counted(url) == [(BATCH, 2 * BATCH)]


def test_postgres_that_is_slow_gets_everything(server: PostgresServer) -> None:
    url = server.slow_database(write_s=0.2)
    sink = opened(url)
    for number in range(5):
        sink.write(batch(number))
    sink.close()
    assert counted(url) == [(5 * BATCH, 10 * BATCH)]


def test_postgres_killed_and_started_again_in_mid_write_has_every_frame_once(server: PostgresServer) -> None:
    url = server.new_database()
    sink = opened(url)
    stop, wrote = threading.Event(), threading.Semaphore(0)
    told: set[str] = set()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            try:
                sink.write(batch(written))
            except SinkError as error:
                told.add(str(error))
                stop.wait(0.02)
                continue
            written += 1
            wrote.release()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(KILLS):
            for _ in range(3):
                assert wrote.acquire(timeout=60)
            if number % 2:
                server.stop("immediate")
            else:
                server.kill()
            server.start()
        assert wrote.acquire(timeout=60)
    finally:
        stop.set()
        writer.join()
    sink.close()
    assert written > 3 * KILLS
    assert told, "it was never in the midst of anything"
    assert all(PASSWORD not in text and "\n" not in text for text in told)
    assert counted(url) == [(written * BATCH, 2 * written * BATCH)]
    assert as_admin(url, "SELECT max(frame_id) FROM frames") == [(written * BATCH - 1,)]
