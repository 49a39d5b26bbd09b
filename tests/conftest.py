"""What tests of several parts share: a small recording, a fleet file, and a deadline."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, settings

from pipeline.logs import LOG_FORMAT, LOG_LEVEL

RECORDING_FRAMES = 75
RECORDING_FPS = 25


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: a shell that runs the tests in the background has them ignore it.

    And let what they start write logs for people, as on a terminal: tests that want JSON say so. And let no drawn
    example fail because the machine is busy.
    """
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")
    os.environ.setdefault(LOG_FORMAT, "text")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def runtime_of_all_tests() -> Iterator[None]:
    """A runtime folder of this process's own, so that neither tests beside it nor the user's fleets are found."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """A command that a test calls in this process may choose what logs say; later tests' fleets must not follow."""
    before = {name: os.environ.get(name) for name in (LOG_FORMAT, LOG_LEVEL)}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of H.264, 320×180 at 25 fps: a bright square that moves."""
    path = tmp_path_factory.mktemp("recording") / "square.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=RECORDING_FPS, options={"preset": "ultrafast", "g": "25", "bf": "0"}
        )
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(RECORDING_FRAMES):
            picture = np.full((180, 320, 3), 40, np.uint8)
            picture[60:120, 2 * number : 2 * number + 60] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def fleet_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a fleet file: cameras by name and URL, the stub detector, a free port; sections may be overridden."""

    def write(cameras: dict[str, str | dict[str, Any]], **sections: dict[str, Any]) -> Path:
        body = {
            "name": "test",
            "model": {"backend": "stub", "options": {"a_ms": 2}},
            "publish": {"bind": "tcp://127.0.0.1:0"},
            "cameras": {
                name: camera if isinstance(camera, dict) else {"url": camera} for name, camera in cameras.items()
            },
            **sections,
        }
        path = tmp_path / "fleet.yaml"
        path.write_text(yaml.safe_dump(body))
        return path

    return write


@pytest.fixture
def within() -> Callable[[float], Iterator[None]]:
    """Yields until the deadline: `for _ in within(10): if done: break`, and fails after it."""

    def attempts(seconds: float) -> Iterator[None]:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            yield
        pytest.fail(f"did not happen within {seconds} s")

    return attempts


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for sockets, whose paths end at 107 bytes; with two tests at a time `tmp_path` alone may be 90 long."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def runtime(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder of the test's own, so that no other fleet is found."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    return short_path
