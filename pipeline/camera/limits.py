"""What one camera may cost: how large its pictures are, and how much memory its process takes.

A camera is a stranger: a PNG of 1.75 MB unfolds to 3.5 GB, a description may be announced as 2 GB long. FFmpeg checks
the size of every picture against an option of each decoder; what it reads without any bound (descriptions, playlists,
packets) ends at the memory that the kernel gives this process. Either ends the connection with a reason, and the camera
is tried again as any that was lost.

FFmpeg says why only in its log. That is never printed, since it repeats addresses with their passwords; it is kept for
the length of a call and looked through.
"""

from __future__ import annotations

import logging
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import av

from pipeline.config.camera import Camera
from pipeline.errors import SourceError

av.logging.set_libav_level(av.logging.PANIC)
av.logging.set_skip_repeated(False)
# Errors reach `av.logging.Capture`, and no logger of Python's.
logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
av.logging.set_level(av.logging.ERROR)

_TOO_LARGE = re.compile(r"Picture size (\d+)x(\d+) exceeds")
_NO_BUFFER, _WRONG_SIZE = "get_buffer() failed", "invalid"
"""Some decoders (h264) call a picture for which there is no memory invalid data; the first line is said by all, and
for damaged pictures of an impossible size, too, but then beside the second word."""


def decoder_limits(camera: Camera) -> dict[str, str]:
    """Options of FFmpeg's decoders that keep to the camera's limits."""
    return {"max_pixels": str(camera.max_pixels)}


Said = list[tuple[int, str, str]]
"""Lines of FFmpeg's log: level, part, text."""


class watched:  # noqa: N801 - used as a function is.
    """Around one call of FFmpeg: whatever it raises or keeps to itself, a limit that was met is told.

    Gives what FFmpeg says meanwhile. A class, as it is entered for every picture: 0.6 µs, and 1.4 by a function that
    yields.

    Raises:
        SourceError: The camera has met one of its limits; the message names the key that sets it.
    """

    __slots__ = ("_camera", "_capture")

    def __init__(self, camera: Camera) -> None:
        self._camera, self._capture = camera, av.logging.Capture()

    def __enter__(self) -> Said:
        said: Said = self._capture.__enter__()
        return said

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._capture.__exit__(None, None, None)
        said: Said = self._capture.logs
        if isinstance(error, MemoryError):
            raise _too_large(self._camera, said) or out_of_memory(self._camera) from None
        # Some decoders say it and go on.
        told = said if error is None or isinstance(error, (av.FFmpegError, OSError, ValueError)) else None
        if told and (met := _met(self._camera, told)) is not None:
            raise met from error


@contextmanager
def talkative() -> Iterator[None]:
    """Let FFmpeg's log say where it is sent to, also."""
    av.logging.set_level(av.logging.INFO)
    try:
        yield
    finally:
        av.logging.set_level(av.logging.ERROR)


def out_of_memory(camera: Camera) -> SourceError:
    """What to say where memory has run out."""
    return SourceError(
        f"{camera.url} needs more memory than memory_mb allows ({camera.memory_mb} MB); check what it sends, "
        "or raise memory_mb for this camera"
    )


def limit_memory(memory_mb: int) -> None:
    """Let this process take so much more memory than it has now, MB, and never more; for good.

    What it has differs: libraries take some for each core of the machine. Shared memory does not count.
    """
    limit = _taken() + (memory_mb << 20)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _taken() -> int:
    """What counts against RLIMIT_DATA, bytes (proc(5), VmData)."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^VmData:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _met(camera: Camera, said: Said) -> SourceError | None:
    return _too_large(camera, said) or _starved(camera, said)


def _too_large(camera: Camera, said: Said) -> SourceError | None:
    for _, _, line in said:
        if (size := _TOO_LARGE.search(line)) is not None:
            return SourceError(
                f"{camera.url} sends pictures of {size[1]}x{size[2]}, more than max_pixels allows "
                f"({camera.max_pixels}); set a smaller picture in it, or raise max_pixels for this camera"
            )
    return None


def _starved(camera: Camera, said: Said) -> SourceError | None:
    lines = [line for _, _, line in said]
    starved = any(_NO_BUFFER in line for line in lines) and not any(_WRONG_SIZE in line for line in lines)
    return out_of_memory(camera) if starved else None
