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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq

from pipeline import keys
from pipeline.config.keys import Keys
from pipeline.config.values import Fleet as FleetConfig
from pipeline.errors import PipelineError
from pipeline.fleet import Fleet
from pipeline.runscope import process_folder
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
    """

    endpoint: str
    server_key: bytes
    version: int
    cameras: frozenset[str]


@dataclass(frozen=True, slots=True)
class ShardState:
    """How a shard is.

    Attributes:
        seeing: Cameras of which frames were detected in the last seconds.
        failed: Why it does not serve any more; empty while it does.
    """

    seeing: frozenset[str] = frozenset()
    failed: str = ""


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
        self._address = ""
        # Gone with the process, or with whatever starts next of this user.
        self._folder = Path(tempfile.mkdtemp(prefix="shard-", dir=process_folder()))
        self._leave, self._lease_s, self._now_s, self._asked_s = leave, lease_s, now_s, now_s()
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
            self._ready = ShardReady(self._ready.endpoint, self._ready.server_key, version, frozenset(fleet.cameras))
            return self._ready

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
        return ShardState(hearing.seeing())

    def end(self) -> None:
        """End every process and leave nothing behind. May be called again.

        The lease goes on: whoever asked may be gone before it ends the shard's own process.
        """
        with self._lock:
            if self._hearing is not None:
                self._hearing.close()
            if self._fleet is not None:
                self._fleet.close()
            self._fleet = self._hearing = self._ready = None
            shutil.rmtree(self._folder, ignore_errors=True)

    def stay(self) -> None:
        """End with the process that holds it and not with the lease, as in tests."""
        self._unwatched.set()

    def _serve(self, spec: ShardSpec) -> ShardReady:
        public = self._write_keys(spec.keys)
        self._address = spec.address
        self._fleet = Fleet(self._here(spec.fleet), control=False)
        self._hearing = _Hearing(self._fleet.inside)
        self._ready = ShardReady(self._fleet.endpoint, public, spec.version, frozenset(spec.fleet.cameras))
        return self._ready

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

    def _write_keys(self, known: ShardKeys) -> bytes:
        """Put the keys where the publisher looks; the public half of its own."""
        clients = self._folder / "clients"
        clients.mkdir(exist_ok=True)
        secret = self._folder / "server.key_secret"
        secret.touch(0o600)
        secret.write_bytes(known.server)
        (clients / "proxy.key").write_bytes(known.proxy)
        return keys.read_certificate(secret).public

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
        self._seeing: frozenset[str] = frozenset()
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.subscribe(topic(FleetState.kind))
        self._socket.connect(inside)

    def seeing(self) -> frozenset[str]:
        """Cameras that were detected in the last seconds, as of the newest message."""
        with self._lock:
            newest = None
            while not self._socket.closed and self._socket.poll(0):
                newest = self._socket.recv_multipart()
            if newest is not None:
                state = _decoder.decode(newest[1])
                self._seeing = frozenset(name for name, one in state.cameras.items() if one.detect_hz > 0)
            return self._seeing

    def close(self) -> None:
        with self._lock:
            self._socket.close(linger=0)


_decoder = msgspec.msgpack.Decoder(FleetState)
