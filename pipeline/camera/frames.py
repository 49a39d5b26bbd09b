"""What becomes of a camera's pictures: each gets a number and a tick, and some a place in the slot."""

from __future__ import annotations

import random
from dataclasses import dataclass

import av
import structlog

from pipeline.camera.orientation import Orientation, told_orientation
from pipeline.camera.picture import Picture
from pipeline.camera.resize import Resizer
from pipeline.camera.runqueue import RunQueue
from pipeline.camera.session import StreamPoint, continues, new_session
from pipeline.clock import Clock
from pipeline.config.camera import Camera
from pipeline.errors import PrivacyError, SlotError, SourceError
from pipeline.geometry import Letterbox, WidthHeight
from pipeline.link import Admission, Admitted, Tick
from pipeline.privacy import Cover
from pipeline.privacy.stencil import require_inside
from pipeline.runscope import RunScope
from pipeline.slot import SlotWriter

log = structlog.get_logger()


@dataclass(slots=True)
class _Session:
    """The running session and its counts."""

    number: int
    last: StreamPoint
    frames: int = 0
    corrupt: int = 0


class Frames:
    """Numbers the pictures of one camera, and puts those the worker wants into its slot. Not thread-safe."""

    def __init__(self, scope: RunScope, camera: Camera, clock: Clock) -> None:
        self._scope, self._camera_id, self._clock = scope, camera.camera_id, clock
        self._mounted = Orientation(camera.rotate // 90, camera.mirror)
        self._orientation, self._told_rotation = self._mounted, 0
        self._resizer = Resizer()
        self._masks, self._cover = camera.privacy.masks, Cover(camera.privacy)
        self._run_queue = RunQueue()
        self._rng = random.Random()
        self._writer: SlotWriter | None = None
        self._session: _Session | None = None
        self._admission: Admission | None = None

    def admit(self, admission: Admission) -> None:
        """Follow a new wish of the worker; the slot is made when first needed, and anew for larger pictures.

        Raises:
            SlotError: The slot cannot be made.
        """
        self._admission = admission
        if self._writer is not None and admission.input_wh != self._writer.max_wh:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._writer = SlotWriter(self._scope, self._camera_id, admission.input_wh)

    def put(self, picture: Picture) -> Tick | None:
        """The tick of a picture, whose pixels are in the slot by then if they were wanted.

        None for a gap before the first picture of a session: there is no frame yet that could be missed.

        Raises:
            SlotError: The slot is gone.
            SourceError: The picture's pixel format cannot be converted, or a mask does not fit it.
        """
        session = self._session_of(picture)
        if session is None:
            return None
        frame_id, starved_ns = session.frames, self._run_queue.since_last_ns()
        admitted = self._decide(picture, frame_id)
        if admitted == "slot":
            self._fill_slot(picture, session, frame_id)
        session.frames += 1
        session.corrupt += picture.corrupt
        return Tick(
            session=session.number,
            frame_id=frame_id,
            pts_s=picture.pts_s,
            captured_ns=picture.capture.ns,
            captured_at_ns=picture.capture.at_ns,
            capture_clock=picture.capture.clock,
            received_ns=picture.received_ns,
            decoded_ns=self._clock.monotonic_ns(),
            frame_wh=session.last.frame_wh,
            admitted=admitted,
            starved_ns=starved_ns if frame_id else 0,
        )

    @property
    def session_number(self) -> int:
        """Of the running session; 0 before the first."""
        return self._session.number if self._session else 0

    @property
    def orientation(self) -> Orientation:
        """What makes its pictures upright."""
        return self._orientation

    @property
    def frame_wh(self) -> WidthHeight:
        """Size of the last picture, px; (0, 0) before the first."""
        return self._session.last.frame_wh if self._session else (0, 0)

    def end_session(self) -> None:
        """What comes next belongs to another session."""
        if self._session is not None:
            log.info("session ended", frames=self._session.frames, corrupt=self._session.corrupt)
        self._session = None

    def close(self) -> None:
        """Leave the slot; may be called again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._run_queue.close()

    def _session_of(self, picture: Picture) -> _Session | None:
        if picture.frame is None:
            return self._session
        self._look_which_side_is_up(picture.frame)
        frame_wh = self._orientation.upright_wh((picture.frame.width, picture.frame.height))
        point = StreamPoint(picture.pts_s, picture.received_ns, frame_wh, picture.frame.format.name, picture.max_gap_s)
        if self._session is not None and not continues(self._session.last, point):
            self.end_session()
        if self._session is None:
            self._require_masks_fit(frame_wh)
            self._session = _Session(new_session(self._clock.wall_ns(), self._rng), point)
        self._session.last = point
        return self._session

    def _require_masks_fit(self, frame_wh: WidthHeight) -> None:
        """Of a picture that cannot be masked as it should, nothing leaves this process."""
        try:
            require_inside(self._masks, frame_wh)
        except PrivacyError as error:
            raise SourceError(str(error)) from None

    def _look_which_side_is_up(self, frame: av.VideoFrame) -> None:
        """Once a session, and where it changes.

        PyAV keeps a frame that was asked for its side data until garbage is collected; a second of them is 30 MB.
        """
        if self._session is None or frame.rotation != self._told_rotation:
            self._told_rotation = frame.rotation
            self._orientation = told_orientation(frame).then(self._mounted)

    def _decide(self, picture: Picture, frame_id: int) -> Admitted:
        if picture.behind:
            return "behind"
        if picture.corrupt or picture.frame is None:
            return "corrupt"
        if self._admission is None:
            return "unwanted"
        return "slot" if self._admission.wants(frame_id) else "stride"

    def _fill_slot(self, picture: Picture, session: _Session, frame_id: int) -> None:
        if self._writer is None or self._admission is None or picture.frame is None:
            raise SlotError(f"camera {self._camera_id}: its slot is closed")
        content_wh = Letterbox.fit(session.last.frame_wh, self._admission.input_wh).content_wh
        with self._writer.loan(content_wh) as loan:
            self._resizer.resize_into(picture.frame, loan.pixels, self._orientation)
            self._cover.mask(loan.pixels, session.last.frame_wh)
            loan.send(session.number, frame_id)
