"""The readers in other languages print what was published; each is skipped, saying why, where its tools are missing."""

from __future__ import annotations

import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import msgspec
import pytest

from tests.publishing import Publisher
from tests.wire_messages import FLEET, FRAME, STATE

CLIENTS = Path(__file__).parents[1] / "samples/clients"
NPM_S = 100
OF_THE_FLEET = "town has 1 cameras; latency not kept"


def python_reader(folder: Path) -> list[str]:
    pytest.importorskip("msgpack", reason="msgpack is not installed (pip install msgpack)")
    return [sys.executable, str(CLIENTS / "python/reader.py")]


def node_reader(folder: Path) -> list[str]:
    """The command; its packages are installed into a folder of the test's, if the registry answers."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed (apt-get install nodejs npm)")
    for name in ("package.json", "reader.mjs"):
        shutil.copy(CLIENTS / "node" / name, folder)
    try:
        subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=10000"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=NPM_S,
        )
    except subprocess.SubprocessError:
        pytest.skip("npm cannot install zeromq and @msgpack/msgpack: no registry answers")
    return [node, "reader.mjs"]


@pytest.fixture(scope="module", params=[python_reader, node_reader], ids=["python", "node"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """A reader's command, and where it is to be started."""
    folder = tmp_path_factory.mktemp("reader")
    return request.param(folder), folder


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher("tcp://127.0.0.1:0", queue=1000)
    yield publisher
    publisher.close()


@contextmanager
def reading(reader: tuple[list[str], Path], *arguments: str) -> Iterator[IO[str]]:
    command, folder = reader
    with subprocess.Popen(
        [*command, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield cast(IO[str], process.stdout)
        finally:
            process.kill()


def await_reader(publisher: Publisher, output: IO[str]) -> None:
    """Until it hears the fleet, to which it subscribes last; then it hears all."""
    number = 0
    while not select.select([output], [], [], 0.05)[0]:
        number += 1
        publisher.publish(msgspec.structs.replace(FLEET, publisher="one", number=number))


def said(output: IO[str], count: int) -> list[str]:
    """Its next lines, without those of the fleet."""
    found: list[str] = []
    while len(found) < count:
        line = output.readline()
        assert line, f"it ended after {found}"
        if line.rstrip() != OF_THE_FLEET:
            found.append(line.rstrip())
    return found


SCRIPT = [
    msgspec.structs.replace(FRAME, publisher="one", number=11),
    msgspec.structs.replace(STATE, publisher="one", number=3),
    msgspec.structs.replace(STATE, publisher="one", number=4),
    msgspec.structs.replace(FRAME, publisher="one", number=11),
    msgspec.structs.replace(FRAME, publisher="one", number=14, frame_id=10, origin="skipped", tracks=()),
    msgspec.structs.replace(STATE, publisher="one", number=5, state="live", detail=""),
    msgspec.structs.replace(FRAME, publisher="two", number=3, frame_id=0),
    msgspec.structs.replace(FRAME, publisher="two", number=4, frame_id=1),
]
PRINTED = [
    "gate 7 detected person#3(10,20,110,220)",
    "gate is degraded: decoding falls behind",
    "detections/gate/ missed 2",
    "gate 10 skipped",
    "gate is live",
    "detections/gate/ missed 2",
    "gate 0 detected person#3(10,20,110,220)",
    "gate 1 detected person#3(10,20,110,220)",
]


def test_reader_prints_frames_states_and_what_was_missed(reader: tuple[list[str], Path], publisher: Publisher):
    with reading(reader, publisher.endpoint) as output:
        await_reader(publisher, output)
        for message in SCRIPT:
            publisher.publish(message)
        assert said(output, len(PRINTED)) == PRINTED


def test_reader_of_one_camera_hears_no_other(reader: tuple[list[str], Path], publisher: Publisher):
    with reading(reader, publisher.endpoint, "gate") as output:
        await_reader(publisher, output)
        for camera_id in ("yard", "gate2", "gate"):
            publisher.publish(msgspec.structs.replace(STATE, camera_id=camera_id))
            publisher.publish(msgspec.structs.replace(FRAME, camera_id=camera_id))
            publisher.publish(msgspec.structs.replace(FRAME, camera_id=camera_id))
        assert said(output, 3) == [PRINTED[1], PRINTED[0], PRINTED[0]]
