"""The cameras of a scenario: recordings served over RTSP, some of them in bursts only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pipeline.burst.observed import CameraDepartures
from pipeline.burst.plan import Plan
from pipeline.replay import Playback, ReplayOptions, ServedRecordings, serve_recordings
from pipeline.replay.departures import read_departures
from pipeline.replay.faults import Fault
from pipeline.replay.options import plan_cameras
from pipeline.replay.recording import Recording

BURST = "replay server of the burst"


class Stage:
    """Serves a plan's cameras while the `with` lasts. Use it from one thread; `pids` from any."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Prepare; `folder` takes the files of departures."""
        self._plan = plan
        self._folder = folder
        self._stack = ExitStack()
        self._burst_stack = ExitStack()
        self._usual = plan.camera_ids[: plan.usual]
        self._extra = plan.camera_ids[plan.usual :]
        turn = plan.usual % len(plan.recordings)
        self._extra_recordings = plan.recordings[turn:] + plan.recordings[:turn]
        self._servers: dict[str, ServedRecordings] = {}
        self._served: dict[str, tuple[ServedRecordings, str]] = {}
        self._left: list[tuple[Path, Sequence[str]]] = []
        self.urls: dict[str, str] = {}
        """Where every camera is that is served now."""

    def __enter__(self) -> Self:
        """Serve the usual cameras.

        Raises:
            ReplayError: A recording cannot be served.
        """
        self._serve(self._stack, "replay server", self._plan.recordings, self._usual)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every server."""
        self.end_burst()
        self._stack.close()

    def rates_hz(self) -> dict[str, float]:
        """Frames a second of every camera's recording."""
        files = [plan.file for plan in plan_cameras(self._plan.recordings, len(self._usual))]
        files += [plan.file for plan in plan_cameras(self._extra_recordings, len(self._extra) or 1)]
        known = {file: self._plan.scenario.fps or _rate_hz(file) for file in set(files)}
        return {camera_id: known[file] for camera_id, file in zip(self._plan.camera_ids, files, strict=False)}

    def recording_of(self, camera_id: str) -> Path:
        """What one of the usual cameras shows."""
        return plan_cameras(self._plan.recordings, len(self._usual))[self._usual.index(camera_id)].file

    def begin_burst(self, cameras: int) -> None:
        """Let there be more cameras, `cameras` in all.

        Raises:
            ReplayError: They cannot be served.
        """
        coming = self._extra[: cameras - len(self._usual)]
        self._serve(self._burst_stack, BURST, self._extra_recordings, coming)

    def end_burst(self) -> None:
        """Take the cameras of the burst away; harmless where there are none."""
        self._burst_stack.close()
        self._servers.pop(BURST, None)
        for camera_id in self._extra:
            self.urls.pop(camera_id, None)
            self._served.pop(camera_id, None)

    def inject(self, camera_id: str, fault: Fault) -> None:
        """Let something go wrong with a camera.

        Raises:
            ReplayError: It cannot have this fault.
        """
        server, name = self._served[camera_id]
        server.inject(name, fault)

    def pids(self) -> dict[str, int]:
        """The servers' processes."""
        return {name: server.pid for name, server in self._servers.copy().items()}

    def departures(self) -> Mapping[str, CameraDepartures]:
        """When each picture of each camera left, as far as the servers have told; complete once they have ended."""
        told: dict[str, list[CameraDepartures]] = {}
        for path, camera_ids in self._left:
            records = read_departures(path)
            for index, camera_id in enumerate(camera_ids):
                own = records[records["camera"] == index]
                told.setdefault(camera_id, []).append(CameraDepartures(own["presented_wall_ns"], own["left_wall_ns"]))
        return {
            camera_id: CameraDepartures(
                np.concatenate([part.presented_ns for part in parts]), np.concatenate([part.left_ns for part in parts])
            )
            for camera_id, parts in told.items()
        }

    def _serve(self, stack: ExitStack, title: str, recordings: Sequence[Path], camera_ids: Sequence[str]) -> None:
        path = self._folder / f"departures-{len(self._left)}.bin"
        server = stack.enter_context(
            serve_recordings(
                ReplayOptions(
                    tuple(recordings),
                    cameras=len(camera_ids),
                    playback=Playback(fps=self._plan.scenario.fps),
                    own_ports=True,  # so that “refuse” closes the camera's port
                    departures=path,
                )
            )
        )
        self._left.append((path, camera_ids))
        self._servers[title] = server
        self.urls |= zip(camera_ids, server.urls, strict=True)
        for camera_id, name in zip(camera_ids, server.names, strict=True):
            self._served[camera_id] = (server, name)


def _rate_hz(file: Path) -> float:
    recording = Recording(file)
    try:
        return float(recording.rate)
    finally:
        recording.close()
