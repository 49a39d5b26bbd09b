"""Functions that make pictures: the one of the documentation, and some that do it wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.camera.recording import RecordingSource
from pipeline.camera.source import open_source
from pipeline.clock import SystemClock
from pipeline.config.camera import Camera

COUNT = 20


def numbered(camera: Camera) -> Iterator[NDArray[np.uint8]]:
    """Pictures of growing brightness."""
    for number in range(COUNT):
        yield np.full((96, 128, 3), number * 10, np.uint8)


def gray(camera: Camera) -> list[NDArray[np.uint8]]:
    return [np.full((90, 120), 77, np.uint8)] * 3


def timed(camera: Camera) -> Iterator[tuple[NDArray[np.uint8], float]]:
    for number in range(COUNT):
        yield np.zeros((96, 128, 3), np.uint8), 5 + number * 0.5


def raises_after_three(camera: Camera) -> Iterator[NDArray[np.uint8]]:
    yield from [np.zeros((96, 128, 3), np.uint8)] * 3
    raise RuntimeError("the grabber is unplugged")


def raises(camera: Camera) -> None:
    raise RuntimeError("no grabber")


def floats(camera: Camera) -> list[NDArray[np.float64]]:
    return [np.zeros((96, 128, 3))]


def nothing(camera: Camera) -> None:
    return None


def whole_source(camera: Camera) -> RecordingSource:
    """A source of its own: another camera's."""
    recording = camera.model_copy(update={"url": type(camera.url).parse("samples/yard.mp4"), "loop": False})
    source = open_source(recording, SystemClock())
    assert isinstance(source, RecordingSource)
    return source


class HalfASource:
    def pictures(self) -> None: ...


def half_a_source(camera: Camera) -> HalfASource:
    return HalfASource()
