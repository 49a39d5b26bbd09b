"""A writer that is killed while it writes: every frame is in the file, once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config.sinks.database import DatabaseUrl
from pipeline.errors import SinkError
from pipeline.sink.database import DatabaseSink, connect
from tests.postgres_server import postgres_server
from tests.sink_frames import frame

ROOT = Path(__file__).parent.parent
KILLS = 20
BATCH = 100
WRITER = f"""
import sys
from pathlib import Path
from pipeline.config.sinks.database import DatabaseUrl
from pipeline.sink.database import DatabaseSink, connect
from tests.sink_frames import frame

sink = DatabaseSink(lambda: connect(DatabaseUrl(sys.argv[1]), Path()))
number = int(sys.argv[2])
while True:
    sink.write([frame(number * {BATCH} + index, objects=3) for index in range({BATCH})])
    print(number, flush=True)
    number += 1
"""


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without anything in it."""
    if request.param != "postgresql":
        yield str(tmp_path / f"results.{request.param}")
        return
    with postgres_server() as server:
        yield server.new_database()


def opened(url: str | Path) -> DatabaseSink:
    return DatabaseSink(lambda: connect(DatabaseUrl(str(url)), Path()))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("url", ["sqlite", "duckdb", "postgresql"], indirect=True)
def test_database_whose_writer_is_killed_twenty_times_has_every_frame_once(url: str) -> None:
    safe = -1
    for kill in range(KILLS):
        command = [sys.executable, "-c", WRITER, url, str(safe + 1)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(1 + kill % 3):
                safe = int(writer.stdout.readline())
            # It goes on with the next; what it says meanwhile is not heard, so that batch comes again.
            writer.kill()
    sink = opened(url)
    sink.write([frame(number, objects=3) for number in range((safe + 1) * BATCH, (safe + 3) * BATCH)])
    frames, highest, boxes = sink._connection.execute(
        "SELECT count(*), max(frame_id), (SELECT count(*) FROM boxes) FROM frames"
    )[0]
    sink.close()
    assert frames == highest + 1 >= (safe + 3) * BATCH
    assert boxes == 3 * frames


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param("a.sqlite", b"no database" * 100, "that is no SQLite file", id="no-sqlite"),
        pytest.param("a.duckdb", b"no database" * 1000, "that is no DuckDB file", id="no-duckdb"),
        pytest.param("no/such/a.sqlite", None, "there is no folder", id="sqlite-nowhere"),
        pytest.param("no/such/a.duckdb", None, "there is no folder", id="duckdb-nowhere"),
    ],
)
def test_database_file_that_cannot_be_opened_is_told(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SinkError, match=told) as caught:
        opened(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)
    if content is not None:
        assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_database_file_on_a_full_disk_is_told_and_written_later(engine: str, tmp_path: Path) -> None:
    path = tmp_path / f"results.{engine}"
    script = """
import resource, signal, sys
from tests.test_sink_killed import opened
from tests.sink_frames import frame
from pathlib import Path
from pipeline.errors import SinkError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = opened(Path(sys.argv[1]))
sink.write([frame(0)])
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + 100_000, resource.RLIM_INFINITY))
written, number = 1, 1
try:
    while number < 300:
        sink.write([frame(100 * number + index) for index in range(100)])
        written, number = written + 100, number + 1
except SinkError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.write([frame(100 * number + index) for index in range(100)])
sink.close()
print(written + 100)
"""
    command = [sys.executable, "-c", script, str(path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    told, written = ended.stdout.splitlines()
    assert told.startswith(f"{path}: ")
    sink = opened(path)
    assert sink._connection.execute("SELECT count(*) FROM frames")[0][0] == int(written)
    sink.close()
