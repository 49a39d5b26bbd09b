"""The RTSP server: one process, one asyncio loop, any number of cameras and clients."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from pipeline.clock import Clock, SystemClock
from pipeline.errors import ReplayError
from pipeline.replay.camera import Camera, Departure, ignore_departure
from pipeline.replay.connection import FAREWELL_S, RtspConnection
from pipeline.replay.options import CameraPlan, ReplayOptions, plan_cameras
from pipeline.replay.recording import Recording

# How long a client may take for what was already written when the server is told to stop.
CLOSE_GRACE_S = 0.5


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
        self._cameras: dict[str, Camera] = {}
        self._connections: set[RtspConnection] = set()
        self._playing: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> ReplayServer:
        """Open the recordings and bind the port; with `loop` the cameras start.

        Raises:
            ReplayError: a recording cannot be served, or the port cannot be had.
        """
        try:
            self._cameras = {camera.name: camera for camera in self._open_cameras()}
            self._server = await self._bind()
        except BaseException:
            self._close_cameras()
            raise
        self._playing = [asyncio.create_task(camera.run()) for camera in self._cameras.values()]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Say goodbye to every client and free port and files, within `CLOSE_GRACE_S`."""
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close(CLOSE_GRACE_S)
        await self._until_disconnected(2 * CLOSE_GRACE_S)
        self._close_cameras()

    @property
    def urls(self) -> tuple[str, ...]:
        """Each camera's address; a server bound to all interfaces names the loopback one."""
        assert self._server is not None, "the server has addresses only inside `async with`"
        host, port = self._server.sockets[0].getsockname()[:2]
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        host = f"[{address}]" if address.version == 6 else str(address)
        return tuple(f"rtsp://{host}:{port}/{name}" for name in self._cameras)

    async def played(self) -> None:
        """Wait until every recording has been played to its end and the clients have gone; with `loop`, for ever."""
        await asyncio.gather(*self._playing)
        await self._until_disconnected(2 * FAREWELL_S)

    def _open_cameras(self) -> list[Camera]:
        opened: list[Camera] = []
        starts: dict[Path, set[float]] = {}
        plans = plan_cameras(self._options.files, self._options.cameras)
        try:
            for index, plan in enumerate(plans):
                opened.append(self._open_camera(plan, starts.setdefault(plan.file, set()), index / len(plans)))
        except BaseException:
            for camera in opened:
                camera.close()
            raise
        return opened

    def _open_camera(self, plan: CameraPlan, taken_starts: set[float], phase: float) -> Camera:
        """`phase`, 0 to 1, spreads the cameras over one frame interval: real ones do not all expose at once.

        A recording may have fewer key frames than cameras that share it. Those that find their key frame taken start
        there too, but later, by what is missing to their place, so that no two show the same picture.
        """
        recording = Recording(plan.file)
        try:
            wanted_s = plan.start_share * recording.duration_s
            start_s = recording.key_frame_before(wanted_s)
            delay_s = wanted_s - start_s if start_s in taken_starts else 0.0
            taken_starts.add(start_s)
            return Camera(
                plan.name,
                recording,
                loop=self._options.loop,
                clock=self._clock,
                start_s=start_s,
                phase_s=delay_s + phase / float(recording.rate),
                observe=self._observe,
            )
        except BaseException:
            recording.close()
            raise

    async def _bind(self) -> asyncio.Server:
        bind, port = self._options.bind, self._options.port
        try:
            return await asyncio.get_running_loop().create_server(
                lambda: RtspConnection(self._cameras, self._connections), bind, port
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ReplayError(f"port {port} on {bind} is in use; give another one with --port") from error
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise ReplayError(f"cannot serve on {bind} port {port}: {reason}; check --bind and --port") from error

    async def _until_disconnected(self, timeout_s: float) -> None:
        lost = [connection.lost for connection in self._connections]
        if lost:
            await asyncio.wait(lost, timeout=timeout_s)

    def _close_cameras(self) -> None:
        for camera in self._cameras.values():
            camera.close()
