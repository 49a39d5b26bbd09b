"""A real fleet whose cameras share detections by what they see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from tests.test_fleet import DEADLINE_S, assert_books_are_right, running


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """Three seconds in which nothing is to be seen."""
    path = tmp_path / "dark.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.full((180, 320, 3), 40, np.uint8), format="rgb24")
        for number in range(75):
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def test_fleet_by_content_looks_where_something_happens(
    fleet_file: Callable[..., Path], recording: Path, dark: Path, within: Callable
):
    path = fleet_file(
        {"lively": str(recording), **{f"still{number}": str(dark) for number in range(3)}},
        model={"backend": "tests.plugin_restless:make", "path": "-"},
        worker={"max_batch": 1},
        slo={"p95_ms": 1000},
        defaults={"loop": True, "stride": {"min": 1, "max": 25, "policy": "content"}},
    )
    with running(path) as run:
        for _ in within(DEADLINE_S):
            stride = {result.camera_id: result.stride for result in list(run.results)}
            if len(stride) == 4 and 2 * stride.pop("lively") <= min(stride.values()):
                break
            threading.Event().wait(0.05)
    for camera_id in ("lively", "still0"):
        assert_books_are_right(run.of(camera_id))
