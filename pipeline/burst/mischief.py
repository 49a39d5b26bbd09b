"""Faults, made: those of cameras by the replay server, ours by signals and by a subscriber that does not read."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import zmq

from pipeline.burst.fleet import FleetProcess
from pipeline.burst.scenario import OUR_FAULTS, FaultPlan
from pipeline.burst.shrink import shrunk
from pipeline.burst.stage import Stage
from pipeline.errors import BurstError
from pipeline.replay.faults import Fault


class Mischief:
    """Makes one fault and mends it. Use it from one thread."""

    def __init__(self, fault: FaultPlan, camera_id: str | None, endpoint: str, folder: Path) -> None:
        """Prepare; what takes time happens here.

        Args:
            fault: What is to go wrong.
            camera_id: With which camera; None for the whole fleet.
            endpoint: Where the fleet publishes.
            folder: For recordings that have to be made.
        """
        self.plan = fault
        self.camera_id = camera_id
        self._endpoint = endpoint
        self._folder = folder
        self._stopped: list[psutil.Process] = []
        self._deaf: zmq.Socket[bytes] | None = None
        self._parameters = dict(fault.parameters)

    def prepare(self, stage: Stage) -> None:
        """Do beforehand what would disturb the measurement.

        Raises:
            SourceError: The recording that a change of resolution needs cannot be made.
        """
        if self.plan.name == "resolution" and "file" not in self._parameters and self.camera_id is not None:
            self._parameters["file"] = str(shrunk(stage.recording_of(self.camera_id), self._folder))

    def begin(self, stage: Stage, fleet: FleetProcess) -> None:
        """Let it go wrong.

        Raises:
            ReplayError: The camera cannot have this fault.
            BurstError: The process to be signalled does not run.
        """
        name = self.plan.name
        if name not in OUR_FAULTS:
            assert self.camera_id is not None
            stage.inject(self.camera_id, Fault(name, self.plan.seconds, **self._parameters))  # type: ignore[arg-type]
        elif name == "slow_subscriber":
            self._deaf = self._subscribe_and_do_not_read()
        else:
            self._signal(fleet)

    def end(self) -> None:
        """Mend what does not mend itself; harmless when repeated."""
        if self._deaf is not None:
            self._deaf.close(linger=0)
            self._deaf = None
        for process in self._stopped:
            # It may have been ended meanwhile, and its id be somebody else's: psutil looks at the start time.
            if process.is_running():
                process.resume()
        self._stopped = []

    def _signal(self, fleet: FleetProcess) -> None:
        """Kill or stop the camera's process; without a camera all workers, because the whole fleet is meant."""
        who = "worker" if self.camera_id is None else f"camera {self.camera_id}"
        pids = fleet.pids_of("worker") if self.camera_id is None else fleet.pids_of("camera", self.camera_id)
        if not pids:
            raise BurstError(f"{who} does not run, so it cannot be signalled")
        try:
            for pid in pids:
                if self.plan.name.startswith("stop_"):
                    self._stopped.append(psutil.Process(pid))
                    self._stopped[-1].suspend()
                else:
                    os.kill(pid, signal.SIGKILL)
        except (psutil.NoSuchProcess, ProcessLookupError) as error:
            raise BurstError(f"{who} has just ended by itself") from error

    def _subscribe_and_do_not_read(self) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        socket.set(zmq.RCVHWM, 1)
        socket.set(zmq.RCVBUF, 4096)
        socket.subscribe(b"")
        socket.connect(self._endpoint)
        return socket
