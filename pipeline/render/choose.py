"""Which of the kept results belong to the recording: those of one unbroken stream of one camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import RenderError
from pipeline.wire import FrameResult, first_frame_of

_MOST_TOLD = 6


@dataclass(slots=True)
class Stream:
    """One session of a camera.

    Attributes:
        camera_id: The camera.
        session: Begins the `session_id` of all its frames.
        frames: How many there are.
        first_s: The stream's own time of the first.
        last_s: The stream's own time of the last.
    """

    camera_id: str
    session: str
    frames: int
    first_s: float
    last_s: float

    def has(self, result: FrameResult) -> bool:
        """Whether a frame is of it."""
        return self.includes(result.camera_id, result.session_id)

    def includes(self, camera_id: str, session_id: str) -> bool:
        """Whether all frames of that `session_id` of the camera are of it."""
        return (camera_id, session_of(session_id)) == (self.camera_id, self.session)

    def __str__(self) -> str:
        """As people tell them apart."""
        return f"{self.session} ({self.frames} frames, {self.first_s:.1f} to {self.last_s:.1f} s)"


def session_of(session_id: str) -> str:
    """What all frames of a camera's session share, also where another worker went on with it."""
    return session_id.partition(".")[0]


def number_of(result: FrameResult) -> int:
    """The camera's own number of a frame, from 0 at the beginning of its session."""
    return start_of(result.session_id) + result.frame_id


def start_of(session_id: str) -> int:
    """The camera's own number of the first frame of what has this `session_id`."""
    try:
        return first_frame_of(session_id)
    except ValueError:
        return 0


def choose(streams: Sequence[Stream], camera: str | None, session: str | None) -> Stream:
    """The one stream that is meant.

    Args:
        streams: All that are kept of the camera, or of all.
        camera: Its name, where there are several.
        session: Its session, or how that begins, where there are several.

    Raises:
        RenderError: There is none, or more than one; the message names them.
    """
    if not streams:
        raise RenderError("the results have no frame" + (f" of camera {camera}" if camera else ""))
    cameras = sorted({stream.camera_id for stream in streams})
    if len(cameras) > 1:
        raise RenderError(f"the results are of {len(cameras)} cameras; choose one by --camera: {_some(cameras)}")
    meant = [stream for stream in streams if session is None or stream.session.startswith(session_of(session))]
    if len(meant) == 1:
        return meant[0]
    names = _some([str(stream) for stream in meant or streams])
    if not meant:
        raise RenderError(f"camera {cameras[0]} has no session {session}; there is {names}")
    raise RenderError(f"camera {cameras[0]} has {len(meant)} sessions; choose one by --session: {names}")


def in_order(results: Iterable[FrameResult], stream: Stream) -> Iterator[FrameResult]:
    """The stream's frames, each once: what sinks keep may come twice."""
    last = -1
    for result in results:
        if stream.has(result) and number_of(result) > last:
            last = number_of(result)
            yield result


def streams_of(results: Iterable[FrameResult]) -> list[Stream]:
    """The streams that frames are of, in the order in which they begin."""
    found: dict[tuple[str, str], Stream] = {}
    for result in results:
        key = (result.camera_id, session_of(result.session_id))
        stream = found.setdefault(key, Stream(*key, 0, result.pts_s, result.pts_s))
        stream.frames += 1
        stream.first_s, stream.last_s = min(stream.first_s, result.pts_s), max(stream.last_s, result.pts_s)
    return list(found.values())


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more
