"""Pictures for those who look at the camera: as they came, which costs nothing to make, or as JPEG.

Nothing is made, copied or kept while nobody looks: to know that, a socket is asked ten times a second. Of a camera of
which something is to be covered, stills are shown when they are covered, and coded pictures to nobody but what keeps
evidence of its events and covers it: at a socket of their own, where no page looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import zmq
from numpy.typing import NDArray

from pipeline.camera.picture import Picture
from pipeline.camera.published import Published
from pipeline.camera.resize import Resizer
from pipeline.camera.socket import view_socket
from pipeline.camera.units import Units
from pipeline.camera.waiting import Uncovered, Waiting
from pipeline.clock import NS_PER_S
from pipeline.config.camera import Camera
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.link import Tick, has_message
from pipeline.privacy import Cover
from pipeline.runscope import RunScope
from pipeline.viewing import FULL, STILLS, UNCOVERED, UNITS, Still, kept_socket_of, pack, socket_of

if TYPE_CHECKING:
    from pipeline.camera.opening import Description
    from pipeline.camera.orientation import Orientation

STILLS_HZ = 10
"""What a page shows that cannot play the camera's own stream: enough to follow people, an eighth of a core for six."""
STILL_WH = (640, 360)
"""The largest still; its JPEG has about 40 KB."""
STILL_QUALITY, FULL_QUALITY = 70, 90
_ASK_NS = NS_PER_S // 10
"""How often the socket is asked who looks: a viewer waits for so long at most, and then for a key frame anyway."""
QUEUE = 500
"""Messages for each viewer: ten seconds; a viewer that does not read loses what is newer, and begins at a key frame."""


class Viewers:
    """One camera's socket, and what those behind it want. Not thread-safe."""

    def __init__(self, scope: RunScope, camera: Camera, published: Published | None = None) -> None:
        """Bind.

        Args:
            scope: The run.
            camera: Whose pictures.
            published: Knows what is in them; needed where objects are to be blurred.

        Raises:
            SlotError: The run's folder is gone.
        """
        self._socket = view_socket(zmq.XPUB, socket_of(scope.directory, camera.camera_id), QUEUE)
        self._socket.set(zmq.XPUB_VERBOSER, 1)
        self._units = Units(self._socket, UNITS)
        self._hidden: zmq.Socket[bytes] | None = None
        if camera.privacy.any and camera.privacy.clips != "none" and camera.evidence_url is None:
            self._hidden = view_socket(zmq.PUB, kept_socket_of(scope.directory, camera.camera_id), QUEUE)
            self._uncovered = Units(self._hidden, UNCOVERED)
        self._watching = {UNITS: 0, STILLS: 0}
        self._full = False
        self._resizer = Resizer()
        self._cover, self._published = Cover(camera.privacy), published
        self._waiting = Waiting(self._cover, published) if published is not None else None
        self._still_ns = self._asked_ns = 0

    def see(self, picture: Picture, tick: Tick, description: Description, orientation: Orientation) -> None:
        """A picture has its number: whoever looks gets it. Never blocks."""
        if tick.decoded_ns - self._asked_ns >= _ASK_NS:
            self._asked_ns = tick.decoded_ns
            self._hear()
        if self._watching[UNITS] and not self._cover.covers:
            self._units.send(picture, tick, description, orientation)
        if self._hidden is not None:
            blind = self._published is not None and bool(self._published.unknown)
            self._uncovered.send(picture, tick, description, orientation, blind=blind)
        if self._waiting is not None:
            self._send_waiting(tick.decoded_ns)
        if picture.frame is None or picture.corrupt:
            return
        if self._watching[STILLS] and picture.received_ns - self._still_ns >= NS_PER_S / STILLS_HZ * 0.9:
            self._still_ns = picture.received_ns
            self._send_still(STILLS, picture, tick, orientation)
        if self._full:
            self._full = False
            self._send_still(FULL, picture, tick, orientation)

    def close(self) -> None:
        """Show nothing any more; may be called again."""
        self._socket.close(linger=0)
        if self._hidden is not None:
            self._hidden.close(linger=0)

    def _hear(self) -> None:
        """Who has come and who has left."""
        while has_message(self._socket):
            asked = self._socket.recv(zmq.NOBLOCK)
            topic, begins = asked[1:], asked[:1] == b"\x01"
            if topic == FULL:
                self._full = self._full or begins
            elif topic in self._watching:
                self._watching[topic] += 1 if begins else -1

    def _send_still(self, topic: bytes, picture: Picture, tick: Tick, orientation: Orientation) -> None:
        assert picture.frame is not None, "looked at before"
        wh = tick.frame_wh if topic == FULL else _within(tick.frame_wh, STILL_WH)
        pixels = np.empty((wh[1], wh[0], 3), np.uint8)
        self._resizer.resize_into(picture.frame, pixels, orientation)
        self._cover.mask(pixels, tick.frame_wh)
        still = Still(
            session=tick.session, frame_id=tick.frame_id, captured_at_ns=tick.captured_at_ns, frame_wh=tick.frame_wh
        )
        if self._waiting is not None:
            self._waiting.add(Uncovered(topic, still, pixels, tick.decoded_ns))
        elif not self._cover.needs_boxes:
            self._encode(topic, still, pixels)

    def _send_waiting(self, now_ns: int) -> None:
        """Those of which it is known by now what is in them."""
        assert self._waiting is not None and self._published is not None
        self._published.hear()
        for picture in self._waiting.covered(now_ns):
            self._encode(picture.topic, picture.still, picture.pixels)

    def _encode(self, topic: bytes, still: Still, pixels: NDArray[np.uint8]) -> None:
        quality = FULL_QUALITY if topic == FULL else STILL_QUALITY
        ok, jpeg = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if ok:
            self._send(topic, still, jpeg.tobytes())

    def _send(self, topic: bytes, word: Still, data: bytes) -> None:
        self._socket.send_multipart([topic, pack(word), data], zmq.NOBLOCK)


def _within(frame_wh: WidthHeight, most_wh: WidthHeight) -> WidthHeight:
    """The largest size of the same shape that is no larger than either."""
    if frame_wh[0] <= most_wh[0] and frame_wh[1] <= most_wh[1]:
        return frame_wh
    return Letterbox.fit(frame_wh, most_wh).content_wh
