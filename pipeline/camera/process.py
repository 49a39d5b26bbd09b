"""A camera's process: connect, decode, hand over, and when the camera is lost, try again, for ever."""

from __future__ import annotations

import random
import signal
import sys
import threading
from ctypes import c_int64
from dataclasses import dataclass
from multiprocessing.connection import Connection

import structlog

from pipeline.camera.backlog import LATE_S
from pipeline.camera.backoff import Backoff
from pipeline.camera.evidence.keeper import EvidenceKeeper
from pipeline.camera.evidence.order import ClipOrder, carry_out
from pipeline.camera.evidence.show import KeptView
from pipeline.camera.frames import Frames
from pipeline.camera.frozen import FrozenPictures
from pipeline.camera.limits import limit_memory, out_of_memory
from pipeline.camera.published import Published
from pipeline.camera.report import FAREWELL_MS, Reporter
from pipeline.camera.sandbox import Sandbox, confine, is_confined
from pipeline.camera.source import Source, open_source
from pipeline.camera.unauthorized import LoginRefused
from pipeline.camera.view import Viewers
from pipeline.child import end_with_parent, freeze_heap, give_memory_back, ignore_terminal
from pipeline.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from pipeline.config.camera import Camera
from pipeline.errors import PipelineError, SlotError, SourceError, SourceLost
from pipeline.link import Admission, Bye, Hello, Introduce, Link, Tick
from pipeline.logs import configure_logs
from pipeline.plan import camera_plan
from pipeline.runscope import RunScope
from pipeline.wire import CameraState, name_session

log = structlog.get_logger()

ENDED = 0
"""Exit code of a process whose recording has come to its end."""
BROKEN = 1
"""Exit code of a process that cannot work now, but may if it is started again: no shared memory, another device."""
FAILED = 2
"""Exit code of a process whose recording cannot be played; starting it again will not mend that."""

TOLD = 128 + signal.SIGTERM
"""Exit code of a process that was told to end, as a shell has it; by the supervisor, or it is started again."""

_ASK_MS = 250
_LOOK_NS = NS_PER_S // 5
"""How often it is looked at whether a camera that shows pictures is still as it was reported."""
_FROZEN = "its pictures do not change: the camera hangs behind a stream that goes on; restart the camera"
_LEAVING_MS = 200
"""How long the last word of a camera that was told to end may take to be read."""
_TAKEN_MS = 10_000
"""How long a picture of a recording that waits for the worker may lie in the slot."""


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """All a camera process needs to know.

    Attributes:
        camera: The camera's settings.
        fleet: The fleet's name.
        scope: Where its slot is.
        link: The worker's endpoint.
        late_s: How late pictures may come for want of a processor before some are left out.
    """

    camera: Camera
    fleet: str
    scope: RunScope
    link: str
    late_s: float = LATE_S


def run_camera(spec: CameraSpec, orders: Connection, beat: c_int64) -> None:
    """Run a camera in this process until SIGTERM, the parent's end, or the end of a recording that is not looped.

    Args:
        spec: The camera and where it delivers.
        orders: Gives another `CameraSpec` when the camera is to be served otherwise; its source stays the same. Or a
            `ClipOrder`.
        beat: Set to the monotonic time, ns, at every packet and every turn of waiting.

    Raises:
        SystemExit: With `ENDED`, `TOLD`, `BROKEN` or `FAILED`.
    """
    stop = threading.Event()
    ignore_terminal()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    configure_logs(f"camera {spec.camera.camera_id}", camera_id=spec.camera.camera_id)
    # Before the first thread: it binds those that are started later, and none that run.
    sandbox = confine(spec.camera, spec.scope) if is_confined(spec.camera) else None
    end_with_parent()
    freeze_heap()
    limit_memory(spec.camera.memory_mb)
    sys.exit(serve(spec, beat, stop, orders, sandbox))


def serve(
    spec: CameraSpec,
    beat: c_int64,
    stop: threading.Event,
    orders: Connection | None = None,
    sandbox: Sandbox | None = None,
) -> int:
    """The same in any thread; returns the exit code once `stop` is set or a recording has ended."""
    clock = SystemClock()
    link = Link(spec.link, spec.camera.camera_id)
    link.send(Hello(camera_plan(spec.camera)))
    frames = Frames(spec.scope, spec.camera, clock)
    published = Published(spec.scope, spec.camera) if spec.camera.privacy.blur else None
    viewers = Viewers(spec.scope, spec.camera, published)
    first = CameraState(fleet=spec.fleet, camera_id=spec.camera.camera_id, session_id="", state="connecting")
    reporter = Reporter(first, link, beat, stop, clock)
    try:
        keeper = _keeper(spec, clock, published)
        loop = _CameraLoop(
            spec,
            link,
            frames,
            viewers,
            reporter,
            published=published,
            keeper=keeper,
            clock=clock,
            orders=orders,
            sandbox=sandbox,
        )
        code = loop.run()
        link.send(Bye())
        link.flush(FAREWELL_MS if not stop.is_set() else _LEAVING_MS)
        return code
    except PipelineError as error:
        log.error(str(error))
        return BROKEN
    finally:
        frames.close()
        viewers.close()
        if published is not None:
            published.close()
        link.close()


