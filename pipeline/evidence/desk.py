"""Events and frames in, clips and pictures on disk out: what is written when, and what is given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass

import structlog

from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.evidence.case import Case
from pipeline.evidence.clip import moment_of
from pipeline.evidence.coded import Coded
from pipeline.evidence.coverer import Coverer
from pipeline.evidence.finish import Finished, close_clip, finish, open_clip, recover, told
from pipeline.evidence.keep import Keep, lock
from pipeline.evidence.record import RECORD, Footage, beside, stem_of
from pipeline.evidence.sights import Frames
from pipeline.evidence.spec import EvidenceSpec
from pipeline.evidence.tape import Tape
from pipeline.redact import redact
from pipeline.wire import Event, FrameResult, Message
from pipeline.wire.evidence import Evidence

log = structlog.get_logger()

MOST_CASES = 100
"""Events of a camera that are kept at the same time, clip or not; a rule that asks for more is no use as an alarm."""
MOST_WAITING = 50
"""Events whose picture waits to be decoded, each of which may hold a camera's latest seconds."""
NOTHING = "no clip and no picture: the camera's privacy.clips is “none”"
TIDY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Ending:
    """A case that is being finished by the other thread."""

    case: Case
    future: Future[Finished]


class Desk:
    """Of all cameras. Use it from one thread; pictures are taken by another, and the tapes are filled by a third."""

    def __init__(self, spec: EvidenceSpec, tapes: Mapping[str, Tape]) -> None:
        """Look through what there is, and finish what an earlier life has left unfinished.

        Args:
            spec: What is wanted.
            tapes: The latest pictures of each camera.

        Raises:
            SinkError: Evidence cannot be kept where it shall be, or another process does.
        """
        self._spec, self._settings, self._tapes = spec, spec.settings, tapes
        self._frames = {name: Frames() for name in spec.cameras}
        self._cases: dict[str, Case] = {}
        self._endings: list[_Ending] = []
        self._executor, self._coverer = ThreadPoolExecutor(1, "snapshot"), Coverer(spec)
        self._kept, self._given_up = 0, Counter[str]()
        self._tidied_ns = 0
        self._lock = lock(spec.folder)
        self._recovered = [told(spec.fleet, one) for one in recover(spec.folder)]
        self._keep = Keep(spec.folder, spec.settings.keep)

    @property
    def words(self) -> str:
        """How it does, for people."""
        given_up = "; ".join(f"{count} without {why}" for why, count in sorted(self._given_up.items()))
        size_mb = sum(tape.size for tape in self._tapes.values()) / 1e6
        return f"{self._kept} kept" + (f", {given_up}" if given_up else "") + f"; {size_mb:.1f} MB in memory"

    def hear(self, message: Message) -> None:
        """An event or a frame; others are of no concern here."""
        if isinstance(message, FrameResult) and message.camera_id in self._frames:
            self._frames[message.camera_id].see(message)
            self._coverer.hear(message)
            if message.origin == "detected":
                for case in self._of(message.camera_id):
                    case.look_at(message)
        elif isinstance(message, Event) and self._is_wanted(message):
            self._happen(message)

    def turn(self, now_ns: int) -> list[Evidence]:
        """Write what has come, and finish what is over; what is new on disk.

        Args:
            now_ns: Wall time, ns since 1970-01-01 UTC.
        """
        for camera_id in {case.event.camera_id for case in self._cases.values()}:
            self._write(camera_id, now_ns)
        self._coverer.forget(self._cases.values())
        new, self._recovered = self._recovered, []
        new += self._ended()
        if new or now_ns - self._tidied_ns > TIDY_S * NS_PER_S:
            self._tidy(now_ns)
        return new

    def close(self, timeout_s: float) -> list[Evidence]:
        """Finish what there is; what takes longer is finished by the next life."""
        for case in list(self._cases.values()):
            case.why = case.why or "evidence was started anew, or the fleet ended"
            self._end(case)
        wait([ending.future for ending in self._endings], timeout_s)
        self._coverer.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        ended = self._ended()
        self._lock.close()
        return ended

    def _is_wanted(self, event: Event) -> bool:
        watched = self._spec.cameras.get(event.camera_id)
        return watched is not None and event.rule in watched.rules

    def _of(self, camera_id: str) -> list[Case]:
        return [case for case in self._cases.values() if case.event.camera_id == camera_id]

    def _happen(self, event: Event) -> None:
        case = self._cases.get(event.event_id)
        if event.withdrawn:
            if case is not None:
                self._drop(case)
        elif case is not None:
            case.tell(event)
        elif event.phase in ("begin", "once"):
            self._open(event)

    def _open(self, event: Event) -> None:
        stem = stem_of(self._spec.folder, event)
        others = self._of(event.camera_id)
        if beside(stem, RECORD).exists() or any(one.case.event.event_id == event.event_id for one in self._endings):
            return  # it is told again, to somebody who was started again
        if len(others) >= MOST_CASES:
            self._give_up("anything: too many events at once", event.camera_id)
            return
        case = self._cases[event.event_id] = Case(event, stem, self._settings)
        case.look_back(self._frames[event.camera_id])
        if self._spec.cameras[event.camera_id].keeps == "nothing":
            case.wants_clip, case.why = False, NOTHING
            return
        if sum(one.wants_clip for one in others) >= self._settings.at_once:
            self._do_without(case, f"{self._settings.at_once} clips of this camera are written already (at_once)")
        elif self._coverer.covers(event.camera_id):
            self._hold_first(case)

    def _hold_first(self, case: Case) -> None:
        try:
            self._coverer.begin(case)
        except SinkError as error:
            self._do_without(case, redact(error))

    def _do_without(self, case: Case, why: str) -> None:
        case.wants_clip, case.why = False, f"no clip: {why}"
        self._give_up("a clip", case.event.camera_id, why)

    def _give_up(self, what: str, camera_id: str, why: str = "") -> None:
        if not self._given_up[what]:
            log.warning(f"evidence is kept without {what}" + (f": {why}" if why else ""), camera_id=camera_id)
        self._given_up[what] += 1

    def _write(self, camera_id: str, now_ns: int) -> None:
        """What has come of a camera, into the clips of its cases."""
        tape = self._tapes[camera_id]
        pictures = tape.since(0)
        shown_ns = moment_of(pictures[-1]).at_ns if pictures else 0
        for case in self._of(camera_id):
            if case.wants_clip:
                self._extend(case, tape, pictures)
            covered = self._coverer.covers(camera_id)
            if case.is_over(shown_ns, now_ns) and (not covered or self._coverer.knows(case, now_ns)):
                self._end(case)

    def _extend(self, case: Case, tape: Tape, pictures: list[Coded]) -> None:
        after = last_of(case) or tape.key_before(case.from_ns) - 1
        wanted = chosen(pictures, after, case.until_ns)
        if not wanted or case.is_full:
            return
        if self._coverer.covers(case.event.camera_id):
            self._coverer.hold(case, wanted)
            return
        try:
            if case.clip is None:
                if not self._keep.has_room:
                    self._do_without(case, self._full_disk)
                    return
                case.clip = open_clip(case, wanted, f".{self._settings.format}")
            else:
                case.clip.add(wanted)
        except SinkError as error:
            self._do_without(case, redact(error))

    @property
    def _full_disk(self) -> str:
        return f"less than {self._settings.keep.free_gb:g} GB of the disk is free"

    def _no_room(self) -> str:
        """Why no clip can be covered now; empty where one can."""
        try:
            if not self._keep.has_room:
                return self._full_disk
        except SinkError as error:
            return redact(error)
        return "" if self._coverer.has_room else "too many wait to be covered already"

    def _end(self, case: Case) -> None:
        """Its clip is there at once; the picture and the record are made by the other thread."""
        del self._cases[case.event.event_id]
        pictures = [] if case.clip is not None else self._tapes[case.event.camera_id].since(0)
        covered = self._coverer.covers(case.event.camera_id)
        if covered and case.wants_clip and (why := self._no_room()):
            self._do_without(case, why)
            case.held.clear()
        footage: Footage | None = None
        try:
            footage = close_clip(case, f".{self._settings.format}")
        except SinkError as error:
            self._do_without(case, redact(error))
            case.clip = None
            beside(case.stem, f".{self._settings.format}", finished=False).unlink(missing_ok=True)
        snapshot = self._settings.snapshot
        if snapshot and len(self._endings) >= MOST_WAITING:
            snapshot, case.why = False, case.why or "no picture: too many wait already"
            self._give_up("a picture", case.event.camera_id)
        if covered:
            future = self._coverer.finish(case, pictures if snapshot else [], snapshot=snapshot)
        else:
            future = self._executor.submit(finish, case, footage, pictures if snapshot else [], snapshot=snapshot)
        self._endings.append(_Ending(case, future))

    def _ended(self) -> list[Evidence]:
        done = [one for one in self._endings if one.future.done() and not one.future.cancelled()]
        self._endings = [one for one in self._endings if not one.future.done()]
        found: list[Evidence] = []
        for ending in done:
            try:
                finished = ending.future.result()
            except SinkError as error:
                self._give_up("anything", ending.case.event.camera_id, redact(error))
                continue
            self._kept += 1
            self._keep.add(beside(finished.stem, RECORD))
            found.append(told(self._spec.fleet, finished))
        return found

    def _drop(self, case: Case) -> None:
        """It did not happen."""
        del self._cases[case.event.event_id]
        if case.clip is not None:
            with suppress(SinkError):  # of a full disk: it is not kept anyhow
                case.clip.close()
        for ending in (RECORD, f".{self._settings.format}"):
            beside(case.stem, ending, finished=False).unlink(missing_ok=True)

    def _tidy(self, now_ns: int) -> None:
        self._tidied_ns = now_ns
        try:
            self._keep.tidy(now_ns)
        except SinkError as error:
            log.error(redact(error))


def last_of(case: Case) -> int:
    """The number of the newest picture that its clip has; 0 of none."""
    if case.clip is not None:
        return case.clip.last
    return case.held[-1].number if case.held else 0


def chosen(pictures: Iterable[Coded], after: int, until_ns: int) -> list[Coded]:
    """The one place in which it is chosen what of a camera's stream comes into a clip.

    Args:
        pictures: What there is.
        after: The number of the last one that was looked at.
        until_ns: The end.
    """
    return [one for one in pictures if one.number > after and moment_of(one).at_ns <= until_ns]
