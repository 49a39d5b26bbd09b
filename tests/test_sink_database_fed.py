"""From a publisher through a sink's process into databases; needs what reads a fleet for sinks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.config.sinks.database import DatabaseSettings
from pipeline.sink.protocol import Place
from tests.postgres_server import PASSWORD, PostgresServer, postgres_server
from tests.publishing import Publisher
from tests.sink_frames import frame
from tests.test_results import account
from tests.waiting import wait_until
from tests.wire_messages import STATE

feeding = pytest.importorskip("pipeline.sink.feed", reason="there is nothing that reads a fleet for sinks yet")

FRAMES = 300


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher("tcp://127.0.0.1:0", 10_000)
    yield publisher
    publisher.close()


class Fed:
    """A sink that reads a publisher, in a thread of its own."""

    def __init__(self, publisher: Publisher, url: str, folder: Path) -> None:
        settings = DatabaseSettings.model_validate({"url": url})
        self.name = f"sink{id(self)}"
        place = Place(self.name, "town", folder)
        spec = feeding.SinkSpec(settings, place, publisher.endpoint, folder / self.name)
        self.feed = feeding.Feed(spec, SystemClock())
        self._publisher, self._stop, self._written = publisher, threading.Event(), 0
        self.detail, self.most_lag_s = "", 0.0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.feed.run, args=(self._stop, self._look))
        self._thread.start()

    def _look(self) -> None:
        figures = self.feed.figures
        with self._lock:
            self._written, self.detail = figures.written, self.detail or figures.detail
            self.most_lag_s = max(self.most_lag_s, figures.lag_s)

    def written(self) -> int:
        with self._lock:
            return self._written

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.feed.close()


def publish(publisher: Publisher, frames: range) -> None:
    for number in frames:
        publisher.publish(frame(number, objects=2))


def begin(publisher: Publisher, fed: Fed, within: Callable) -> None:
    """Say something until it is heard."""

    def heard() -> bool:
        publisher.publish(STATE)
        publisher.look()
        return fed.written() > 0

    wait_until(within, heard)
    seen: list[int] = []

    def settled() -> bool:
        """What was said meanwhile has all been written, too."""
        seen.append(fed.written())
        return len(seen) > 50 and len(set(seen[-50:])) == 1

    wait_until(within, settled)


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_database_file_gets_what_is_published(
    engine: str, tmp_path: Path, publisher: Publisher, within: Callable
) -> None:
    path = tmp_path / f"results.{engine}"
    fed = Fed(publisher, path.name, tmp_path)
    try:
        begin(publisher, fed, within)
        before = fed.written()
        publish(publisher, range(FRAMES))
        wait_until(within, lambda: fed.written() >= before + FRAMES)
    finally:
        fed.close()
    (camera,) = account(str(path)).cameras
    assert (camera.frames, camera.boxes, camera.missing) == (FRAMES, 2 * FRAMES, 0)


def test_database_server_that_was_killed_meanwhile_gets_everything_once(
    server: PostgresServer, tmp_path: Path, publisher: Publisher, within: Callable
) -> None:
    url = server.new_database()
    fed = Fed(publisher, url, tmp_path)
    try:
        begin(publisher, fed, within)
        before = fed.written()
        publish(publisher, range(100))
        server.kill()
        publish(publisher, range(100, 200))
        wait_until(within, lambda: fed.detail)
        server.start()
        publish(publisher, range(200, FRAMES))
        wait_until(within, lambda: fed.written() >= before + FRAMES)
    finally:
        fed.close()
    assert PASSWORD not in fed.detail
    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT frame_id), sum(objects) FROM frames").fetchone()
        boxes = connection.execute("SELECT count(*) FROM boxes").fetchone()
    assert counted == (FRAMES, FRAMES, 2 * FRAMES)
    assert boxes == (2 * FRAMES,)


def test_database_that_is_slow_gets_everything_and_the_lag_is_told(
    server: PostgresServer, tmp_path: Path, publisher: Publisher, within: Callable
) -> None:
    url = server.slow_database(write_s=0.2)
    fed = Fed(publisher, url, tmp_path)
    try:
        begin(publisher, fed, within)
        before = fed.written()
        pause = threading.Event()
        for first in range(0, 4 * FRAMES, 30):
            publish(publisher, range(first, first + 30))
            pause.wait(0.1)
        wait_until(within, lambda: fed.written() >= before + 4 * FRAMES)
    finally:
        fed.close()
    assert fed.most_lag_s > 0
    assert fed.feed.figures.lost == fed.feed.figures.missed == 0
    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT frame_id), sum(objects) FROM frames").fetchone()
    assert counted == (4 * FRAMES, 4 * FRAMES, 2 * 4 * FRAMES)
