"""One side over the recordings: they are served as cameras, its fleet watches them, and all it publishes is heard."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.burst.fleet import FleetProcess
from pipeline.burst.observed import CameraDepartures, Observed, observe
from pipeline.burst.result import ProcessSeries
from pipeline.burst.sample import Sampler
from pipeline.clock import NS_PER_S
from pipeline.errors import RehearsalError, ReplayError
from pipeline.listen import Listener
from pipeline.redact import redact
from pipeline.rehearse.catalogue import Witness
from pipeline.rehearse.hear import Ear, zeros_ns
from pipeline.rehearse.sides import Side, rehearsed
from pipeline.rehearse.sightings import sightings
from pipeline.rehearse.take import Clip
from pipeline.replay import Playback, ReplayOptions, ServedRecordings, read_departures, serve_recordings

READY_S = 300.0
"""What the first export of a model may take."""
COME_S = 30.0
"""What cameras may take to connect, beyond the length of the longest recording."""
QUIET_S, LAST_S = 0.4, 3.0
"""After the last picture has left: no frame for so long means that all are published; and how long at most."""
LOOK_S = 0.2
LOG_LINES = 40
SERVER, OURSELVES = "replay server", "rehearsal"
"""Processes that are no part of the fleet."""


@dataclass(frozen=True, slots=True)
class Played:
    """A run of one side.

    Attributes:
        witness: What it saw; named by the side's letter and the number of the run.
        observed: All published frames, seconds from the first picture on.
        processes: What ran, by the same clock.
        seconds: From the first picture to the last.
        log: The end of what the fleet said on stderr.
    """

    witness: Witness
    observed: Observed
    processes: list[ProcessSeries]
    seconds: float
    log: list[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: in words, seconds of the recordings so far, frames a second and p95 of late."""

    doing: str
    seconds: float
    published_hz: float = 0.0
    age_p95_ms: float = 0.0


Turn = Callable[[Progress], None]


class Stage:
    """Runs sides over the same recordings; for one thread."""

    def __init__(self, clips: Mapping[str, Clip], folder: Path, turn: Turn) -> None:
        """Prepare.

        Args:
            clips: The recording of each camera.
            folder: For what is kept meanwhile.
            turn: Called a few times a second.
        """
        self._clips, self._folder, self._turn = clips, folder, turn
        self._waiting = threading.Event()  # never set: what interrupts a wait is an exception

    def play(self, side: Side, number: int) -> Played:
        """Run a side over all recordings, from their first picture to their last; blocks, and ends all it started.

        Raises:
            PipelineError: Its fleet cannot start.
            RehearsalError: No camera was ever opened.
        """
        name = f"{side.letter}{number}"
        files = [self._folder / f"{name}.{suffix}" for suffix in ("departures", "log", "state")]
        departures, log, state = files
        options = ReplayOptions(
            tuple(clip.file for clip in self._clips.values()),
            names=tuple(self._clips),
            playback=Playback(loop=False, together=True),
            departures=departures,
        )
        self._turn(Progress("loading the model", 0.0))
        with serve_recordings(options) as server:
            fleet = rehearsed(side, dict(zip(server.names, server.urls, strict=True)))
            with FleetProcess(fleet, log, state) as process:
                endpoint = process.open(READY_S)
                ear = Ear(tuple(self._clips))
                with Listener(endpoint, ear.hear, drain_s=QUIET_S, states="all"):
                    with Sampler(lambda: _processes(process, server)) as sampler:
                        self._until_played(server, ear)
                    # While the listener still hears: what is told at the end counts, too.
                    process.close()
        return self._played(name, ear, departures, sampler, log)

    def _until_played(self, server: ServedRecordings, ear: Ear) -> None:
        longest_s = max(clip.seconds for clip in self._clips.values())
        began_s, first_s = time.monotonic(), 0.0
        while time.monotonic() < began_s + longest_s + COME_S:
            first_s = first_s or (time.monotonic() if ear.count else 0.0)
            played_s = min(longest_s, time.monotonic() - first_s) if first_s else 0.0
            self._turn(Progress("playing" if first_s else "waiting for the cameras", played_s, *ear.recent()))
            try:
                server.wait(LOOK_S)
                break
            except ReplayError:
                continue
        until_s, heard = time.monotonic() + LAST_S, -1
        while ear.count != heard and time.monotonic() < until_s:
            heard = ear.count
            self._waiting.wait(QUIET_S)

    def _played(self, name: str, ear: Ear, file: Path, sampler: Sampler, log: Path) -> Played:
        records = read_departures(file)
        lines = [redact(line) for line in log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]]
        if not len(records):
            told = f": {lines[-1]}" if lines else ""
            raise RehearsalError(f"{name[0].upper()}: no camera of its fleet opened its recording{told}")
        left = {
            camera_id: CameraDepartures(own["presented_wall_ns"], own["left_wall_ns"])
            for camera_id, own in ((one, records[records["camera"] == i]) for i, one in enumerate(self._clips))
        }
        takes = {camera_id: ear.take(camera_id, clip, left[camera_id]) for camera_id, clip in self._clips.items()}
        began = records[np.argmin(records["left_ns"])]
        zero_wall_ns, zero_ns = int(began["left_wall_ns"]), int(began["left_ns"])
        return Played(
            Witness(name, sightings(ear.events, zeros_ns(takes)), takes),
            observe(ear.frames, tuple(self._clips), left, zero_wall_ns),
            sampler.series(zero_ns / NS_PER_S),
            (int(records["left_ns"].max()) - zero_ns) / NS_PER_S,
            lines,
        )


def _processes(process: FleetProcess, server: ServedRecordings) -> dict[str, int]:
    """Names and ids of what runs now."""
    found = {OURSELVES: os.getpid(), SERVER: server.pid, "supervisor": process.pid}
    return found | {status.name: status.pid for status in process.status() if status.pid is not None}