def _keeper(spec: CameraSpec, clock: Clock, published: Published | None) -> EvidenceKeeper | None:
    """What keeps the second stream; what is to be covered goes to nobody but who covers it."""
    camera = spec.camera
    if camera.evidence_url is None:
        return None
    view = KeptView(spec.scope, camera, published) if camera.privacy.clips != "none" else None
    return EvidenceKeeper(camera, clock, published, view)


class _CameraLoop:
    """Sources one after the other, the pictures of each, and the pauses between them."""

    def __init__(
        self,
        spec: CameraSpec,
        link: Link,
        frames: Frames,
        viewers: Viewers,
        reporter: Reporter,
        *,
        published: Published | None,
        keeper: EvidenceKeeper | None,
        clock: Clock,
        orders: Connection | None,
        sandbox: Sandbox | None,
    ) -> None:
        self._camera, self._late_s = spec.camera, spec.late_s
        self._link, self._frames, self._viewers = link, frames, viewers
        self._reporter, self._clock = reporter, clock
        self._orders, self._plan = orders, camera_plan(spec.camera)
        self._sandbox = sandbox
        self._obeyed_ns = 0
        self._looked_ns = self._session = 0
        self._backoff = Backoff(self._camera.reconnect.initial_s, self._camera.reconnect.max_s)
        self._rng = random.Random()
        self._published, self._keeper = published, keeper
        self._reconnects = -1
        self._live_since_ns: int | None = None
        self._is_frozen = False

    def run(self) -> int:
        """The exit code.

        Raises:
            SlotError: The slot cannot be made.
            SourceError: The process has no right to what is the camera's source now; another will have.
        """
        self._await_admission()
        if (keeper := self._keeper) is None:
            return self._serve()
        keeper.start()
        self._reporter.evidence = lambda: keeper.state
        try:
            return self._serve()
        finally:
            keeper.close()

    def _serve(self) -> int:
        """Sources one after the other."""
        while not self._reporter.stopping:
            self._live_since_ns, self._is_frozen = None, False
            lost = self._loss()
            if lost is not None and self._sandbox is not None and self._sandbox.is_outlived:
                raise SourceError(f"another file or device is at {self._camera.url} now; beginning anew with that")
            if self._is_final(lost):
                self._reporter.change("failed", str(lost))
                return FAILED
            self._frames.end_session()
            if lost is not None:
                give_memory_back()
                self._retry(lost)
            elif not self._reporter.stopping:
                self._reporter.change("ended")
                return ENDED
        return TOLD

    def _is_final(self, lost: Exception | None) -> bool:
        """Whether trying again will not mend it."""
        hopeless = isinstance(lost, SourceError) and not isinstance(lost, SourceLost)
        return hopeless and self._camera.url.kind in ("file", "python")

    def _loss(self) -> SourceError | SlotError | None:
        """Watch one source until it is lost, and why; None where it was not.

        The errors are new ones: those that were raised hold the source's memory, and it is needed for the next.
        """
        try:
            self._watch()
        except SourceLost as error:
            return SourceLost(str(error))
        except LoginRefused as error:
            return LoginRefused(str(error))
        except SourceError as error:
            return SourceError(str(error))
        except SlotError as error:
            return SlotError(str(error))
        except MemoryError:
            return out_of_memory(self._camera)
        return None

    def _await_admission(self) -> None:
        """Wait until the worker says what it wants: before that, a camera is not worth its bandwidth."""
        while self._reporter.go_on():
            if self._hear(_ASK_MS):
                return

    def _hear(self, timeout_ms: int = 0) -> Admission | None:
        """Follow what worker and supervisor have said; the newest wish of the worker, if there is one."""
        self._obey()
        newest = None
        for message in self._link.receive(timeout_ms):
            if isinstance(message, Introduce):
                self._link.send(Hello(self._plan))
            elif isinstance(message, Admission):
                newest = message
        if newest is not None:
            self._frames.admit(newest)
            if self._published is not None:
                self._published.unknown = newest.unknown
        return newest

    def _obey(self) -> None:
        """A few times a second: whether the camera is to be served otherwise."""
        now_ns = self._clock.monotonic_ns()
        if self._orders is None or now_ns - self._obeyed_ns < _ASK_MS * NS_PER_MS:
            return
        self._obeyed_ns = now_ns
        try:
            while self._orders.poll():
                spec: CameraSpec | ClipOrder = self._orders.recv()
                if isinstance(spec, ClipOrder):
                    if self._keeper is not None:
                        carry_out(spec, self._keeper)
                    continue
                self._plan, self._late_s = camera_plan(spec.camera), spec.late_s
                self._link.send(Hello(self._plan))
        except EOFError:
            self._orders = None

    def _watch(self) -> None:
        """Every picture of one source; returns when a recording has ended or the process shall.

        Raises:
            SourceError: The source cannot be opened, or is lost.
        """
        self._reporter.go_on()
        source = open_source(self._camera, self._clock, self._late_s)
        frozen = FrozenPictures(self._clock)
        try:
            for picture in source.pictures(self._reporter):
                self._hear()
                if self._keeper is not None and picture is not None:
                    self._keeper.see_detected(picture)
                tick = self._frames.put(picture) if picture is not None else None
                if source.blind:
                    self._tell_blind(source)
                if picture is not None and tick is not None:
                    self._send(tick)
                    self._viewers.see(picture, tick, source.description, self._frames.orientation)
                    self._look(source, tick, frozen.see(picture.frame) if picture.frame is not None else None)
                if not self._reporter.go_on():
                    return
        finally:
            source.close()

    def _tell_blind(self, source: Source) -> None:
        """That packets come, and nothing worth showing."""
        self._reporter.change(
            "blind",
            source.blind,
            retry_at_ns=0,
            codec=source.description.codec,
            assembly=source.assembly,
            decoder=source.decoder,
        )

    def _send(self, tick: Tick) -> None:
        """Now or never, as a camera must; a recording played as fast as it goes waits for the worker instead."""
        if not self._camera.waits_for_worker:
            self._link.send(tick)
            return
        while not self._link.send(tick, _ASK_MS) and self._reporter.go_on():
            pass
        if tick.admitted == "slot":
            self._await_taken(tick)

    def _await_taken(self, tick: Tick) -> None:
        """Wait until the worker has taken this picture; not for ever, because a worker that died never will."""
        give_up_ns = self._clock.monotonic_ns() + _TAKEN_MS * NS_PER_MS
        while self._reporter.go_on() and self._clock.monotonic_ns() < give_up_ns:
            wish = self._hear(_ASK_MS)
            if wish is not None and wish.taken >= (tick.session, tick.frame_id):
                return

    def _look(self, source: Source, tick: Tick, frozen: bool | None) -> None:
        """Report the first picture of a session at once, and a few times a second what has changed since.

        Args:
            source: Where the picture comes from.
            tick: The picture's.
            frozen: Whether the pictures change no more; None where this one does not tell.
        """
        if frozen is not None:
            self._is_frozen = frozen and self._camera.url.kind == "network"
        if tick.session == self._session and tick.decoded_ns - self._looked_ns < _LOOK_NS:
            return
        self._session, self._looked_ns = tick.session, tick.decoded_ns
        self._report(source)

    def _report(self, source: Source) -> None:
        """That pictures come, and whether they change."""
        if self._live_since_ns is None:
            self._live_since_ns = self._clock.monotonic_ns()
            self._reconnects += 1
        if source.blind:
            return
        if (self._reporter.state.assembly, source.assembly) == ("early", "next") and source.concern:
            log.warning("pictures wait for the next one again", why=source.concern)
        self._reporter.change(
            "blind" if self._is_frozen else "live",
            _FROZEN if self._is_frozen else self._concern(source),
            assembly=source.assembly,
            decoder=source.decoder,
            retry_at_ns=0,
            reconnects=self._reconnects,
            session_id=name_session(self._frames.session_number),
            session=self._frames.session_number,
            codec=source.description.codec,
            frame_wh=self._frames.frame_wh,
        )

    def _concern(self, source: Source) -> str:
        asked = (source, self._published, self._keeper)
        return next((one.concern for one in asked if one is not None and one.concern), "")

    def _retry(self, lost: Exception) -> None:
        """Say why it was lost and when it is tried again, and wait until then."""
        live_ns = 0 if self._live_since_ns is None else self._clock.monotonic_ns() - self._live_since_ns
        self._backoff = self._backoff.lost(live_ns / NS_PER_S, refused=isinstance(lost, LoginRefused))
        why = f"{lost}{self._backoff.words}"
        pause_s = self._backoff.pause_s(self._rng)
        at_ns = self._clock.wall_ns() + round(pause_s * NS_PER_S)
        self._reporter.change("retrying", why, retry_at_ns=at_ns, session=0, session_id="", assembly="", decoder="")
        due_ns = self._clock.monotonic_ns() + round(pause_s * NS_PER_S)
        while (left_ns := due_ns - self._clock.monotonic_ns()) > 0 and not self._reporter.stopping:
            self._reporter.wait(min(left_ns / NS_PER_S, _ASK_MS / 1000))
            self._obey()
