"""A shard: the part of a fleet that is on one machine. Whoever holds it there calls its methods, from any thread.

It is a whole fleet, with supervisor, cameras, worker and publisher; only its results go out at a port of its own, for
the proxies alone, and it has neither sinks nor a page. It ends by itself when nobody has asked for it for a while:
nobody would be left to end it, or to move its cameras.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import zmq

from pipeline import keys
from pipeline.camera.evidence.order import ClipOrder
from pipeline.config.keys import Keys
from pipeline.config.values import Fleet as FleetConfig
from pipeline.errors import PipelineError
from pipeline.fleet import Fleet
from pipeline.plan import StrideBounds
from pipeline.runscope import process_folder
from pipeline.scale.clips import Cut, Cutter
from pipeline.scale.gallery import Doorkeeping, Gallery, Source
from pipeline.scale.headroom import Load
from pipeline.scale.load import bounds_of, load_of, wanted_of
from pipeline.viewing import endpoint
from pipeline.wire import FleetState, topic

LEASE_S = 60.0
"""How long a shard goes on that nobody asks for: longer than a front takes to be started again elsewhere."""
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """Keys of the way between shards and proxies, made anew for each run of a fleet.

    Attributes:
        server: What the file with the shards' secret key says.
        proxy: What the file with the proxies' public key says.
    """

    server: bytes = field(repr=False)
    proxy: bytes


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """All a shard needs to know.

    Attributes:
        name: Its name.
        address: The machine's, for its publisher.
        fleet: The fleet, with the cameras that are here.
        version: Which of the fleet file's versions this is.
        keys: See there.
    """

    name: str
    address: str
    fleet: FleetConfig
    version: int
    keys: ShardKeys


@dataclass(frozen=True, slots=True)
class ShardReady:
    """A shard that serves, and how it is to be heard.

    Attributes:
        endpoint: Where its publisher is.
        server_key: The publisher's public key, 32 bytes.
        version: Which of the fleet file's versions it follows.
        cameras: Its cameras.
        pictures: Where its cameras' pictures are shown, with the same key.
    """

    endpoint: str
    server_key: bytes
    version: int
    cameras: frozenset[str]
    pictures: str = ""


@dataclass(frozen=True, slots=True)
class ShardState:
    """How a shard is.

    Attributes:
        seeing: Cameras of which frames were detected in the last seconds.
        failed: Why it does not serve any more; empty while it does.
        load: How full it is; None while that is not known.
        wanted_hz: Detections a second that each of its cameras would have with room.
    """

    seeing: frozenset[str] = frozenset()
    failed: str = ""
    load: Load | None = None
    wanted_hz: dict[str, float] = field(default_factory=dict)


class Shard:
    """A part of a fleet, or, until `begin`, none."""

    def __init__(
        self,
        leave: Callable[[], None] = lambda: os._exit(0),
        lease_s: float = LEASE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wait to be told what to serve; `leave` is called when nobody has asked for the shard for so long."""
        self._lock = threading.Lock()
        self._fleet: Fleet | None = None
        self._ready: ShardReady | None = None
        self._hearing: _Hearing | None = None
        self._gallery: Gallery | None = None
        self._cutter = Cutter()
        self._address = ""
        # Gone with the process, or with whatever starts next of this user.
        self._folder = Path(tempfile.mkdtemp(prefix="shard-", dir=process_folder()))
        self._leave, self._lease_s, self._now_s, self._asked_s = leave, lease_s, now_s, now_s()
        self._bounds: dict[str, StrideBounds] = {}
        self._begins = False
        self._unwatched = threading.Event()
        threading.Thread(target=self._watch, name="lease", daemon=True).start()

    def begin(self, spec: ShardSpec) -> ShardReady:
        """Serve these cameras; returns once that is so. One that serves already stays as it is, and says how.

        Raises:
            PipelineError: The model cannot be loaded here, or whatever else a fleet raises.
        """
        self._asked_s = self._now_s()
        with self._lock:
            self._begins = True
            try:
                return self._ready or self._serve(spec)
            finally:
                # A model may take minutes, in which nobody may be heard; from now on they may again.
                self._asked_s = self._now_s()
                self._begins = False

    def apply(self, fleet: FleetConfig, version: int) -> ShardReady:
        """Run as this version of the fleet says, with the cameras that it has.

        Raises:
            PipelineError: It cannot; the shard stays as it was.
        """
        self._asked_s = self._now_s()
        with self._lock:
            if self._fleet is None or self._ready is None:
                raise PipelineError("this shard serves nothing yet, or any more")
            self._fleet.reload(self._here(fleet))
            self._bounds = bounds_of(fleet.cameras.values())
            self._ready = replace(self._ready, version=version, cameras=frozenset(fleet.cameras))
            return self._ready

    def prepare(self, fleet: FleetConfig) -> None:
        """Load and warm the model of this fleet beside the one at work, for the `apply` that follows; blocks.

        Raises:
            PipelineError: It cannot be loaded here, or is not wanted any more.
        """
        self._here_now().prepare(self._here(fleet))

    def unprepare(self) -> None:
        """Let go of what was prepared: another machine cannot have it."""
        self._here_now().unprepare()

    def rest(self, paused: frozenset[str]) -> None:
        """Pause these cameras and no others; one that comes later and is among them is not opened.

        Raises:
            PipelineError: This shard serves nothing.
        """
        self._here_now().keep_paused(paused)

    def clip(self, camera_id: str, order: ClipOrder) -> Cut:
        """What is kept of a camera's second stream; blocks until it is written.

        Raises:
            ControlError: Nothing is kept of that time, or it is too large.
        """
        return self._cutter.cut(self._here_now(), camera_id, order)

    def ping(self) -> ShardState:
        """How it is; whoever asks says by that that the shard is wanted."""
        self._asked_s = self._now_s()
        fleet, hearing = self._fleet, self._hearing
        if fleet is None or hearing is None:
            return ShardState()
        try:
            # Nothing ends a shard's fleet but what breaks it: cameras may come even when all recordings are over.
            fleet.wait(0)
        except PipelineError as error:
            return ShardState(failed=str(error))
        state = hearing.newest()
        return ShardState() if state is None else _told(state, self._bounds)

    def end(self) -> None:
        """End every process and leave nothing behind. May be called again.

        The lease goes on: whoever asked may be gone before it ends the shard's own process.
        """
        with self._lock:
            for part in (self._gallery, self._hearing, self._fleet):
                if part is not None:
                    part.close()
            self._fleet = self._hearing = self._ready = self._gallery = None
            shutil.rmtree(self._folder, ignore_errors=True)

    def stay(self) -> None:
        """End with the process that holds it and not with the lease, as in tests."""
        self._unwatched.set()

    def _serve(self, spec: ShardSpec) -> ShardReady:
        own, proxy = self._write_keys(spec.keys)
        self._address = spec.address
        self._fleet = fleet = Fleet(self._here(spec.fleet), control=False)
        self._hearing = _Hearing(fleet.inside)
        self._bounds = bounds_of(spec.fleet.cameras.values())
        assert own.secret is not None, "it was made with one"
        self._gallery = Gallery(
            f"tcp://{spec.address}:0",
            lambda camera_id: Source(endpoint(fleet.directory, camera_id)),
            doorkeeping=Doorkeeping(own.secret, proxy.public),
        )
        self._gallery.open()
        cameras, pictures = frozenset(spec.fleet.cameras), self._gallery.endpoint
        self._ready = ShardReady(fleet.endpoint, own.public, spec.version, cameras, pictures)
        return self._ready

    def _here_now(self) -> Fleet:
        """The fleet that runs here.

        Raises:
            PipelineError: There is none.
        """
        fleet = self._fleet
        if fleet is None:
            raise PipelineError("this shard serves nothing yet, or any more")
        return fleet

    def _here(self, fleet: FleetConfig) -> FleetConfig:
        """The fleet as it is on this machine."""
        own = Keys(server=str(self._folder / "server.key_secret"), clients=str(self._folder / "clients"))
        publish = fleet.publish.model_copy(
            update={
                "bind": f"tcp://{self._address}:0",
                "keys": own,
                "json_bind": None,
                "encoding": "msgpack",
                "insecure": False,
                "history_mb": 0,
                "queue": max(fleet.publish.queue, _QUEUE),
            }
        )
        return fleet.model_copy(update={"publish": publish, "sinks": {}, "page": None})

    def _write_keys(self, known: ShardKeys) -> tuple[keys.Certificate, keys.Certificate]:
        """Put the keys where the publisher looks; its own, and the proxies'."""
        clients = self._folder / "clients"
        clients.mkdir(exist_ok=True)
        secret = self._folder / "server.key_secret"
        secret.touch(0o600)
        secret.write_bytes(known.server)
        proxy = clients / "proxy.key"
        proxy.write_bytes(known.proxy)
        return keys.read_certificate(secret), keys.read_certificate(proxy)

    def _watch(self) -> None:
        """End and leave with the lease, whoever has ended it before."""
        while not self._unwatched.wait(_LOOK_S):
            if self._is_over():
                try:
                    self.end()
                finally:
                    self._leave()
                return

    def _is_over(self) -> bool:
        """Whether nobody has asked for it for so long."""
        begins = self._begins  # Read before the time, which is set before this is cleared.
        return self._now_s() - self._asked_s > self._lease_s and not begins


_QUEUE = 10_000
"""Messages kept for a proxy: some seconds of a machine's cameras."""


class _Hearing:
    """What the shard's own publisher says of its cameras."""

    def __init__(self, inside: str) -> None:
        self._lock = threading.Lock()
        self._newest: FleetState | None = None
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.subscribe(topic(FleetState.kind))
        self._socket.connect(inside)

    def newest(self) -> FleetState | None:
        """The newest message; None until there is one."""
        with self._lock:
            parts = None
            while not self._socket.closed and self._socket.poll(0):
                parts = self._socket.recv_multipart()
            if parts is not None:
                self._newest = _decoder.decode(parts[1])
            return self._newest

    def close(self) -> None:
        with self._lock:
            self._socket.close(linger=0)


_decoder = msgspec.msgpack.Decoder(FleetState)


def _told(state: FleetState, bounds: Mapping[str, StrideBounds]) -> ShardState:
    """What a front wants to know of it."""
    seeing = frozenset(name for name, one in state.cameras.items() if one.detect_hz > 0)
    return ShardState(seeing, load=load_of(state, bounds), wanted_hz=wanted_of(state, bounds))
