"""The second stream for whoever keeps evidence of events: every packet as it came; nothing while nobody asks."""

from __future__ import annotations

import zmq

from pipeline.camera.evidence.align import Alignment
from pipeline.camera.evidence.ring import KeptPacket
from pipeline.camera.published import Published
from pipeline.camera.socket import view_socket
from pipeline.config.camera import Camera
from pipeline.runscope import RunScope
from pipeline.viewing import KEPT, UNCOVERED, Kept, first_number, kept_socket_of, pack

QUEUE = 500
"""Packets for each who asks, as for viewers."""


class KeptView:
    """A camera's socket for its second stream. Use it from one thread, once it is made."""

    def __init__(self, scope: RunScope, camera: Camera, published: Published | None = None) -> None:
        """Bind.

        Args:
            scope: The run.
            camera: Whose pictures.
            published: Knows whether results tell what is to be blurred.

        Raises:
            SlotError: The run's folder is gone.
        """
        self._camera, self._published = camera, published
        # Who covers nothing asks for nothing that has to be covered, also while the fleet file changes.
        self._topic = KEPT if camera.privacy.gives_packets else UNCOVERED
        self._number = self._connection = first_number()
        self._socket = view_socket(zmq.PUB, kept_socket_of(scope.directory, camera.camera_id), QUEUE)

    def begin(self) -> None:
        """Another connection."""
        self._connection += 1

    def see(self, kept: KeptPacket, extradata: bytes, alignment: Alignment, zero_ns: int) -> None:
        """A packet, to whoever asks. Never blocks.

        Args:
            kept: The packet.
            extradata: As the container tells it.
            alignment: From its time to that of the stream that is detected.
            zero_ns: Wall time of the detected stream's time 0; 0 where its frames need not be found by that.
        """
        self._number += 1
        came_ns = kept.session.time.at_ns(kept.pts_s) if zero_ns else kept.captured_at_ns
        word = Kept(
            number=self._number,
            connection=self._connection,
            key=kept.key,
            codec=kept.session.codec,
            extradata=extradata if kept.key else b"",
            frame_wh=kept.session.frame_wh,
            turns=self._camera.rotate // 90,
            mirrored=self._camera.mirror,
            pts_s=kept.pts_s,
            at_ns=came_ns + alignment.offset_ns,
            aligned_by=alignment.by,
            error_ms=alignment.error_ms,
            zero_ns=zero_ns,
            blind=self._published is not None and bool(self._published.unknown),
        )
        self._socket.send_multipart([self._topic, pack(word), kept.data], zmq.NOBLOCK)

    def close(self) -> None:
        """Show nothing any more."""
        self._socket.close(linger=0)
