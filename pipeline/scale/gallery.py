"""Cameras' pictures on their way to who looks at them from another machine; nobody looks, nothing leaves.

    camera × any ─ XPUB, run's folder ─▶ XSUB │ XPUB with keys ─▶ XSUB │ XPUB, front's folder ─▶ SUB: page, snapshots
                                       a shard's gallery          the front's gallery

A gallery passes on what is subscribed to, as `pipeline.viewing` has it, and connects to a camera while somebody
subscribes to its pictures. Topics begin with the camera's name and a slash; the camera's own do not.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog
import zmq

from pipeline.errors import ClusterError
from pipeline.keys import Certificate
from pipeline.relay.guard import ASKED, Asked, Lists, Lock
from pipeline.scale.proxy.inlet import connect
from pipeline.viewing import FULL, STILLS, UNITS

log = structlog.get_logger()

QUEUE = 500
"""Pictures for each who looks, as a camera keeps them; who does not read fast enough loses what is newer."""
MOST_CAMERAS = 256
"""That are looked at at once, as many as one browser may show."""
LONGEST_PICTURE = 64 << 20
"""Bytes; a connection on which something longer comes is closed."""
MOST_AT_ONCE = 100
DOMAIN = "pictures"
_MODES = frozenset({UNITS, STILLS, FULL})
_BEGINS, _ENDS = b"\x01", b"\x00"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a camera's pictures come from.

    Attributes:
        endpoint: A camera's socket of this machine, or another gallery.
        prefix: What its topics begin with there.
        server_key: The gallery's public key, 32 bytes; empty where it asks for none.
    """

    endpoint: str
    prefix: bytes = b""
    server_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Doorkeeping:
    """Who may look: one key, and the gallery's own."""

    secret: bytes
    allowed: bytes

    def __repr__(self) -> str:
        return "Doorkeeping()"


