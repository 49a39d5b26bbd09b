"""The same frames in every kind of results have the same account."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipeline.clock import NS_PER_S
from pipeline.config.sinks.database import DatabaseUrl
from pipeline.errors import SinkError
from pipeline.results.account import Account, Ages
from pipeline.results.ask import account_of
from pipeline.results.course import ages_of, step_of
from pipeline.results.open import open_results
from pipeline.results.plot import draw, write_png
from pipeline.results.text import show
from pipeline.sink.database import DatabaseSink, connect
from pipeline.sink.frame_rows import box_rows, frame_row
from pipeline.wire import FrameResult, Message
from tests.postgres_server import PASSWORD, PostgresServer, postgres_server
from tests.sink_frames import START_NS, frame
from tests.wire_messages import FLEET, STATE

ROOT = Path(__file__).parent.parent
HOUR_NS = 3600 * NS_PER_S
FLAT = (
    "fleet", "camera_id", "session_id", "frame_id", "captured_at_ns", "published_at_ns", "age_ms", "origin",
    "filled_because", "stride", "track_id", "class_id", "class_name", "score", "x1", "y1", "x2", "y2", "box_origin",
    "since_detected_ms", "uncertainty_px",
)  # fmt: skip


def messages() -> list[Message]:
    """Two cameras: one leaves out frames 10 to 12, is silent for a minute, and begins a new session an hour later."""
    gate = [frame(number, objects=2) for number in range(50) if number not in range(10, 13)]
    gate = [msgspec.structs.replace(one, age_ms=float(20 + index)) for index, one in enumerate(gate)]
    gate.append(msgspec.structs.replace(frame(50, objects=0), captured_at_ns=gate[-1].captured_at_ns + 60 * NS_PER_S))
    later = msgspec.structs.replace(
        frame(0, objects=1, session_id="0000000001f1"), captured_at_ns=START_NS + HOUR_NS, origin="predicted"
    )
    yard = [frame(number, objects=0, camera_id="yard") for number in range(5)]
    return [*gate, later, *yard, STATE, FLEET]


def flat_rows(written: Sequence[Message]) -> list[dict[str, Any]]:
    """A row for each object, and one for a frame that has none."""
    rows = []
    for message in written:
        if not isinstance(message, FrameResult):
            continue
        own = {name: value for name, value in frame_row(message)._asdict().items() if name in FLAT}
        boxes = [box._asdict() for box in box_rows(message)] or [{}]
        rows += [{**dict.fromkeys(FLAT), **own, **{k: v for k, v in box.items() if k in FLAT}} for box in boxes]
    return rows


def write_database(written: Sequence[Message], url: str) -> str:
    sink = DatabaseSink(lambda: connect(DatabaseUrl(url), Path()))
    sink.write(written)
    sink.close()
    return url


def write_jsonl(written: Sequence[Message], path: Path) -> str:
    lines = [msgspec.json.encode({"kind": one.kind, **msgspec.structs.asdict(one)}) + b"\n" for one in written]
    path.write_bytes(b"".join(lines))
    return str(path)


def write_csv(written: Sequence[Message], path: Path) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FLAT)
        writer.writeheader()
        writer.writerows(flat_rows(written))
    return str(path)


def write_parquet(written: Sequence[Message], path: Path) -> str:
    pq.write_table(pa.Table.from_pylist(flat_rows(written)), path)
    return str(path)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


def written_as(kind: str, written: Sequence[Message], folder: Path, request: pytest.FixtureRequest) -> str:
    """Results of that kind; where they are."""
    if kind == "postgresql":
        return write_database(written, request.getfixturevalue("server").new_database())
    if kind in ("sqlite", "duckdb"):
        return write_database(written, str(folder / f"results.{kind}"))
    write = {"jsonl": write_jsonl, "csv": write_csv, "parquet": write_parquet}[kind]
    return write(written, folder / f"results.{kind}")


def account(source: str, **options: Any) -> Account:
    opened = open_results(source)
    try:
        return account_of(opened, **options)
    finally:
        opened.tables.close()


@pytest.fixture
def without_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.extras.find_spec", lambda module: None)


KINDS = ["sqlite", "duckdb", "postgresql", "jsonl", "csv", "parquet"]


def check(told: Account) -> None:
    """What `messages` hold."""
    gate, yard = told.cameras
    assert (told.frames, told.boxes, gate.camera_id, yard.camera_id) == (54, 95, "gate", "yard")
    assert (gate.frames, gate.sessions, gate.boxes, gate.missing, gate.gaps) == (49, 2, 95, 3, 1)
    assert gate.origins == {"detected": 48, "predicted": 1}
    assert [(one.class_name, one.boxes, one.objects) for one in gate.classes] == [("car", 48, 2), ("bicycle", 47, 1)]
    assert gate.ages == Ages(42.0, 64.0, 66.0)
    assert [(gap.camera_id, gap.first_frame_id, gap.frames) for gap in told.gaps] == [("gate", 10, 3)]
    assert [round(silence.seconds) for silence in told.silences] == [3538, 60]
    assert (gate.silences, yard.silences, yard.missing, yard.boxes) == (2, 0, 0, 0)
    start_ns = START_NS - START_NS % HOUR_NS
    assert [(one.hour_ns, one.camera_id, one.frames, one.boxes) for one in told.hours] == [
        (start_ns, "gate", 48, {"bicycle": 47, "car": 47}),
        (start_ns, "yard", 5, {}),
        (start_ns + HOUR_NS, "gate", 1, {"car": 1}),
    ]
    assert (told.first_ns, told.last_ns) == (START_NS, START_NS + HOUR_NS)
    assert told.course is not None
    assert {name: sum(counts) for name, counts in told.course.frames.items()} == {"gate": 49, "yard": 5}
    assert {name: sum(counts) for name, counts in told.course.boxes.items()} == {"car": 48, "bicycle": 47}


@pytest.mark.parametrize("kind", KINDS)
def test_results_of_every_kind_have_the_same_account(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check(account(written_as(kind, messages(), tmp_path, request)))


@pytest.mark.usefixtures("without_duckdb")
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_results_files_are_read_without_duckdb_too(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check(account(written_as(kind, messages(), tmp_path, request)))


@pytest.mark.parametrize("duckdb_there", [True, False], ids=["duckdb", "python"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_results_folder_of_files_is_one_and_half_a_line_of_the_open_one_is_left_out(
    kind: str, duckdb_there: bool, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not duckdb_there:
        monkeypatch.setattr("pipeline.extras.find_spec", lambda module: None)
    for number in range(3):
        part = Path(written_as(kind, [frame(number), frame(number + 1)], tmp_path, request))
        part.rename(tmp_path / f"{number}.{kind}")
    last = Path(written_as(kind, [frame(4), frame(5)], tmp_path, request))
    (tmp_path / f"4.{kind}.part").write_bytes(last.read_bytes()[:-20])
    last.unlink()
    told = account(str(tmp_path))
    assert told.frames in (5, 6)
    assert told.cameras[0].missing == 0


def test_results_parquet_that_is_still_written_is_left_out_and_told(tmp_path: Path) -> None:
    write_parquet([frame(0)], tmp_path / "0.parquet")
    (tmp_path / "1.parquet.part").write_bytes(b"PAR1 half")
    assert account(str(tmp_path)).notes == ["left out, since still being written: 1.parquet.part"]


def test_results_mot_text_of_a_sink_is_of_the_camera_and_session_in_its_name(tmp_path: Path) -> None:
    for time in ("20251009T085320Z", "20251009T095320Z", "20251009T095320Z-2"):
        (tmp_path / f"keep-north-town+gate+0000000001f0-{time}.txt").write_text("1,1,10,20,30,40,0.9,1,-1,-1\n")
    (tmp_path / "keep-north-town+gate+0000000001f1.5-20251009T085320Z.txt").write_text("1,1,1,2,3,4,0.9,1,-1,-1\n")
    (camera,) = account(str(tmp_path)).cameras
    assert (camera.camera_id, camera.sessions, camera.frames) == ("gate", 2, 2)


def test_results_mot_text_has_frames_and_objects_but_no_times(tmp_path: Path) -> None:
    (tmp_path / "gate.txt").write_text("1,1,10,20,30,40,0.9,1,-1\n1,2,10,20,30,40,0.9,3,-1\n4,1,10,20,30,40,0.9,1,-1\n")
    told = account(str(tmp_path / "gate.txt"))
    (camera,) = told.cameras
    assert (camera.camera_id, camera.frames, camera.boxes, camera.missing) == ("gate", 2, 3, 0)
    assert [(one.class_name, one.boxes, one.objects) for one in camera.classes] == [
        ("class 1", 2, 1),
        ("class 3", 1, 1),
    ]
    assert (camera.ages, camera.first_ns, told.course) == (None, None, None)


@pytest.mark.parametrize("duckdb_there", [True, False], ids=["duckdb", "python"])
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", b'{"camera": "gate"}\n', "no message|none that camfleet writes"),
        ("a.jsonl", b"no json\n", "a.jsonl"),
        ("a.jsonl", b"\xff\xfe\x00{\n", "a.jsonl"),
        ("a.csv", b"a,b\n1,2\n", "there is no column fleet"),
        ("a.csv", f"{','.join(FLAT)}\nx,y,z,one{',' * (len(FLAT) - 4)}\n".encode(), "one"),
        ("a.csv", b"", "a.csv"),
    ],
    ids=["json-of-others", "no-json", "no-text", "csv-of-others", "no-number", "empty"],
)
def test_results_foreign_or_damaged_text_is_told(
    name: str, content: bytes, told: str, duckdb_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not duckdb_there:
        monkeypatch.setattr("pipeline.extras.find_spec", lambda module: None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SinkError, match=told) as caught:
        account(str(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.parquet", b"PAR1 damaged PAR1", "a.parquet"),
        ("a.parquet", None, "there is no such file or folder"),
        ("a.sqlite", b"no database" * 100, "that is no SQLite file"),
        ("a.sqlite", b"", "no sink of camfleet has written anything there"),
        ("a.sqlite", None, "there is no such file"),
        ("a.duckdb", b"no database" * 1000, "that is no DuckDB file"),
        ("a.mp4", b"video", "“.mp4” is no kind of results"),
        ("a.txt", b"hello", "a.txt:1: that is no line of MOTChallenge's format"),
        ("a.txt", b"0,1,2,3,4,5\n", "the first being 1|the first frame being 1"),
    ],
)
def test_results_what_is_none_is_told(name: str, content: bytes | None, told: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SinkError, match=told) as caught:
        account(str(tmp_path / name))
    assert "\n" not in str(caught.value)


EDITS = 40


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "duckdb", "sqlite"])
def test_results_damaged_anywhere_are_read_or_refused(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole = Path(written_as(kind, messages(), tmp_path, request)).read_bytes()
    chance = random.Random(5)
    refused = 0
    for number in range(EDITS):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randrange(8)] = chance.randbytes(chance.randrange(8))
        path = tmp_path / f"damaged{number}.{kind}"
        path.write_bytes(damaged)
        try:
            account(str(path))
        except SinkError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > EDITS / 4


def test_results_folder_with_two_kinds_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(SinkError, match=r"the folder has 1 of \.csv and 1 of \.jsonl"):
        account(str(tmp_path))


def test_results_sqlite_that_a_sink_is_writing_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    sink = DatabaseSink(lambda: connect(DatabaseUrl(str(path)), Path()))
    sink.write([frame(0)])
    assert account(str(path)).frames == 1
    sink.write([frame(1)])
    assert account(str(path)).frames == 2
    sink.close()


def test_results_user_who_may_only_read_gets_the_account(server: PostgresServer) -> None:
    import psycopg

    url = write_database(messages(), server.new_database())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE USER reader PASSWORD '{PASSWORD}'")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    check(account(server.url(url.rpartition("/")[2], user="reader")))


@pytest.mark.usefixtures("without_duckdb")
@pytest.mark.parametrize(
    ("source", "told"),
    [("a.parquet", "needs duckdb"), ("a.duckdb", "needs duckdb"), ("postgresql://h/d", "needs psycopg")],
)
def test_results_missing_library_is_told_with_the_extra(source: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    (tmp_path / "a.duckdb").touch()
    with pytest.raises(SinkError, match=rf"{told}.*pip install 'camfleet\[sinks\]'"):
        open_results(source if "//" in source else str(tmp_path / source))


def test_ages_of_are_the_ages_that_so_many_stay_below() -> None:
    assert ages_of({}) is None
    assert ages_of({100: 1}) == Ages(10.0, 10.0, 10.0)
    assert ages_of({10 * value: 1 for value in range(1, 101)}) == Ages(50.0, 95.0, 99.0)


@pytest.mark.parametrize("seconds", [0, 1, 95, 97, 3600, 86_400, 10**9])
def test_step_of_covers_any_time_in_few_steps(seconds: int) -> None:
    assert seconds * NS_PER_S <= 96 * step_of(seconds * NS_PER_S)


def shown(told: Account, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show(told, console)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_show_fits_the_terminal(width: int, tmp_path: Path) -> None:
    told = account(write_database(messages(), str(tmp_path / "a.sqlite")))
    text = shown(told, width)
    assert max(map(len, text.splitlines())) <= width
    assert "3 frames missing in 1 gap" in text
    assert "frames 10–12 (3) of 0000000001f0" in text
    assert "2 silences of 5 s or more" in text
    assert re.search(r":00  █+ +94 boxes\n.*:00  .*1 box\n", text)


def test_show_letters_that_steer_a_terminal_are_not_obeyed(tmp_path: Path) -> None:
    box = msgspec.structs.replace(frame(0, objects=1).tracks[0], class_name="per\x1b[2Json")
    evil = msgspec.structs.replace(frame(0), tracks=(box,))
    assert "\x1b" not in shown(account(write_database([evil], str(tmp_path / "a.sqlite"))), 100)


def test_show_and_draw_nothing_at_all(tmp_path: Path) -> None:
    told = account(write_database([], str(tmp_path / "a.sqlite")))
    assert "0 frames of 0 cameras" in shown(told, 80)
    with pytest.raises(SinkError, match="there is no frame to be drawn"):
        write_png(told, tmp_path / "out.png")


@pytest.mark.parametrize(
    "written",
    [
        pytest.param([frame(0)], id="one"),
        pytest.param([frame(0, objects=0), frame(100, objects=0)], id="no-boxes"),
        pytest.param([frame(n, camera_id=f"c{n % 60}") for n in range(120)], id="many-cameras"),
        pytest.param(messages(), id="usual"),
        pytest.param([msgspec.structs.replace(frame(0), captured_at_ns=0), frame(1)], id="since-1970"),
        pytest.param([msgspec.structs.replace(frame(0), captured_at_ns=(1 << 63) - 1)], id="until-2262"),
        pytest.param([frame(0), msgspec.structs.replace(frame(1), fleet="other")], id="two-fleets"),
    ],
)
def test_draw_and_show_any_results(written: Sequence[Message], tmp_path: Path) -> None:
    told = account(write_database(written, str(tmp_path / "a.sqlite")))
    write_png(told, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert len(draw(told).axes) >= 3
    assert "camera" in shown(told, 90)


def test_draw_into_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = account(write_database([frame(0)], str(tmp_path / "a.sqlite")))
    with pytest.raises(SinkError, match="cannot be written: No such file"):
        write_png(told, tmp_path / "no" / "out.png")


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def camfleet(tmp_path: Path) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **variables}
        command = [sys.executable, "-m", "pipeline", "results", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_results_command_prints_json_and_draws(camfleet: Run, tmp_path: Path) -> None:
    write_database(messages(), str(tmp_path / "a.sqlite"))
    ended = camfleet("a.sqlite", "--json", "--plot", "a.png")
    assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    assert (told["frames"], told["cameras"][0]["missing"], told["source"]) == (54, 3, "a.sqlite")
    assert (tmp_path / "a.png").exists()


def test_results_command_address_from_the_environment_shows_no_password(camfleet: Run, server: PostgresServer) -> None:
    url = write_database(messages(), server.new_database())
    ended = camfleet("--dsn-env", "DSN", DSN=url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"postgresql://***@127.0.0.1:{server.port}" in ended.stdout
    assert PASSWORD not in ended.stdout
    wrong = camfleet("--dsn-env", "DSN", DSN=url.replace(PASSWORD, f"x{PASSWORD}"))
    assert wrong.returncode == 2
    assert "password authentication failed" in wrong.stderr
    assert PASSWORD not in wrong.stdout + wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "either FILE|DSN or --dsn-env"),
        (["a.csv", "--dsn-env", "DSN"], "either FILE|DSN or --dsn-env"),
        (["--dsn-env", "NOT_SET"], "the environment variable NOT_SET is not set"),
        (["nothing.csv"], "there is no such file"),
        (["mysql://bob:hunter2@db/x"], "scheme “mysql://” is not supported"),
    ],
)
def test_results_command_mistakes_are_one_line(camfleet: Run, arguments: list[str], told: str) -> None:
    ended = camfleet(*arguments)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "hunter2" not in ended.stderr
