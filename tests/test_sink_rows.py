from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sink.columns import KINDS, column_types
from pipeline.sink.frame_rows import box_rows, frame_row
from pipeline.sink.readable import readable
from pipeline.sink.rows import Book, Rows
from pipeline.sink.sqlite import DIALECT, SqliteConnection
from pipeline.sink.state_rows import Standing, state_row
from pipeline.sink.tables import VERSION, steps
from pipeline.wire import CameraState, FrameResult, Message, decode, encode
from tests.sink_frames import frame
from tests.wire_messages import ALL, EVENT, EVIDENCE, FRAME, STATE

ROOT = Path(__file__).parent.parent


def unknown(fleet: str, camera_id: str) -> None:
    return None


def test_rows_frame_without_objects_is_a_row() -> None:
    rows = Book(unknown).rows([frame(0, objects=0)])
    assert [(row.frame_id, row.objects) for row in rows.frames] == [(0, 0)]
    assert rows.boxes == []


def test_rows_frame_has_the_fields_of_the_message() -> None:
    row = frame_row(FRAME)
    for name in set(row._fields) & set(FRAME.__struct_fields__) - {"lost", "latency_ms"}:
        assert getattr(row, name) == getattr(FRAME, name), name
    assert (row.frame_width, row.frame_height, row.objects) == (1280, 720, 1)
    assert msgspec.json.decode(row.latency_ms) == FRAME.latency_ms


def test_rows_box_has_the_fields_of_box_and_frame() -> None:
    (row,) = box_rows(FRAME)
    assert row[:5] == ("town", "gate", "0000000001f0", 7, 3)
    assert (row.x1, row.y1, row.x2, row.y2) == FRAME.tracks[0].xyxy
    assert (row.class_name, row.box_origin, row.uncertainty_px) == ("person", "detected", 1.25)


def test_rows_frame_that_comes_twice_is_taken_once() -> None:
    rows = Book(unknown).rows([frame(0), frame(1), frame(0)])
    assert [row.frame_id for row in rows.frames] == [0, 1]
    assert len(rows.boxes) == 10


def test_rows_object_that_is_twice_in_a_frame_is_taken_once() -> None:
    twice = msgspec.structs.replace(FRAME, tracks=FRAME.tracks * 2)
    assert frame_row(twice).objects == len(box_rows(twice)) == 1


def test_rows_states_only_on_change() -> None:
    again = msgspec.structs.replace(STATE, at_ns=STATE.at_ns + 1)
    live = msgspec.structs.replace(STATE, at_ns=STATE.at_ns + 2, state="live", detail="")
    book = Book(unknown)
    assert [row.state for row in book.rows([STATE, again, live]).camera_states] == ["degraded", "live"]
    assert [row.state for row in book.rows([live, STATE]).camera_states] == ["degraded"]


def test_rows_state_that_is_written_already_is_no_change() -> None:
    written = Standing(STATE.session_id, STATE.state, STATE.detail)
    assert Book(lambda fleet, camera_id: written).rows([STATE]).camera_states == []


def test_rows_messages_without_a_table_are_left_out() -> None:
    assert [name for name, _ in Book(unknown).rows(ALL).tables()] == list(KINDS)


@pytest.mark.parametrize("events", [0, 1, 3])
@pytest.mark.parametrize("states", [0, 1, 2])
@pytest.mark.parametrize("frame_count", [0, 1, 2, 5])
def test_rows_halved_again_and_again_are_each_message_alone_with_its_objects(
    frame_count: int, states: int, events: int
) -> None:
    told: list[Message] = [msgspec.structs.replace(STATE, at_ns=STATE.at_ns + n, detail=str(n)) for n in range(states)]
    told += [msgspec.structs.replace(EVENT, frame_id=n) for n in range(events)]
    rows = Book(unknown).rows([*(frame(number, objects=number) for number in range(frame_count)), *told])

    def alone(part: Rows) -> list[Rows]:
        return [part] if part.messages < 2 else [one for half in part.halves() for one in alone(half)]

    parts = [part for part in alone(rows) if part.messages]
    assert [len(part.boxes) for part in parts] == [*range(frame_count), *[0] * (states + events)]
    assert all(box.frame_id == part.frames[0].frame_id for part in parts for box in part.boxes)
    assert [row for part in parts for row in part.camera_states] == rows.camera_states
    assert [row for part in parts for row in part.events] == rows.events
    assert [part.messages for part in parts] == [1] * (frame_count + states + events)


