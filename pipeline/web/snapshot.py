"""One picture of a camera in full size, with the boxes of that very frame if they are wanted."""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from pipeline.client.reading import Reading, Wanted
from pipeline.errors import PageError, WireError
from pipeline.viewing import FULL, Still, unpack, way_to
from pipeline.wire import FrameResult, first_frame_of, topic

PICTURE_S = 3.0
"""How long to wait for a picture: cameras of one frame a second are not yet lost."""
RESULT_S = 2.0
"""How long its boxes may take after it: interpolation holds a frame, and so may a detector under load."""
HEARD_S = 0.05
"""Subscriptions take so long at most to arrive, through a socket of the same machine."""
QUALITY = 92
Frame = tuple[int, int]


def snapshot(directory: Path, inside: str, camera_id: str, *, boxes: bool = False) -> bytes:
    """The next picture of a camera as JPEG, upright, in its own size. Blocks up to five seconds.

    Args:
        directory: The run's.
        inside: Where the fleet's own members subscribe.
        camera_id: Which camera.
        boxes: Whether the boxes of that frame are drawn into it.

    Raises:
        PageError: No picture comes, or what is known of its frame does not.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    with context.socket(zmq.SUB) as pictures, context.socket(zmq.SUB) as results:
        for socket in (pictures, results):
            socket.set(zmq.LINGER, 0)
        where, prefix = way_to(directory, camera_id)
        pictures.connect(where)
        if not boxes:
            pictures.setsockopt(zmq.SUBSCRIBE, prefix + FULL)
            return _picture(pictures, camera_id)[1]
        results.connect(inside)
        results.setsockopt(zmq.SUBSCRIBE, topic(FrameResult.kind, camera_id))
        # Whoever has just come gets the newest frame at once: then the results are heard, and the picture may come.
        known = _Results(results)
        known.wait(HEARD_S)
        pictures.setsockopt(zmq.SUBSCRIBE, prefix + FULL)
        still, jpeg = _picture(pictures, camera_id)
        return _marked(jpeg, known.of((still.session, still.frame_id), camera_id))


def _picture(pictures: zmq.Socket[bytes], camera_id: str) -> tuple[Still, bytes]:
    if not pictures.poll(round(1000 * PICTURE_S)):
        raise PageError(
            f"camera {camera_id} has shown no picture for {PICTURE_S:.0f} s; camfleet status says how it is"
        )
    _, word, jpeg = pictures.recv_multipart()
    try:
        still = unpack(word)
    except WireError as error:
        raise PageError(f"camera {camera_id}: {error}") from error
    if not isinstance(still, Still):
        raise PageError(f"camera {camera_id} answers with something else than a picture")
    return still, jpeg


class _Results:
    """A camera's results as they come."""

    def __init__(self, results: zmq.Socket[bytes]) -> None:
        self._socket = results
        self._reading = Reading(Wanted())
        self._found: dict[Frame, FrameResult] = {}

    def wait(self, for_s: float) -> None:
        """Until something has come, or so long."""
        if self._socket.poll(round(1000 * for_s)):
            self._read()

    def of(self, frame: Frame, camera_id: str) -> FrameResult:
        """That of this frame."""
        end_s = time.monotonic() + RESULT_S
        while frame not in self._found:
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not self._socket.poll(round(1000 * left_s)):
                raise PageError(
                    f"the boxes of the picture of camera {camera_id} did not come within {RESULT_S:.0f} s; try again, "
                    "or without boxes"
                )
            self._read()
        return self._found[frame]

    def _read(self) -> None:
        message = self._reading.take(self._socket.recv_multipart())
        if isinstance(message, FrameResult):
            self._found[message.session, first_frame_of(message.session_id) + message.frame_id] = message


def _marked(jpeg: bytes, result: FrameResult) -> bytes:
    import cv2
    import numpy as np

    from pipeline.overlay import draw

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise PageError(f"the picture of camera {result.camera_id} is no JPEG")
    canvas = np.ascontiguousarray(picture, np.uint8)
    draw(canvas, result)
    ok, marked = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise PageError(f"the picture of camera {result.camera_id} cannot be encoded")
    return marked.tobytes()
