"""Cases of cameras of which something is to be covered: held in memory until they are over, then covered in turn.

One thread of its own decodes, covers and encodes, one clip after the other, behind all else on the machine. Nothing of
such a case but its event is on disk before, not even for a moment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.child import give_memory_back
from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.evidence.case import Case
from pipeline.evidence.coded import Coded
from pipeline.evidence.covering import Covering, write_covered
from pipeline.evidence.film import film_of
from pipeline.evidence.finish import Finished, finish, make_room
from pipeline.evidence.known import Known
from pipeline.evidence.record import Footage, Record, beside, write_record
from pipeline.evidence.spec import EvidenceSpec
from pipeline.redact import redact
from pipeline.wire import FrameResult

LOST = "no clip and no picture: they are covered in memory, and the process that did so was ended"
NICENESS = 15
"""Of the thread, behind cameras, detector and page: encoding takes a core for most of what it shows. What waits for
Python's lock meanwhile is this process alone, and its queues hold half a minute of pictures."""
MOST_WAITING = 8
"""Clips that wait to be covered, each with up to `memory_mb`; of more, the picture alone is taken."""
_MARGIN_S, _LATE_S = 0.5, 3.0
"""Results must be known so far beyond a case before it is covered, and are waited for no longer than the second."""


class Coverer:
    """Of all cameras. Use it from one thread; clips are written by another."""

    def __init__(self, spec: EvidenceSpec) -> None:
        """Nothing is held yet."""
        self._spec, self._settings = spec, spec.settings
        self._known: Mapping[str, Known] = {
            name: Known(camera.privacy.blur, self._settings.before_s)
            for name, camera in spec.cameras.items()
            if camera.keeps == "covered"
        }
        self._stopped = threading.Event()
        self._clips: list[Future[Finished]] = []
        self._executor = ThreadPoolExecutor(1, "cover", initializer=_go_last)

    def covers(self, camera_id: str) -> bool:
        """Whether its pictures have to be covered."""
        return camera_id in self._known

    def hear(self, frame: FrameResult) -> None:
        """What is in a picture of a camera."""
        if (known := self._known.get(frame.camera_id)) is not None:
            known.hear(frame)

    def forget(self, cases: Iterable[Case]) -> None:
        """Let go of results that none of these cases needs."""
        needed: dict[str, int] = {}
        for case in cases:
            camera_id = case.event.camera_id
            needed[camera_id] = min(case.from_ns - 2 * NS_PER_S, needed.get(camera_id, case.from_ns))
        for camera_id, known in self._known.items():
            known.forget(needed.get(camera_id, known.newest_ns))

    def begin(self, case: Case) -> None:
        """Note on disk that there is an event, for the next life if this one is killed: no picture goes with it.

        Raises:
            SinkError: It cannot be written.
        """
        make_room(case)
        write_record(case.stem, Record(event=case.event, detail=LOST), finished=False)

    def hold(self, case: Case, pictures: Sequence[Coded]) -> None:
        """Keep more of a case's pictures in memory, up to `memory_mb`."""
        for picture in pictures:
            if case.held_bytes + len(picture.data) > self._settings.memory_mb << 20:
                most = f"{self._settings.memory_mb} MB (memory_mb)"
                case.is_full, case.why = True, f"the clip is cut off: it has more than {most}, in which it is covered"
                return
            case.held.append(picture)
            case.held_bytes += len(picture.data)

    def knows(self, case: Case, now_ns: int) -> bool:
        """Whether all is known by now of what its pictures show, or no more is waited for."""
        known, until_ns = self._known[case.event.camera_id], case.until_ns
        is_known = not known.matters or known.newest_ns > until_ns + _MARGIN_S * NS_PER_S
        return is_known or now_ns > until_ns + _LATE_S * NS_PER_S

    def finish(self, case: Case, pictures: Sequence[Coded], *, snapshot: bool) -> Future[Finished]:
        """Cover a case that is over, when its turn comes.

        Args:
            case: With the pictures of its clip.
            pictures: What there still is of its camera, for one without a clip.
            snapshot: Whether a picture is wanted.
        """
        camera_id = case.event.camera_id
        shown = case.held or list(pictures)
        zero_ns = shown[-1].moment.zero_ns if shown and shown[-1].moment else 0
        covering = Covering(self._spec.cameras[camera_id].privacy, self._known[camera_id].all, zero_ns)
        future = self._executor.submit(self._finish, case, shown, covering, snapshot=snapshot)
        if case.wants_clip:
            self._clips.append(future)
        return future

    @property
    def has_room(self) -> bool:
        """Whether one more clip may wait."""
        self._clips = [clip for clip in self._clips if not clip.done()]
        return len(self._clips) < MOST_WAITING

    def close(self) -> None:
        """Give up what waits and what is being covered."""
        self._stopped.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _finish(self, case: Case, pictures: Sequence[Coded], covering: Covering, *, snapshot: bool) -> Finished:
        try:
            footage = self._clip(case, pictures, covering) if case.wants_clip and pictures else None
            if self._stopped.is_set():
                raise SinkError(LOST)
            return finish(case, footage, pictures, snapshot=snapshot, cover=covering.apply)
        finally:
            case.held.clear()
            give_memory_back()

    def _clip(self, case: Case, pictures: Sequence[Coded], covering: Covering) -> Footage | None:
        file = beside(case.stem, f".{self._settings.format}")
        try:
            make_room(case)
            footage = write_covered(file, film_of(pictures), case.from_ns, covering, self._stopped.is_set)
            write_record(case.stem, Record(event=case.event, clip=footage), finished=False)
        except SinkError as error:
            case.why = f"no clip: {redact(error)}"
            return None
        return footage


def _go_last() -> None:
    """The thread's own priority (Linux)."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
