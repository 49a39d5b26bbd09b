"""Results of every kind are drawn alike, a piece at a time; what cannot be drawn is told in one line."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest
from msgspec.structs import replace

from pipeline.config.sinks.choice import sink_of
from pipeline.config.sinks.database import DatabaseUrl
from pipeline.errors import PipelineError, RenderError, SinkError
from pipeline.render import Rendered, Request, open_kept, render
from pipeline.render import tables as tables_module
from pipeline.sink.database import DatabaseSink, connect
from pipeline.sink.opening import open_sink
from pipeline.wire import Attribute, FrameResult, TrackedBox
from tests.conftest import RECORDING_FRAMES
from tests.postgres_server import PASSWORD, PostgresServer, postgres_server
from tests.sinks import place
from tests.test_render import BOX, CAMFLEET, DEADLINE_S, pictures, seen
from tests.waiting import wait_until
from tests.wire_messages import STATE

FILES = ["jsonl", "csv", "parquet"]
DATABASES = ["sqlite", "duckdb", "postgresql"]
SECOND = replace(BOX, track_id=2, class_id=2, class_name='bi,cyc"le', xyxy=(20.0, 30.5, 90.0, 99.0), origin="predicted")
COLOUR = {"colour": Attribute(label="red", score=0.75, looked_at_s=0.4)}


def results() -> list[FrameResult]:
    """Of the fixture's recording: boxes, empty and skipped frames, and a worker that was started again in its midst."""
    told = []
    for number in range(RECORDING_FRAMES - 3):
        tracks = ((), (BOX,), (replace(BOX, attributes=COLOUR), SECOND))[number % 3]
        changes: dict[str, Any] = {"tracks": tracks}
        if number % 10 == 4:
            changes = {"tracks": (), "origin": "skipped", "filled_because": "stale", "detection_age_ms": None}
        if number >= 40:
            changes |= {"session_id": f"{seen(0).session_id}.40", "frame_id": number - 40}
        told.append(seen(number, **changes))
    return told


