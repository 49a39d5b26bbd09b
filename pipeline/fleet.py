"""A fleet from Python: started, changed and ended as the command does.

from pipeline import Fleet

with Fleet("fleet.yaml") as fleet:
    fleet.add_camera("yard", url="rtsp://cam.example/1", stride=2)
    for result in fleet.results(timeout_s=10):
        print(result.camera_id, result.frame_id, len(result.tracks))
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.camera.evidence.keeper import Clip
from pipeline.client import Subscriber
from pipeline.config import load_fleet
from pipeline.config.values import Fleet as FleetConfig
from pipeline.supervise.changes import Changes
from pipeline.supervise.control import ControlServer
from pipeline.supervise.requests import Requests
from pipeline.supervise.status import ProcessStatus
from pipeline.supervise.supervisor import Supervisor
from pipeline.wire import FrameResult


class Fleet:
    """A running fleet; ends with its `with`. Methods may be called from any thread, and block until done.

    Attributes:
        endpoint: Where it publishes, with the port.
        inside: The same for programs of this user and machine, whatever keys `endpoint` wants.
        page: The address of its page; empty where it has none.
    """

    def __init__(self, fleet: str | Path | FleetConfig, *, control: bool = True) -> None:
        """Start it; returns once it can serve its cameras.

        Args:
            fleet: The fleet file, or what one says.
            control: Whether `camfleet status`, `reload` and `camera` can reach it, too.

        Raises:
            ConfigError: The file is wrong.
            DetectorError: The model cannot be loaded or cannot serve this fleet.
            PublishError: The results cannot be published where the file says.
            PageError: The page cannot be served where it says.
        """
        file = None if isinstance(fleet, FleetConfig) else Path(fleet)
        config = fleet if isinstance(fleet, FleetConfig) else load_fleet(fleet)
        self._supervisor = Supervisor(config, directory=None if file is None else file.absolute().parent)
        self._requests = Requests(self._supervisor, file)
        self._control: ControlServer | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        try:
            ready = self._supervisor.open()
            self.endpoint, self.inside = ready.endpoint, ready.inside
            self.page = self._supervisor.page
            if control:
                self._control = ControlServer(self._supervisor.directory, config.name, self._requests.answer)
            self._thread.start()
        except BaseException:
            self.close()
            raise

    @property
    def processes(self) -> list[ProcessStatus]:
        """Its processes and how they are."""
        return self._supervisor.status()

    @property
    def directory(self) -> Path:
        """The run's, private to this user."""
        return self._supervisor.directory

    @property
    def cameras(self) -> list[str]:
        """The names of its cameras, those that are paused too."""
        return list(self._supervisor.fleet.cameras)

    def results(
        self, cameras: str | Iterable[str] | None = None, *, timeout_s: float | None = None
    ) -> Subscriber[FrameResult]:
        """A subscriber to its results, which the caller closes.

        Args:
            cameras: Names of cameras, or one; None takes all, also those that are added later.
            timeout_s: How long it waits for a frame, s; without it, for ever.
        """
        return Subscriber(self.inside, cameras, timeout_s=timeout_s)

    def add_camera(self, camera_id: str, **settings: Any) -> Changes:
        """Let a camera join; `settings` are the keys of a fleet file, `url` among them.

        Raises:
            ConfigError: There is one of that name, or a setting is wrong.
        """
        return self._requests.add(camera_id, settings)

    def remove_camera(self, camera_id: str) -> Changes:
        """Let a camera leave for good.

        Raises:
            ControlError: There is none of that name.
            ConfigError: It is the only one.
        """
        return self._requests.remove(camera_id)

    def pause_camera(self, camera_id: str) -> None:
        """Let go of a camera and keep its settings; raises `ControlError` where there is none of that name."""
        self._requests.pause(camera_id)

    def resume_camera(self, camera_id: str) -> None:
        """Take up a camera that was paused; raises `ControlError` where there is none of that name."""
        self._requests.resume(camera_id)

    def keep_paused(self, camera_ids: Collection[str]) -> None:
        """Pause these cameras and no others; one that joins later and is among them begins paused."""
        self._supervisor.submit(lambda running: running.keep_paused(camera_ids)).result()

    def clip(self, camera_id: str, out: str | Path, *, from_ns: int, to_ns: int) -> Clip:
        """Write what is kept of a camera's `evidence_url` to a new file, `.mp4` or `.mkv`, as its `privacy` allows.

        Args:
            camera_id: Which camera.
            out: Where.
            from_ns: Wall time as in `FrameResult.captured_at_ns`; the clip begins with the key frame before.
            to_ns: The same, in the past.

        Raises:
            ControlError: There is none of that name, it keeps nothing of that time, or `out` cannot be written.
        """
        return self._requests.clip(camera_id, Path(out), from_ns, to_ns)

    def reload(self, fleet: str | Path | FleetConfig | None = None) -> Changes:
        """Run as its file says now, or as another file or value says.

        Raises:
            ConfigError: The file has mistakes; the fleet stays as it is.
            DetectorError: It names a model that cannot be loaded; the fleet stays as it is.
        """
        if isinstance(fleet, FleetConfig):
            return self._supervisor.submit(lambda running: running.apply(fleet)).result()
        return self._requests.reload(None if fleet is None else Path(fleet))

    def prepare(self, fleet: FleetConfig) -> None:
        """Load and warm the model of this fleet beside the one at work; a `reload` with that model then takes a moment.

        Raises:
            DetectorError: It cannot be loaded.
            ControlError: Another is being loaded, or this one is not wanted any more.
        """
        self._supervisor.submit(lambda running: running.prepare(fleet)).result()

    def unprepare(self) -> None:
        """Let go of a model that was prepared, or is being."""
        self._supervisor.submit(lambda running: running.unprepare()).result()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until every recording has ended, or `timeout_s` is over; True if it has.

        Raises:
            PipelineError: The last worker died too often.
        """
        ended = self._supervisor.all_ended.wait(timeout_s)
        if self._error is not None:
            raise self._error
        return ended

    def close(self) -> None:
        """End every process within three seconds (four with slow sinks); leave nothing behind. May be called again."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self._supervisor.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._supervisor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._supervisor.run(stays=True)
        except Exception as error:  # noqa: BLE001
            # Raised again where somebody waits; the thread's own would be lost.
            self._error = error
        finally:
            self._supervisor.refuse()
            self._supervisor.all_ended.set()