class _Way:
    """The connection to one camera's pictures, and what is subscribed to there."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], source: Source, key: Certificate | None) -> None:
        self.source = source
        self._counted: Counter[bytes] = Counter()
        self.socket: zmq.Socket[bytes] = context.socket(zmq.XSUB)
        self.socket.set(zmq.RCVHWM, QUEUE)
        self.socket.set(zmq.MAXMSGSIZE, LONGEST_PICTURE)
        connect(self.socket, source.endpoint, source.server_key, key)

    def ask(self, mode: bytes) -> None:
        """Have these pictures come; each `full` that is asked for is one more picture."""
        self._counted[mode] += 1
        self.socket.send(_BEGINS + self.source.prefix + mode)

    def ask_no_more(self, mode: bytes) -> None:
        """Have them come no more."""
        for _ in range(self._counted.pop(mode, 0)):
            self.socket.send(_ENDS + self.source.prefix + mode)

    def close(self) -> None:
        self.socket.close(linger=0)


class Gallery:
    """Passes pictures on in a thread of its own, from `open` to `close`. `turn` may be called from any thread.

    Attributes:
        endpoint: Where those who look connect.
    """

    def __init__(
        self,
        bind: str,
        find: Callable[[str], Source | None],
        *,
        doorkeeping: Doorkeeping | None = None,
        own_key: Certificate | None = None,
    ) -> None:
        """Bind; nothing is shown yet.

        Args:
            bind: A tcp:// or ipc:// endpoint; port 0 takes a free one.
            find: Where a camera's pictures come from; None of one that nobody has. Called in the gallery's thread.
            doorkeeping: Who may look; None lets everybody in, as in a folder of this user.
            own_key: What opens the sources.

        Raises:
            ClusterError: It cannot be bound there.
        """
        self._find, self._own_key = find, own_key
        # Its own, as only one in a context may answer for keys.
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._lists = Lists()
        self._poller = zmq.Poller()
        self._keeper = None if doorkeeping is None else self._ask_for_keys(doorkeeping)
        self._out: zmq.Socket[bytes] = self._context.socket(zmq.XPUB)
        self._out.set(zmq.XPUB_VERBOSER, 1)
        self._out.set(zmq.SNDHWM, QUEUE)
        if doorkeeping is not None:
            Lock(DOMAIN, doorkeeping.secret).put_on(self._out)
        try:
            self._out.bind(bind)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ClusterError(f"pictures cannot be shown at {bind}: {error.strerror}") from None
        self.endpoint = self._out.get_string(zmq.LAST_ENDPOINT)
        self._poller.register(self._out, zmq.POLLIN)
        self._looked_at: Counter[tuple[str, bytes]] = Counter()
        self._ways: dict[str, _Way] = {}
        self._ending = False
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._wake_fd, zmq.POLLIN)
        self._thread = threading.Thread(target=self._run, name="gallery", daemon=True)

    def open(self) -> None:
        """Begin."""
        self._thread.start()

    def turn(self) -> None:
        """Look anew where the cameras are that somebody looks at: they may have moved."""
        os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """Show nothing any more. May be called again."""
        if self._context.closed:
            return
        self._ending = True
        self.turn()
        if self._thread.ident is not None:
            self._thread.join()
        for way in self._ways.values():
            way.close()
        self._context.destroy(linger=0)
        os.close(self._wake_fd)

    def _run(self) -> None:
        while not self._ending:
            came = {at for at, _ in self._poller.poll()}
            if self._wake_fd in came:
                os.eventfd_read(self._wake_fd)
                self._follow()
            if self._keeper in came:
                self._answer()
            if self._out in came:
                self._hear()
            for camera_id, way in list(self._ways.items()):
                if way.socket in came:
                    self._pass_on(camera_id, way)

    def _ask_for_keys(self, doorkeeping: Doorkeeping) -> zmq.Socket[bytes]:
        """To be called before anything is bound that asks for keys."""
        self._lists.know(DOMAIN, {doorkeeping.allowed: "proxy"})
        keeper: zmq.Socket[bytes] = self._context.socket(zmq.REP)
        keeper.bind(ASKED)
        self._poller.register(keeper, zmq.POLLIN)
        return keeper

    def _answer(self) -> None:
        assert self._keeper is not None
        self._keeper.send_multipart(Asked.read(self._keeper.recv_multipart()).answer(self._lists))

    def _hear(self) -> None:
        """Who begins to look, and who looks no more."""
        for _ in range(MOST_AT_ONCE):
            if not self._out.poll(0):
                return
            said = self._out.recv()
            name, slash, mode = said[1:].rpartition(b"/")
            if slash and mode in _MODES:
                self._note(name.decode("utf-8", "replace"), mode, begins=said[:1] == _BEGINS)

    def _note(self, camera_id: str, mode: bytes, *, begins: bool) -> None:
        looked_at = self._looked_at
        looked_at[camera_id, mode] += 1 if begins else -1
        if begins and (looked_at[camera_id, mode] == 1 or mode == FULL):
            if (way := self._way(camera_id)) is not None:
                way.ask(mode)
        elif looked_at[camera_id, mode] <= 0:
            del looked_at[camera_id, mode]
            self._let_go(camera_id, mode)

    def _way(self, camera_id: str) -> _Way | None:
        """The way to a camera, opened now if it must be."""
        if camera_id not in self._ways and len(self._ways) < MOST_CAMERAS:
            source = self._find(camera_id)
            if source is not None:
                self._ways[camera_id] = way = _Way(self._context, source, self._own_key)
                self._poller.register(way.socket, zmq.POLLIN)
        return self._ways.get(camera_id)

    def _let_go(self, camera_id: str, mode: bytes) -> None:
        way = self._ways.get(camera_id)
        if way is None:
            return
        way.ask_no_more(mode)
        if not any(name == camera_id for name, _ in self._looked_at):
            self._drop(camera_id)

    def _drop(self, camera_id: str) -> None:
        way = self._ways.pop(camera_id)
        self._poller.unregister(way.socket)
        way.close()

    def _follow(self) -> None:
        """Cameras may be elsewhere now."""
        for camera_id in {name for name, _ in self._looked_at}:
            way = self._ways.get(camera_id)
            if way is not None and way.source == self._find(camera_id):
                continue
            if way is not None:
                self._drop(camera_id)
            if (new := self._way(camera_id)) is not None:
                for name, mode in self._looked_at:
                    if name == camera_id:
                        new.ask(mode)

    def _pass_on(self, camera_id: str, way: _Way) -> None:
        before = len(way.source.prefix)
        for _ in range(MOST_AT_ONCE):
            try:
                topic, *rest = way.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._out.send_multipart([f"{camera_id}/".encode() + topic[before:], *rest], zmq.NOBLOCK)
