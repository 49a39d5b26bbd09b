"""The RTSP server: one process, one asyncio loop, any number of cameras and clients."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from pipeline.clock import Clock, SystemClock
from pipeline.errors import ReplayError
from pipeline.replay.camera import Departure, ServedCamera, ignore_departure
from pipeline.replay.connection import FAREWELL_S, RtspConnection, Served
from pipeline.replay.departures import DepartureFile
from pipeline.replay.faults import DISCONNECTING, Fault, Order, check_fault
from pipeline.replay.feed import Feed, Start
from pipeline.replay.gathering import Gathering
from pipeline.replay.options import CameraPlan, ReplayOptions, phase_s
from pipeline.replay.recording import Recording
from pipeline.rtsp.udp import UdpPorts

# How long a client may take for what was already written when the server is told to stop.
CLOSE_GRACE_S = 0.5
# Departures are noted a few hundred times a second; readers may follow half a second behind.
_FLUSH_INTERVAL_S = 0.5
# One thread waits for a slow disk while the other reads on.
_READERS = 2


class ReplayServer:
    """Serves recordings as RTSP cameras while the `async with` lasts.

    Example:
        >>> async with ReplayServer(ReplayOptions((Path("gate.mp4"),), port=0)) as server:  # doctest: +SKIP
        ...     await server.played()
    """

    def __init__(
        self,
        options: ReplayOptions,
        *,
        clock: Clock | None = None,
        observe: Callable[[Departure], None] = ignore_departure,
    ) -> None:
        """`observe` is called after each access unit has left, on the loop: it must be quick."""
        self._options = options
        self._clock = clock or SystemClock()
        self._observe = observe
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read-ahead")
        self._departures = DepartureFile(options.departures) if options.departures is not None else None
        self._cameras: dict[str, ServedCamera] = {}
        self._numbers: dict[str, int] = {}
        self._served = Served(self._cameras, options.login, UdpPorts(options.bind))
        self._gathering: Gathering | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._playing: list[asyncio.Task[None]] = []
        # With ports of their own each camera has a listener, otherwise all have the same.
        self._listeners: dict[str, asyncio.Server] = {}
        self._addresses: dict[str, tuple[str, int]] = {}

    async def __aenter__(self) -> ReplayServer:
        """Open the recordings and bind the ports; with `loop` the cameras start.

        Raises:
            ReplayError: a recording cannot be served, or a port cannot be had.
        """
        try:
            self._open_cameras()
            await self._listen()
        except BaseException:
            self._free()
            raise
        self._playing = [asyncio.create_task(camera.run()) for camera in self._cameras.values()]
        if self._departures is not None:
            self._tasks.append(asyncio.create_task(self._flush_regularly(self._departures)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Say goodbye to every client and free ports and files, within `CLOSE_GRACE_S`."""
        for task in (*self._playing, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._playing, *self._tasks, return_exceptions=True)
        for listener in self._listeners.values():
            listener.close()
        for connection in tuple(self._served.connections):
            connection.close(CLOSE_GRACE_S)
        await self._until_disconnected(2 * CLOSE_GRACE_S)
        self._free()

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras, in order."""
        return tuple(self._cameras)

    @property
    def urls(self) -> tuple[str, ...]:
        """Each camera's address, without credentials; a server bound to all interfaces names the loopback one."""
        return tuple(f"rtsp://{_reachable(*self._addresses[name])}/{name}" for name in self._cameras)

    async def played(self) -> None:
        """Wait until every recording has been played to its end and the clients have gone; with `loop`, for ever."""
        await asyncio.gather(*self._playing)
        await self._until_disconnected(2 * FAREWELL_S)

    def inject(self, order: Order) -> None:
        """Let something go wrong with one camera.

        Raises:
            ReplayError: there is no such camera, or it cannot have this fault.
        """
        fault = order.fault
        check_fault(fault, self.names, order.camera)
        camera = self._cameras[order.camera]
        camera.begin(fault, lambda ended: self._mend(camera, ended))
        if fault.name in DISCONNECTING:
            for connection in tuple(self._served.connections):
                if connection.camera is camera:
                    connection.abort() if fault.name == "reset" else connection.close()
        if fault.name == "refuse" and self._options.own_ports:
            self._listeners[camera.name].close()

    def _mend(self, camera: ServedCamera, fault: Fault) -> None:
        if fault.name == "refuse" and self._options.own_ports:
            self._tasks.append(asyncio.create_task(self._listen_again(camera.name)))

    async def _listen_again(self, name: str) -> None:
        self._listeners[name] = await self._bind(self._addresses[name][1])

    def _open_cameras(self) -> None:
        starts: dict[Path, set[float]] = {}
        plans = self._options.plan()
        self._gathering = Gathering(len(plans)) if self._options.playback.together else None
        for index, plan in enumerate(plans):
            self._cameras[plan.name] = self._open_camera(index, plan, starts.setdefault(plan.file, set()), len(plans))
            self._numbers[plan.name] = index

    def _open_camera(self, index: int, plan: CameraPlan, taken_starts: set[float], count: int) -> ServedCamera:
        """The cameras do not run in step, as real ones do not either.

        A recording may have fewer key frames than cameras that share it. Those that find their key frame taken start
        there too, but later, by what is missing to their place, so that no two show the same picture.
        """
        playback = self._options.playback
        recording = Recording(plan.file)
        try:
            wanted_s = plan.start_share * recording.duration_s
            if playback.offset_s is not None:
                wanted_s = index * playback.offset_s % (recording.duration_s or 1.0)
            start_s = recording.key_frame_before(wanted_s)
            delay_s = wanted_s - start_s if start_s in taken_starts else 0.0
            taken_starts.add(start_s)
            feed = Feed(recording, playback, self._readers, Start(start_s))
        except BaseException:
            recording.close()
            raise
        return ServedCamera(
            plan.name,
            feed,
            playback=playback,
            executor=self._readers,
            clock=self._clock,
            phase_s=delay_s + phase_s(index, count, feed.rate),
            observe=self._note,
            gathered=self._gathering.wait if self._gathering is not None else None,
        )

    def _note(self, departure: Departure) -> None:
        self._observe(departure)
        if self._departures is not None:
            self._departures.note(
                self._numbers[departure.camera],
                departure.presented_wall_ns,
                departure.left_ns,
                departure.left_wall_ns,
            )

    async def _flush_regularly(self, departures: DepartureFile) -> None:
        while True:
            await asyncio.sleep(_FLUSH_INTERVAL_S)
            departures.flush()

    async def _listen(self) -> None:
        """One listener for all cameras, or one for each."""
        port = self._options.port
        if not self._options.own_ports:
            listener = await self._bind(port)
            self._listeners = dict.fromkeys(self._cameras, listener)
        for index, name in enumerate(self._cameras if self._options.own_ports else ()):
            self._listeners[name] = await self._bind(port + index if port else 0)
        self._addresses = {name: listener.sockets[0].getsockname()[:2] for name, listener in self._listeners.items()}

    async def _bind(self, port: int) -> asyncio.Server:
        bind = self._options.bind
        try:
            return await asyncio.get_running_loop().create_server(lambda: RtspConnection(self._served), bind, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ReplayError(f"port {port} on {bind} is in use; give another one with --port") from error
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise ReplayError(f"cannot serve on {bind} port {port}: {reason}; check --bind and --port") from error

    async def _until_disconnected(self, timeout_s: float) -> None:
        lost = [connection.lost for connection in self._served.connections]
        if lost:
            await asyncio.wait(lost, timeout=timeout_s)

    def _free(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._served.udp.close()
        self._readers.shutdown(cancel_futures=True)
        for camera in self._cameras.values():
            camera.close()
        if self._departures is not None:
            self._departures.close()


def _reachable(host: str, port: int) -> str:
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