def test_rows_event_that_comes_twice_is_one_row() -> None:
    again = msgspec.structs.replace(EVENT, phase="begin")
    (first, second) = Book(unknown).rows([EVENT, again, EVENT]).events
    assert (first.phase, second.phase, first.revised, first.objects) == ("end", "begin", 1, 2)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("person", "person", id="plain"),
        pytest.param("per\0son", "per\ufffdson", id="zero"),
        pytest.param("\ud83d", "\ufffd", id="half-a-pair"),
        pytest.param("\U0001f6b2\t\\N\n", "\U0001f6b2\t\\N\n", id="as-it-is"),
    ],
)
def test_readable_keeps_what_databases_keep(text: str, kept: str) -> None:
    assert readable(text) == kept


@pytest.mark.parametrize("table", KINDS)
def test_schema_has_the_columns_of_the_rows_in_order(table: str, tmp_path: Path) -> None:
    connection = SqliteConnection(tmp_path / "a.sqlite")
    found = {name: kind for _, name, kind, *_ in connection.execute(f"PRAGMA table_xinfo({table})")}
    connection.close()
    types = {str: {"TEXT", "JSON"}, int: {"BIGINT"}, float: {"DOUBLE PRECISION"}}
    wanted = column_types(KINDS[table])
    assert [name for name in found if name in wanted] == list(wanted)
    assert all(found[name] in types[kind] for name, kind in wanted.items())
    assert {name for name in found if name not in wanted} <= {"captured_at", "told_at", "happened_at"}


def test_schema_every_column_is_explained_or_speaks_for_itself() -> None:
    scripts = sorted((ROOT / "pipeline" / "sink" / "schema").glob("*.sql"))
    assert [int(script.stem) for script in scripts] == list(range(1, VERSION + 1))
    assert sum(script.read_text().count("CREATE TABLE") for script in scripts) == len(KINDS)
    statements = steps(0, DIALECT, 0)
    assert all("_OF(" not in statement and "ON_TIME" not in statement for statement in statements)
    with sqlite3.connect(":memory:") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


names = st.text(max_size=12)
counts = st.integers(0, (1 << 63) - 1)
numbers = st.floats(-1e15, 1e15)
frames = st.builds(
    msgspec.structs.replace,
    st.just(FRAME),
    session_id=names,
    frame_id=counts,
    captured_at_ns=counts,
    age_ms=numbers,
    filled_because=st.none() | names,
    lost=st.dictionaries(names, counts, max_size=2),
    latency_ms=st.dictionaries(names, numbers, max_size=2),
    tracks=st.lists(
        st.builds(
            msgspec.structs.replace,
            st.just(FRAME.tracks[0]),
            track_id=counts,
            class_id=counts,
            class_name=names,
            score=numbers,
            xyxy=st.tuples(numbers, numbers, numbers, numbers),
        ),
        max_size=3,
    ).map(tuple),
)
states = st.builds(msgspec.structs.replace, st.just(STATE), detail=names, codec=names, at_ns=counts)


@given(frames)
def test_rows_any_frame_of_the_wire_becomes_rows_that_databases_keep(result: FrameResult) -> None:
    received = decode(result.topic, encode(result))
    assert isinstance(received, FrameResult)
    row, boxes = frame_row(received), box_rows(received)
    assert row.objects == len(boxes)
    assert all("\0" not in value for one in (row, *boxes) for value in one if isinstance(value, str))
    msgspec.json.decode(row.lost)


@settings(max_examples=50)
@given(states)
def test_rows_any_state_of_the_wire_becomes_a_row(state: CameraState) -> None:
    assert "\0" not in "".join(value for value in state_row(state) if isinstance(value, str))


def test_rows_of_evidence_come_once_and_split_apart_from_others():
    rows = Book(unknown).rows([EVENT, EVIDENCE, EVIDENCE])
    (kept,) = rows.evidence
    assert (kept.event_id, kept.clip, kept.snapshot_width) == (EVIDENCE.event_id, EVIDENCE.clip, 1920)
    one, other = rows.halves()
    assert ([*one.events, *one.evidence], [*other.events, *other.evidence]) == (rows.events, rows.evidence)
    two = Rows(evidence=[kept, kept._replace(event_id="other")])
    assert [half.messages for half in two.halves()] == [1, 1]
