"""The file sink killed twenty times while a publisher runs: every frame of every session is in its files."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ctypes import c_int64
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.client.history import RESULTS
from pipeline.config.sinks.choice import sink_of
from pipeline.sink.feed import SinkSpec
from pipeline.sink.process import run_sink
from pipeline.sink.report import read_figures
from pipeline.sink.spoolfile import FILE
from pipeline.wire import FrameResult
from tests.sinks import frame, place
from tests.test_relay import Running, running
from tests.waiting import wait_until

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pipeline.sink.process"])
KILLS = 20
CAMERAS = ("gate", "yard", "dock")
EVERY_S = 0.01
"""Of each camera, so 300 frames/s."""
SESSION = 150
"""Frames, after which a camera begins another one."""
DEADLINE_S = 60.0

Key = tuple[str, str, int]


class Town:
    """Publishes until it is closed, and knows what."""

    def __init__(self, publisher: Running) -> None:
        self.frames: list[FrameResult] = []
        self._publisher, self._stop = publisher, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(EVERY_S):
            for camera_id in CAMERAS:
                one = frame(number % SESSION, camera_id, 1 + number // SESSION, objects=number % 3)
                self._publisher.worker.publish(one)
                self.frames.append(one)
            number += 1


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one, for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def spec_of(folder: Path, file_format: str) -> SinkSpec:
    settings = sink_of("file", {"path": "out", "format": file_format, "rotate_mb": 0.3})
    return SinkSpec(
        settings,
        place(folder),
        f"ipc://{folder / RESULTS}",
        folder / "spool",
        folder=folder,
        report=folder / "report",
    )


@contextmanager
def started(spec: SinkSpec, beat: c_int64 | None = None) -> Iterator[multiprocessing.context.ForkServerProcess]:
    beat = CONTEXT.Value(c_int64, lock=False) if beat is None else beat
    process = CONTEXT.Process(target=run_sink, args=(spec, beat), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def heard(folder: Path) -> dict[bytes, int]:
    """The number up to which each topic is on disk, as the spool says from outside."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'spool' / FILE}?mode=ro", uri=True)) as link:
            return dict(link.execute("SELECT topic, number FROM position"))
    except sqlite3.OperationalError:  # It is being made.
        return {}


def kept(folder: Path, file_format: str) -> list[Key]:
    """Every frame in every file, once for each time it is there."""
    found: list[Key] = []
    for file in sorted((folder / "out").glob(f"*.{file_format}")):
        if file_format == "jsonl":
            rows = [json.loads(line) for line in file.read_text().splitlines()]
            found += [(row["camera_id"], row["session_id"], row["frame_id"]) for row in rows]
        else:
            columns = pq.read_table(file, columns=["camera_id", "session_id", "frame_id", "track_id"]).to_pylist()
            found += [
                (row["camera_id"], row["session_id"], row["frame_id"])
                for row in columns
                if row["track_id"] in (None, 1)
            ]
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_file_sink_that_is_killed_twenty_times_has_every_frame_of_every_session(
    file_format: str, folder: Path, within: Callable
):
    spec, chance = spec_of(folder, file_format), random.Random(7)
    with running(folder) as publisher:
        town = Town(publisher)
        try:
            before: dict[bytes, int] = {}
            for _ in range(KILLS):
                with started(spec) as process:
                    wait_until(within, lambda before=before: heard(folder) != before)
                    before = heard(folder)
                    process.join(chance.uniform(0, 0.3))
                    os.kill(process.pid, signal.SIGKILL)
        finally:
            town.close()
        last = {camera_id: sum(one.camera_id == camera_id for one in town.frames) for camera_id in CAMERAS}
        beat = CONTEXT.Value(c_int64, lock=False)
        with started(spec, beat) as process:
            # The one before may have written everything: this one has to be there before it is told to end.
            wait_until(within, lambda: beat.value)
            wait_until(within, lambda: all(heard(folder)[f"detections/{one}/".encode()] == last[one] for one in last))
            wait_until(within, lambda: (told := read_figures(folder / "report")) and not told.waiting and told.written)
            os.kill(process.pid, signal.SIGTERM)
            process.join(DEADLINE_S)
            assert process.exitcode == 0
    expected = [(one.camera_id, one.session_id, one.frame_id) for one in town.frames]
    found = kept(folder, file_format)
    assert set(found) == set(expected)
    assert len(found) - len(expected) <= KILLS * 1000, "more than a batch for each kill came twice"
    assert not list((folder / "out").glob("*.part"))
