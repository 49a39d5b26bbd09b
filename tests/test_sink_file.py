"""What the file sink writes, and what is there after its writer was killed anywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.sinks.choice import sink_of
from pipeline.errors import SinkError
from pipeline.evaluate.mot import read_rows, read_seqinfo
from pipeline.sink.book import PART
from pipeline.sink.flat import COLUMNS
from pipeline.sink.motbook import MotLines
from pipeline.sink.opening import open_sink
from pipeline.sink.parquetbook import read_journal
from pipeline.sink.protocol import Sink
from pipeline.sink.textbook import CommaLines, JsonLines
from pipeline.wire import FrameResult, Message
from tests.sinks import frame, place
from tests.wire_messages import FLEET, STATE

FORMATS = ("jsonl", "csv", "parquet", "mot")
KEY = ("town", "gate", f"{1:012x}")


def opened(folder: Path, file_format: str, **settings) -> Sink:
    return open_sink(sink_of("file", {"path": "out", "format": file_format, **settings}), place(folder))


def frames_in(folder: Path, file_format: str) -> list[int]:
    """The numbers of the frames in all files that are whole, in their order."""
    found: list[int] = []
    for file in sorted((folder / "out").glob("*.txt" if file_format == "mot" else f"*.{file_format}")):
        if file_format == "jsonl":
            found += [json.loads(line)["frame_id"] for line in file.read_text().splitlines()]
        elif file_format == "csv":
            found += [int(row["frame_id"]) for row in rows_of(file)]
        elif file_format == "parquet":
            found += pq.read_table(file).column("frame_id").to_pylist()
        else:
            found += [int(line.split(",")[0]) - 1 for line in file.read_text().splitlines()]
    return found


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def parts_in(folder: Path) -> list[Path]:
    return list((folder / "out").glob(f"*{PART}"))


@pytest.mark.parametrize("file_format", FORMATS)
def test_file_has_every_frame_and_its_name_once_it_is_whole(file_format: str, tmp_path: Path):
    sink = opened(tmp_path, file_format)
    sink.write([frame(0), STATE, FLEET])
    sink.write([frame(1), frame(2)])
    assert frames_in(tmp_path, file_format) == []
    assert len(parts_in(tmp_path)) == 1
    sink.close()
    assert frames_in(tmp_path, file_format) == [0, 1, 2]
    assert parts_in(tmp_path) == []


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_file_has_frames_without_objects_too(file_format: str, tmp_path: Path):
    sink = opened(tmp_path, file_format)
    sink.write([frame(0, objects=0), frame(1, objects=2), frame(2, objects=0)])
    sink.close()
    frames = [0, 1, 2] if file_format == "jsonl" else [0, 1, 1, 2]
    assert frames_in(tmp_path, file_format) == frames


def test_parquet_and_csv_say_the_same_of_a_frame(tmp_path: Path):
    for file_format in ("parquet", "csv"):
        sink = opened(tmp_path / file_format, file_format)
        sink.write([frame(3, objects=1), frame(4, objects=0)])
        sink.close()
    (table,) = (tmp_path / "parquet" / "out").glob("*")
    (text,) = (tmp_path / "csv" / "out").glob("*")
    rows = pq.read_table(table).to_pylist()
    assert list(rows[0]) == list(COLUMNS)
    assert (rows[0]["frame_id"], rows[0]["track_id"], rows[0]["x2"], rows[0]["objects"]) == (3, 1, 110.0, 1)
    assert (rows[1]["frame_id"], rows[1]["track_id"], rows[1]["objects"]) == (4, None, 0)
    shown = [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
    assert rows_of(text) == shown


def test_lines_of_json_are_the_keys_of_the_wire_with_the_kind(tmp_path: Path):
    sink = opened(tmp_path, "jsonl", states=True)
    sink.write([frame(0), STATE, FLEET])
    sink.close()
    (file,) = (tmp_path / "out").glob("*")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["detections", "cameras", "fleet"]
    assert lines[1] == {"kind": "cameras", **json.loads(msgspec.json.encode(STATE))}


def test_mot_file_is_read_by_what_reads_ground_truth(tmp_path: Path):
    sink = opened(tmp_path, "mot")
    sink.write([frame(0, objects=2), frame(1, objects=0), frame(0, "yard")])
    sink.write([frame(0, session=2)])
    assert len(list((tmp_path / "out").glob("*.txt"))) == 1, "the session before is closed"
    sink.close()
    gate, *_ = sorted((tmp_path / "out").glob("*gate*0001-*.txt"))
    rows = read_rows(gate, least_columns=7)
    assert rows[:, :6].tolist() == [[1, 1, 10, 20, 100, 200.5], [1, 2, 10, 20, 100, 200.5]]
    told = read_seqinfo(gate.with_suffix(".ini"))
    assert (told.length, told.picture_wh) == (2, (1280, 720))
    assert len(list((tmp_path / "out").glob("*.txt"))) == 3


@pytest.mark.parametrize("file_format", FORMATS)
def test_file_that_is_large_enough_is_closed_and_another_begun(file_format: str, tmp_path: Path):
    sink = opened(tmp_path, file_format, rotate_mb=0.001)
    for first in range(0, 400, 50):
        sink.write([frame(number) for number in range(first, first + 50)])
    sink.close()
    files = list((tmp_path / "out").glob("*.txt" if file_format == "mot" else f"*.{file_format}"))
    assert len(files) == 8
    assert sorted(frames_in(tmp_path, file_format)) == list(range(400))


def test_file_that_is_old_enough_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now_s = 1000.0
    monkeypatch.setattr("pipeline.sink.file.time.monotonic", lambda: now_s)
    sink = opened(tmp_path, "jsonl", rotate_s=10)
    sink.write([frame(0)])
    now_s += 9.9
    sink.tick()
    assert frames_in(tmp_path, "jsonl") == []
    now_s += 0.2
    sink.tick()
    assert frames_in(tmp_path, "jsonl") == [0]
    sink.close()


@pytest.mark.parametrize("file_format", FORMATS)
def test_file_of_a_killed_writer_is_gone_on_with_and_has_no_frame_twice(file_format: str, tmp_path: Path):
    killed = opened(tmp_path, file_format)
    killed.write([frame(0), frame(1)])
    release(killed)
    sink = opened(tmp_path, file_format)
    sink.write([frame(1), frame(2)])
    sink.close()
    assert frames_in(tmp_path, file_format) == [0, 1, 2]


def release(sink: Sink) -> None:
    """As the end of its process does: the locks are gone, nothing else happens."""
    import os

    for one in sink._open.values():  # type: ignore[attr-defined]
        book = one.book
        book = getattr(book, "_text", book)
        os.close((getattr(book, "_part", None) or book._journal)._file)


@pytest.mark.parametrize("file_format", FORMATS)
def test_file_that_was_cut_anywhere_has_whole_frames_alone_and_goes_on(file_format: str, tmp_path: Path):
    killed = opened(tmp_path, file_format)
    killed.write([frame(number, objects=3) for number in range(4)])
    release(killed)
    (part,) = parts_in(tmp_path)
    whole = part.read_bytes()
    for size in range(0, len(whole), 7):
        part.write_bytes(whole[:size])
        if file_format == "mot":  # It is written after the lines.
            part.with_name(part.name.removesuffix(f".txt{PART}") + ".ini").write_text("[Sequence]\nbytes=0\n")
        sink = opened(tmp_path, file_format)
        sink.write([frame(number, objects=3) for number in range(4)])
        sink.close()
        each = 1 if file_format == "jsonl" else 3
        assert frames_in(tmp_path, file_format) == [number for number in range(4) for _ in range(each)], size
        for file in (tmp_path / "out").iterdir():
            file.unlink()


@pytest.mark.parametrize("file_format", FORMATS)
def test_file_that_another_process_writes_is_left_to_it(file_format: str, tmp_path: Path):
    one = opened(tmp_path, file_format)
    one.write([frame(0)])
    other = opened(tmp_path, file_format)
    other.write([frame(1)])
    assert len(parts_in(tmp_path)) == 2
    other.close()
    one.close()
    assert sorted(frames_in(tmp_path, file_format)) == [0, 1]


def test_parquet_journal_of_a_file_that_is_whole_already_goes(tmp_path: Path):
    sink = opened(tmp_path, "parquet")
    sink.write([frame(0)])
    (part,) = parts_in(tmp_path)
    journal = part.read_bytes()
    sink.close()
    part.write_bytes(journal)
    opened(tmp_path, "parquet").close()
    assert parts_in(tmp_path) == []
    assert frames_in(tmp_path, "parquet") == [0]


@pytest.mark.parametrize("file_format", FORMATS)
def test_file_on_a_full_disk_says_so_and_keeps_what_it_has(
    file_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import errno
    import os

    sink = opened(tmp_path, file_format)
    sink.write([frame(0)])
    real = os.pwrite

    def full(file: int, content: bytes, at: int) -> int:
        if len(content) <= 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, content[:20], at)

    monkeypatch.setattr("pipeline.sink.book.os.pwrite", full)
    with pytest.raises(SinkError, match=r"keep-.* cannot be written: No space left on device"):
        sink.write([frame(1)])
    monkeypatch.undo()
    sink.write([frame(1)])
    sink.close()
    assert frames_in(tmp_path, file_format) == [0, 1]


def test_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SinkError, match=f"{tmp_path}/out cannot be written: File exists"):
        opened(tmp_path, "jsonl")


@pytest.mark.parametrize("file_format", FORMATS)
def test_sink_without_results_leaves_no_file(file_format: str, tmp_path: Path):
    sink = opened(tmp_path, file_format)
    sink.write([])
    sink.tick()
    sink.close()
    assert list((tmp_path / "out").iterdir()) == []


@settings(max_examples=300)
@given(content=st.binary(max_size=400))
def test_any_bytes_of_a_journal_are_frames_or_none(content: bytes):
    frames, right = read_journal(content)
    assert 0 <= right <= len(content)
    assert all(isinstance(one, FrameResult) for one in frames)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


@pytest.mark.parametrize("form", [JsonLines(states=True), CommaLines(), MotLines(KEY)], ids=["jsonl", "csv", "mot"])
@settings(max_examples=200)
@given(content=st.binary(max_size=400) | _TEXT.map(str.encode))
def test_any_bytes_of_a_text_file_are_read_or_left_out(form, content: bytes):
    whole = form.whole(content)
    assert 0 <= whole <= len(content)
    for line in content.splitlines():
        form.frame_of(line)


@settings(max_examples=100)
@given(names=st.lists(_TEXT, min_size=1, max_size=4), session=_TEXT, number=st.integers(0, (1 << 63) - 1))
def test_any_frame_is_found_again_in_each_form(names: Sequence[str], session: str, number: int):
    tracks = tuple(msgspec.structs.replace(frame(0).tracks[0], class_name=name) for name in names)
    message: Message = msgspec.structs.replace(frame(0), frame_id=number, session_id=session, tracks=tracks)
    json_line, rows = JsonLines(states=False).lines(message), CommaLines().lines(message)
    assert JsonLines(states=False).frame_of(json_line) == (("town", "gate", session), number)
    lines = rows.decode().split("\n")[:-1]
    assert len(lines) == len(names)
    for line in lines:
        on_one_line = session.replace("\r", " ").replace("\n", " ")
        assert CommaLines().frame_of(line.encode()) == (("town", "gate", on_one_line), number)
    assert CommaLines().whole(CommaLines.header + rows) == len(CommaLines.header + rows)
    assert CommaLines().whole(CommaLines.header + rows[:-1]) == len(CommaLines.header)
    assert MotLines(KEY).frame_of(MotLines(KEY).lines(frame(7))) == (KEY, 7)
