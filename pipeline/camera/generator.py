"""Pictures that a function of Python makes: another library's camera, a simulation, an array that was loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.camera.capture import Capture
from pipeline.camera.hardware import CPU
from pipeline.camera.opening import Description
from pipeline.camera.pace import Pacer, max_gap_s
from pipeline.camera.picture import Picture, Pulse, arrival_now
from pipeline.clock import NS_PER_S, Clock
from pipeline.config.camera import Camera
from pipeline.errors import SourceError, SourceLost
from pipeline.plugins import PluginError, function_at
from pipeline.wire import Assembly

_EXPECTED = "expected a picture, (H, W, 3) uint8 in RGB or (H, W) uint8 in gray, or a picture and its time in seconds"


class GeneratorSource:
    """What a function gives, in this process. Not thread-safe.

    The function is called with the camera's settings (`pipeline.config.camera.Camera`), and gives an iterable of
    pictures, (H, W, 3) uint8 in RGB or (H, W) uint8 in gray, or of such pictures each with its time, s. Pictures with
    times are shown at those times; without, they are shown when they come, and no faster than `fps`. An array that was
    given must not be written to again. When the iterable ends, so does the camera, or the function is called again
    where `loop` is set; an error that it raises is a lost connection, and the function is called again after a pause.
    """

    concern = blind = ""
    decoder = CPU
    assembly: Assembly = ""

    def __init__(self, camera: Camera, clock: Clock, made: object) -> None:
        """A source of what the function has made.

        Raises:
            SourceError: That is no iterable.
        """
        self.description = Description("python", (0, 0), camera.fps)
        self._camera, self._clock = camera, clock
        self._given = _iterated(camera, made)
        self._max_gap_s = max_gap_s(camera.fps)

    def pictures(self, pulse: Pulse) -> Iterator[Picture]:
        """Every picture.

        Raises:
            SourceLost: The function has raised an error, or gives nothing any more.
            SourceError: What it gives is no picture.
        """
        pacer = Pacer(self._camera.fps) if self._camera.pace == "realtime" else None
        times = _Times(1 / self._camera.fps, self._clock.monotonic_ns())
        while True:
            before = times.count
            for array, told_s in self._told():
                now_ns = self._clock.monotonic_ns()
                pts_s = times.place(told_s, now_ns)
                due_ns = now_ns if pacer is None else max(now_ns, pacer.due_ns(pts_s, now_ns))
                if not pulse.wait_until(due_ns):
                    return
                yield self._picture(array, pts_s)
            if not self._camera.loop or not pulse.go_on():
                return
            if times.count == before:
                raise SourceLost(f"{self._camera.url} gave no picture")
            times.repeat()
            self._given = _iterated(self._camera, call(self._camera))

    def close(self) -> None:
        """Let the function's `finally` run, where it is a generator."""
        close = getattr(self._given, "close", None)
        if callable(close):
            close()

    def _told(self) -> Iterator[tuple[NDArray[np.uint8], float | None]]:
        """What it gives, and the time with it."""
        while True:
            try:
                given = next(self._given)
            except StopIteration:
                return
            except Exception as error:  # the user's own code may raise anything
                raise SourceLost(f"{self._camera.url} raised {type(error).__name__}: {error}") from error
            array, told_s = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
            if not _is_picture(array) or not (told_s is None or isinstance(told_s, int | float)):
                raise SourceError(f"{self._camera.url} gave {_described(given)}; {_EXPECTED}")
            yield array, told_s

    def _picture(self, array: NDArray[np.uint8], pts_s: float) -> Picture:
        arrival = arrival_now(self._clock)
        frame = av.VideoFrame.from_ndarray(array, format="rgb24" if array.ndim == 3 else "gray")
        capture = Capture(arrival.ns, arrival.at_ns, "arrival")
        return Picture(frame, pts_s, arrival.ns, capture, corrupt=False, max_gap_s=self._max_gap_s)


class _Times:
    """The time of each picture, s: what is told, or else that since the first, and no two within a frame."""

    def __init__(self, frame_s: float, began_ns: int) -> None:
        self.count = 0
        self._frame_s, self._began_ns = frame_s, began_ns
        self._last_s, self._shift_s, self._repeats = -frame_s, 0.0, False

    def place(self, told_s: float | None, now_ns: int) -> float:
        following_s = self._last_s + self._frame_s
        if told_s is None:
            placed_s = max(following_s, (now_ns - self._began_ns) / NS_PER_S)
        else:
            self._shift_s = following_s - told_s if self._repeats else self._shift_s
            placed_s = told_s + self._shift_s
        self._last_s, self._repeats = placed_s, False
        self.count += 1
        return placed_s

    def repeat(self) -> None:
        """What comes next follows the last by a frame."""
        self._repeats = True


def call(camera: Camera) -> Any:
    """What the camera's function makes.

    Raises:
        SourceError: There is no such function.
        SourceLost: It has raised an error.
    """
    try:
        function = function_at(camera.url.function)
    except PluginError as error:
        raise SourceError(f"cannot open {camera.url}: {error}") from error
    try:
        return function(camera)
    except Exception as error:  # the user's own code may raise anything
        raise SourceLost(f"{camera.url} raised {type(error).__name__}: {error}") from error


def _iterated(camera: Camera, made: object) -> Iterator[object]:
    if not isinstance(made, Iterable):
        raise SourceError(f"{camera.url} gave {_described(made)}; expected an iterable of pictures")
    return iter(made)


def _is_picture(given: object) -> TypeGuard[NDArray[np.uint8]]:
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or not given.size:
        return False
    return given.ndim == 2 or (given.ndim == 3 and given.shape[2] == 3)


def _described(given: object) -> str:
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape} and {given.dtype}"
    return f"a {type(given).__name__}"
