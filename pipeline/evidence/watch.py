"""The thread that takes what the cameras show onto their tapes; it does nothing else, so that nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import structlog
import zmq

from pipeline.errors import WireError
from pipeline.evidence.coded import Coded, Moment, Stream, complete
from pipeline.evidence.spec import Watched
from pipeline.evidence.tape import Tape
from pipeline.viewing import (
    KEPT,
    UNCOVERED,
    UNITS,
    Kept,
    Shown,
    Unit,
    kept_socket_of,
    socket_of,
    unpack,
    unpack_kept,
)

log = structlog.get_logger()

QUEUE = 1000
"""Pictures that wait for this thread, for each camera; as many as a camera has waiting for a viewer, twice."""
_TURN_MS = 200
_RECONNECT_MS = 100


class Watch:
    """Sockets and tapes of some cameras. `close` from the thread that made it."""

    def __init__(self, run: Path, cameras: Mapping[str, Watched], tapes: Mapping[str, Tape]) -> None:
        """Begin to watch.

        Args:
            run: The run's folder.
            cameras: Which.
            tapes: Where their pictures go.
        """
        self._run, self._cameras = run, cameras
        self._views = {name: _View(tapes[name], second=camera.second) for name, camera in cameras.items()}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look away."""
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        poller, sockets = zmq.Poller(), {}
        for name, camera in self._cameras.items():
            if camera.keeps == "nothing":
                continue
            socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
            socket.set(zmq.RCVHWM, QUEUE)
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.RECONNECT_IVL, _RECONNECT_MS)
            path, topic = _place(self._run, name, camera)
            socket.subscribe(topic)
            socket.connect(f"ipc://{path}")
            poller.register(socket, zmq.POLLIN)
            sockets[socket] = self._views[name]
        try:
            while not self._ending.is_set():
                for socket, _ in poller.poll(_TURN_MS):
                    _take(socket, sockets[socket])
        finally:
            for socket in sockets:
                socket.close()


def _place(run: Path, name: str, camera: Watched) -> tuple[Path, bytes]:
    """Where a camera shows what may be kept of it, and by which topic."""
    if camera.keeps == "covered":
        return kept_socket_of(run, name), UNCOVERED
    return (kept_socket_of(run, name), KEPT) if camera.second else (socket_of(run, name), UNITS)


def _take(socket: zmq.Socket[bytes], view: _View) -> None:
    while True:
        try:
            parts = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        try:
            view.see(parts)
        except WireError as error:
            log.warning(str(error))


class _View:
    """What a camera says, onto its tape."""

    def __init__(self, tape: Tape, *, second: bool = False) -> None:
        self._tape, self._second = tape, second
        self._units: dict[int, Unit] = {}

    def see(self, parts: list[bytes]) -> None:
        if len(parts) != 3:
            raise WireError("what a camera shows has three parts")
        data = parts[2]
        word = unpack_kept(parts[1]) if self._second else unpack(parts[1])
        if isinstance(word, Unit):
            self._units[word.unit] = word
            while len(self._units) > QUEUE:
                del self._units[next(iter(self._units))]
            self._tape.put(Coded(word.unit, word.key, complete(word.codec, word.extradata, data, key=word.key)))
        elif isinstance(word, Shown) and (unit := self._units.pop(word.unit, None)) is not None:
            self._tape.show(word.unit, _of_unit(unit, word))
        elif isinstance(word, Kept):
            coded = complete(word.codec, word.extradata, data, key=word.key)
            self._tape.put(Coded(word.number, word.key, coded, _of_kept(word)))


def _of_unit(unit: Unit, shown: Shown) -> Moment:
    width, height = shown.frame_wh
    stream = Stream(
        codec=unit.codec,
        session=shown.session,
        frame_wh=(height, width) if unit.turns % 2 else (width, height),
        turns=unit.turns,
        mirrored=unit.mirrored,
    )
    return Moment(stream, shown.pts_s, shown.captured_at_ns, frame=(shown.session, shown.frame_id), blind=shown.blind)


def _of_kept(word: Kept) -> Moment:
    stream = Stream(word.codec, word.connection, word.frame_wh, word.turns, word.mirrored)
    return Moment(
        stream,
        word.pts_s,
        word.at_ns,
        aligned_by=word.aligned_by,
        error_ms=word.error_ms,
        zero_ns=word.zero_ns,
        blind=word.blind,
    )