def kept_as(kind: str, messages: Sequence[FrameResult], folder: Path, request: pytest.FixtureRequest) -> str:
    """What a sink of that kind makes of them; where it is."""
    if kind in FILES:
        sink = open_sink(sink_of("file", {"path": "kept", "format": kind}), place(folder))
    else:
        postgresql = kind == "postgresql"
        url = request.getfixturevalue("server").new_database() if postgresql else str(folder / f"kept.{kind}")
        sink = DatabaseSink(lambda: connect(DatabaseUrl(url), Path()))
    for first in range(0, len(messages), 20):
        sink.write([*messages[first : first + 20], STATE])
    sink.close()
    return str(folder / "kept") if kind in FILES else url


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def drawn(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rendered, list[np.ndarray]]:
    """What comes of the same results as JSON lines, as `camfleet subscribe --json` prints them."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "results.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in results()))
    done = render(Request(video=recording, results=folder / "results.jsonl", out=folder / "out.mp4"))
    assert (done.frames, done.with_boxes, done.skipped, done.without_result) == (75, 43, 7, 3)
    return done, [picture for _, picture in pictures(folder / "out.mp4")]


@pytest.mark.parametrize("kind", FILES + DATABASES)
def test_render_of_every_kind_of_results_is_the_same(
    kind: str, recording: Path, tmp_path: Path, request: pytest.FixtureRequest, drawn: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tables_module, "PIECE", 7)
    source = kept_as(kind, results(), tmp_path, request)
    out = tmp_path / "out.mp4"
    assert render(Request(video=recording, results=source, out=out)) == drawn[0]
    for (_, picture), expected in zip(pictures(out), drawn[1], strict=True):
        np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize("kind", FILES + DATABASES)
def test_kept_results_of_several_cameras_are_told_apart(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    other = [replace(one, camera_id="yard", session_id=one.session_id.replace("f0", "ff")) for one in results()]
    mixed = [one for pair in zip(results(), other, strict=True) for one in pair]
    with open_kept(kept_as(kind, mixed, tmp_path, request)) as kept:
        streams = kept.streams(None)
        assert sorted(map(str, streams)) == [
            "0000000001f0 (72 frames, 0.0 to 2.8 s)",
            "0000000001ff (72 frames, 0.0 to 2.8 s)",
        ]
        (yard,) = kept.streams("yard")
        assert kept.streams("nobody") == []
        read = list(kept.frames(yard))
    assert [(one.camera_id, one.pts_s, list(map(without_velocity, one.tracks))) for one in read] == [
        ("yard", one.pts_s, list(map(without_velocity, one.tracks))) for one in other
    ]
    assert [(one.origin, one.filled_because) for one in read] == [(one.origin, one.filled_because) for one in other]


def without_velocity(box: TrackedBox) -> TrackedBox:
    """As a row keeps it: where it was, not how fast it moved on."""
    return replace(box, velocity_px_s=None, uncertainty_px_s=None)


@pytest.mark.parametrize("kind", DATABASES)
def test_kept_tables_are_read_in_pieces_and_hold_no_view_of_the_database(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, within: Callable
) -> None:
    monkeypatch.setattr(tables_module, "PIECE", 5)
    source = kept_as(kind, results(), tmp_path, request)
    sizes = []
    with open_kept(source) as kept:
        execute = kept._tables.execute

        def counted(sql: str) -> Sequence[tuple[Any, ...]]:
            rows = execute(sql)
            sizes.append(len(rows))
            return rows

        monkeypatch.setattr(kept._tables, "execute", counted)
        (stream,) = kept.streams("gate")
        frames = kept.frames(stream)
        next(frames)
        assert sizes == [2, 2, 5, 3]
        if kind == "postgresql":
            with psycopg.connect(source, autocommit=True) as other:
                asked = (
                    "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                # The sink has hung up, and its server's process may not have ended yet.
                wait_until(within, lambda: len(other.execute(asked).fetchall()) == 1)
                assert other.execute(asked).fetchall() == [("idle",)]
        assert len(list(frames)) == len(results()) - 1
    assert max(sizes) <= 10


def test_kept_frames_whose_objects_were_too_old_to_be_kept_have_no_result(
    recording: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = kept_as("sqlite", results(), tmp_path, request)
    with sqlite3.connect(source) as connection:
        connection.execute("DELETE FROM boxes WHERE frame_id < 10 AND session_id = ?", (seen(0).session_id,))
    connection.close()
    done = render(Request(video=recording, results=source, out=tmp_path / "out.mp4"))
    assert (done.with_boxes, done.without_result) == (43 - 5, 3 + 5)


def test_kept_table_of_a_user_who_may_only_read_is_drawn(
    recording: Path, tmp_path: Path, request: pytest.FixtureRequest, server: PostgresServer
) -> None:
    url = kept_as("postgresql", results(), tmp_path, request)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE USER viewer PASSWORD '{PASSWORD}'")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO viewer")
    read = server.url(url.rpartition("/")[2], user="viewer")
    assert render(Request(video=recording, results=read, out=tmp_path / "out.mp4")).with_boxes == 43


def test_kept_csv_that_is_still_written_is_drawn_up_to_its_last_whole_frame(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (whole,) = Path(kept_as("csv", results()[:9], tmp_path, request)).iterdir()
    lines = whole.read_bytes().splitlines(keepends=True)
    for cut, frames in ((lines[:-1], 8), ([*lines[:-1], lines[-1][:-9]], 8), (lines, 9)):
        part = tmp_path / "a.csv.part"
        part.write_bytes(b"".join(cut))
        with open_kept(str(part)) as kept:
            assert [stream.frames for stream in kept.streams("gate")] == [frames]
    torn = tmp_path / "torn.csv"
    torn.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(RenderError, match="1 of the 2 objects of a frame are there"), open_kept(str(torn)) as kept:
        kept.streams("gate")


def test_kept_rows_of_a_frame_that_are_apart_are_told(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (whole,) = Path(kept_as("csv", results()[:9], tmp_path, request)).iterdir()
    header, *lines = whole.read_bytes().splitlines(keepends=True)
    whole.write_bytes(header + b"".join(sorted(lines, key=lambda line: line.split(b",")[18])))
    with pytest.raises(RenderError, match="expected the rows of each frame together"), open_kept(str(whole)) as kept:
        kept.streams("gate")


def test_kept_csv_with_a_word_that_is_none_is_told_in_one_line(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (whole,) = Path(kept_as("csv", results()[:9], tmp_path, request)).iterdir()
    whole.write_bytes(whole.read_bytes().replace(b",skipped,", b',"skip\nped",'))
    with pytest.raises(RenderError, match="row 7: no frame of camfleet") as caught, open_kept(str(whole)) as kept:
        kept.streams("gate")
    assert "\n" not in str(caught.value)


HEADER = b"fleet,camera_id,session_id,session,frame_id,pts_s\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"a,b\n1,2\n", "there is no column fleet"),
        ("a.csv", HEADER, "there is no column captured_at_ns"),
        ("a.csv", b"\xff\xfe\x00", "that is no text"),
        ("a.csv", b"", "there is no column fleet"),
        ("a.csv", None, "No such file"),
        ("a.parquet", b"PAR1 damaged PAR1", "it cannot be read as Parquet"),
        ("a.parquet", None, "it cannot be read as Parquet"),
        ("a.sqlite", b"no database" * 100, "that is no SQLite file"),
        ("a.sqlite", b"", "no sink of camfleet has written anything there"),
        ("a.sqlite", None, "there is no such file"),
        ("a.duckdb", b"no database" * 1000, "that is no DuckDB file"),
        ("a.txt", b"1,1,10,20,30,40,0.9,1,-1,-1\n", "MOTChallenge's format has neither times"),
        ("a.txt", b"hello\n", "line 1: no frame of camfleet"),
        ("folder/a.txt", b"1,1,10,20,30,40,0.9,1,-1,-1\n", "there are no results in the folder; expected .jsonl"),
    ],
)
def test_kept_what_is_none_is_told_in_one_line(name: str, content: bytes | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if content is not None:
        path.write_bytes(content)
    source = path.parent if name.startswith("folder/") else path
    with pytest.raises(PipelineError) as caught, open_kept(str(source)) as kept:
        kept.streams(None)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "parquet", "sqlite", "duckdb"])
def test_kept_results_damaged_anywhere_are_read_or_refused(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kept_at = Path(kept_as(kind, results()[:20], tmp_path, request))
    whole = (next(kept_at.iterdir()) if kept_at.is_dir() else kept_at).read_bytes()
    chance, refused = random.Random(7), 0
    for number in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randrange(8)] = chance.randbytes(chance.randrange(8))
        path = tmp_path / f"damaged{number}.{kind}"
        path.write_bytes(damaged)
        try:
            with open_kept(str(path)) as kept:
                for stream in kept.streams(None):
                    list(kept.frames(stream))
        except PipelineError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE frames SET session_id = 'a\\b'", id="backslash"),
        pytest.param("UPDATE frames SET frame_id = 'x' WHERE frame_id = 3", id="text"),
        pytest.param("UPDATE frames SET pts_s = 1e99 WHERE frame_id = 3", id="no-time"),
        pytest.param("UPDATE boxes SET x1 = 'left' WHERE frame_id = 5", id="no-corner"),
        pytest.param("UPDATE frames SET camera_id = 'a/b' WHERE frame_id = 4", id="no-name"),
    ],
)
def test_kept_values_that_camfleet_does_not_write_are_told(
    change: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = kept_as("sqlite", results()[:20], tmp_path, request)
    with sqlite3.connect(source) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(SinkError, match="values that camfleet does not write") as caught, open_kept(source) as kept:
        for stream in kept.streams(None):
            list(kept.frames(stream))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", DATABASES)
def test_kept_names_with_quotes_are_asked_for_as_they_are(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    named = [replace(one, session_id="a' OR '%s' = '{}") for one in results()[:3]]
    with open_kept(kept_as(kind, named, tmp_path, request)) as kept:
        (stream,) = kept.streams("gate")
        assert len(list(kept.frames(stream))) == 3


@pytest.mark.parametrize(
    ("source", "told"),
    [("a.parquet", "needs pyarrow"), ("a.duckdb", "needs duckdb"), ("postgresql://h/d", "needs psycopg")],
)
def test_kept_missing_library_is_told_with_the_extra(
    source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.extras.find_spec", lambda module: None)
    (tmp_path / source.rpartition("/")[2]).touch()
    with (
        pytest.raises(SinkError, match=rf"{told}.*pip install 'camfleet\[sinks\]'"),
        open_kept(source if "//" in source else str(tmp_path / source)) as kept,
    ):
        kept.streams(None)


def test_render_command_refuses_a_server_that_refuses_it_in_one_line_without_the_password(
    recording: Path, tmp_path: Path, server: PostgresServer
) -> None:
    for url in (server.url(password="hunter2x"), f"postgresql://bob:{PASSWORD}@127.0.0.1:1/town", server.url("none")):
        command = [CAMFLEET, "render", recording, url, tmp_path / "out.mp4"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "hunter2" not in done.stderr + done.stdout
        assert "127.0.0.1" in done.stderr
    assert list(tmp_path.iterdir()) == []
