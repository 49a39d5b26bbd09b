"""Pictures of every size, from a pixel to 8K, odd and extreme ones: boxes in the right place, or a clear refusal."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from pipeline import Fleet, FrameResult, SubscriberTimeout
from pipeline.camera.source import open_source
from pipeline.clock import SystemClock
from pipeline.errors import SourceError
from pipeline.geometry import Letterbox, WidthHeight
from tests.camera_media import camera
from tests.plugin_bright import Bright
from tests.test_camera_habits import Pulse
from tests.waiting import DEADLINE_S

SIZES: tuple[WidthHeight, ...] = (
    *((1, 1), (2, 2), (3, 5), (16, 16), (17, 33), (161, 121), (320, 240), (641, 359), (853, 481), (1280, 720)),
    *((1920, 1080), (4096, 16), (16, 4096), (7680, 4320)),
)
TOLERANCE_PX = 2.0
"""Of the picture, or a pixel and a half of the model's input, whichever is more."""
THIN_PX = 8
"""Of the model's input."""


def thing(wh: WidthHeight) -> tuple[int, int, int, int]:
    """Where the bright thing is, left, top, right, bottom; as thick as the picture where that is a line to a model."""
    scale = Letterbox.fit(wh, Bright.input_wh).scale_xy
    spans = [
        (0, side) if side * by < THIN_PX else (side // 4, max(side // 4 + 1, side * 5 // 8))
        for side, by in zip(wh, scale, strict=True)
    ]
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def write(path: Path, wh: WidthHeight, frames: int = 3) -> Path:
    """A recording of a dark picture with a bright thing; odd sizes as JPEGs, which know them."""
    left, top, right, bottom = thing(wh)
    picture = np.full((wh[1], wh[0], 3), 40, np.uint8)
    picture[top:bottom, left:right] = 235
    is_even = wh[0] % 2 == wh[1] % 2 == 0
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264" if is_even else "mjpeg", rate=5)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *wh, "yuv420p" if is_even else "yuvj444p"
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "10"} if is_even else {"q": "2"}
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def first_boxes(fleet: Fleet, names: set[str]) -> dict[str, FrameResult]:
    """The first detected frame of each camera that has a box."""
    found: dict[str, FrameResult] = {}
    end_s = time.monotonic() + DEADLINE_S
    with fleet.results(timeout_s=1.0) as results:
        while names - set(found) and time.monotonic() < end_s:
            try:
                result = results.receive()
            except SubscriberTimeout:
                continue
            if result.origin == "detected" and result.tracks:
                found.setdefault(result.camera_id, result)
    return found


def test_boxes_are_in_the_right_place_at_every_size(tmp_path: Path) -> None:
    names = {f"cam-{width}x{height}": (width, height) for width, height in SIZES}
    cameras: dict[str, Any] = {
        name: {"url": str(write(tmp_path / f"{name}.mkv", wh)), "loop": True, "stride": 1} for name, wh in names.items()
    }
    fleet_file = tmp_path / "fleet.yaml"
    model = {"backend": "tests.plugin_bright:make", "path": "bright"}
    slo = {"p95_ms": 5000}
    body = {"model": model, "slo": slo, "publish": {"bind": "tcp://127.0.0.1:0"}, "cameras": cameras}
    fleet_file.write_text(yaml.safe_dump(body))
    with Fleet(fleet_file, control=False) as fleet:
        found = first_boxes(fleet, set(names))
    assert set(found) == set(names)
    for name, wh in names.items():
        (box,) = found[name].tracks
        assert found[name].frame_wh == wh
        tolerance_px = max(TOLERANCE_PX, 1.5 / min(Letterbox.fit(wh, Bright.input_wh).scale_xy))
        assert box.xyxy == pytest.approx(thing(wh), abs=tolerance_px), name


def test_a_picture_beyond_max_pixels_is_refused_by_its_size(tmp_path: Path) -> None:
    wh = (9000, 4400)
    recording = write(tmp_path / "large.mkv", wh, frames=1)
    with pytest.raises(SourceError, match=r"9000x4400, more than max_pixels allows \(35651584\)"):
        source = open_source(camera(recording), SystemClock())
        for _ in source.pictures(Pulse()):
            pass
