"""Coded pictures of the stream that is detected, as they came, and which frame each of them has become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq

from pipeline.camera.picture import Picture
from pipeline.link import Tick
from pipeline.viewing import Shown, Unit, first_number, pack

if TYPE_CHECKING:
    from pipeline.camera.opening import Description
    from pipeline.camera.orientation import Orientation


class Units:
    """Sends them by one topic of one socket. Not thread-safe."""

    def __init__(self, socket: zmq.Socket[bytes], topic: bytes) -> None:
        """None was sent yet; the socket is the caller's."""
        self._socket, self._topic = socket, topic
        self._base, self._last = first_number(), 0

    def send(
        self, picture: Picture, tick: Tick, description: Description, orientation: Orientation, *, blind: bool = False
    ) -> None:
        """What came with a picture, and which of it the picture is. Never blocks.

        Args:
            picture: With its coded pictures.
            tick: Its number.
            description: Of the stream.
            orientation: How it is made upright.
            blind: Whether no result tells all that is to be blurred in it.
        """
        for coded in picture.coded:
            if coded.number <= self._last:
                self._base += self._last  # another connection, or a recording from its beginning
            self._last = coded.number
            word = Unit(
                unit=self._base + coded.number,
                key=coded.key,
                codec=description.codec,
                extradata=description.extradata,
                turns=orientation.turns,
                mirrored=orientation.mirrored,
            )
            self._send(word, bytes(coded.packet))
        if picture.frame is not None:
            shown = Shown(
                unit=self._base + picture.unit,
                session=tick.session,
                frame_id=tick.frame_id,
                pts_s=tick.pts_s,
                captured_at_ns=tick.captured_at_ns,
                frame_wh=tick.frame_wh,
                blind=blind,
            )
            self._send(shown, b"")

    def _send(self, word: Unit | Shown, data: bytes) -> None:
        self._socket.send_multipart([self._topic, pack(word), data], zmq.NOBLOCK)
