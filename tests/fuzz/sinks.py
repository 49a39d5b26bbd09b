"""Targets that read what people say of sinks, and what sinks have left on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pipeline.client.inlet import Position
from pipeline.config.sinks.options import sink_by_options
from pipeline.errors import PipelineError, WireError
from pipeline.sink.motbook import MotLines
from pipeline.sink.parquetbook import read_journal
from pipeline.sink.spool import Spool
from pipeline.sink.spoolfile import FILE
from pipeline.sink.textbook import CommaLines, JsonLines
from pipeline.wire import FrameResult
from tests.fuzz.files import ENVIRON, SECRET

_FORMS = (JsonLines(states=True), CommaLines(), MotLines(("town", "gate", "0000000001f0")))


def spool(data: bytes) -> None:
    """A file that is none is put aside; whatever is left, messages are kept."""
    folder = Path("spool")
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    (folder / FILE).write_bytes(data)
    opened = Spool(folder, 1 << 20)
    try:
        opened.positions()
        opened.take(100)
        opened.append([(b"t", b"new")], {b"t": Position("p", 1)}, 0)
        assert opened.take(100)[-1].body == b"new"
        opened.state(0)
    finally:
        opened.close()


def journal(data: bytes) -> None:
    """The frames up to the first that is none."""
    frames, right = read_journal(data)
    assert all(isinstance(one, FrameResult) for one in frames)
    assert read_journal(data[:right]) == (frames, right)


def lines(data: bytes) -> None:
    """Whole lines, and which frames they are of."""
    for form in _FORMS:
        assert form.whole(data[: form.whole(data)]) <= form.whole(data) <= len(data)
        for line in data.splitlines():
            form.frame_of(line)


def settings(data: bytes) -> None:
    """A kind and its settings, as JSON; no message repeats what a variable stands for."""
    try:
        given = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None
    try:
        sink_by_options(str(given.pop("kind", None)), given, ENVIRON)
    except PipelineError as error:
        assert SECRET not in str(error), "the message tells the value of a variable"
        raise
