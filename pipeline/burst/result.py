"""What a run of a scenario has shown: the contents of report.json, from which report.html is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from pipeline.errors import BurstError
from pipeline.foreign import UNREADABLE

SCHEMA = 1

Kind = Literal["warm-up", "steady", "burst", "fault"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation and what became of it.

    Attributes:
        what: The key under `expect`, or a rule that always holds (`nothing_left`, `books`).
        expected: In words.
        found: In words.
        passed: Whether it held.
        miss: By how much it did not, in words; empty where it held.
    """

    what: str
    expected: str
    found: str
    passed: bool
    miss: str = ""


class AgePercentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of ages in ms; None where there was no frame."""

    p50: float | None
    p95: float | None
    p99: float | None


class CameraFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One camera in one phase.

    Attributes:
        offered: Frames that its recording has in that time.
        published: Frames published.
        detected: Frames the detector ran on.
        filled: Frames it did not run on, by reason.
        lost: Frames never published, by cause.
        age: From departure, where that is known of the frame, to publication.
        fleet_age: As the fleet says.
        stride: The mean.
    """

    camera_id: str
    offered: float
    published: int
    detected: int
    filled: dict[str, int]
    lost: dict[str, int]
    age: AgePercentiles
    fleet_age: AgePercentiles
    stride: float | None


class PhaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """One phase: what happened, what was seen, and the verdict.

    Attributes:
        name: As in the scenario.
        kind: What it is.
        detail: The burst or the faults in words; empty for steady ones.
        start_s: When it began, seconds after the first one.
        judged_s: From when on it is judged.
        end_s: When it ended.
        fleet: All cameras together.
        cameras: Those that were there.
        target: The camera that the fault happened to; None where there is none, or several faults.
        recovery_s: From the fault's end until all it happened to were back; None if there was none, or they never were.
        others_p95_ms: 95th percentile of the other cameras' ages.
        others_p95_before_ms: The same in the steady phase before.
        checks: One for each expectation.
    """

    name: str
    kind: Kind
    detail: str
    start_s: float
    judged_s: float
    end_s: float
    fleet: CameraFigures
    cameras: list[CameraFigures]
    checks: list[Check]
    target: str | None = None
    recovery_s: float | None = None
    others_p95_ms: float | None = None
    others_p95_before_ms: float | None = None

    @property
    def judged_span_s(self) -> float:
        """How long it was judged; never nothing, so that rates can be told."""
        return max(self.end_s - self.judged_s, 1e-3)


class FaultMark(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was made, seconds after the first phase began; `error` says why it could not be made."""

    name: str
    camera: str | None
    start_s: float
    end_s: float
    error: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was seen from outside: a camera's state, a process that came back."""

    at_s: float
    subject: str
    text: str


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet's own idea of age beside departure to publication, over frames of which both are known.

    Attributes:
        published: Frames published after warm-up.
        matched: Of these, frames whose departure is known.
        age: Departure to publication.
        fleet_age: As the fleet says, of the same frames.
        difference: The fleet's age less the true one, of each frame.
    """

    published: int
    matched: int
    age: AgePercentiles
    fleet_age: AgePercentiles
    difference: AgePercentiles


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Figures second by second; lists are as long as `at_s`, None where there was no frame.

    Attributes:
        at_s: The middle of each second, after the first phase began.
        p50: Ages of the whole fleet, ms; also `p95`, `p99`.
        fleet_p95: As the fleet says.
        published: Frames in that second; also `detected`.
        filled: Frames by reason.
        lost: Frames by cause.
        stride: Mean of all frames.
        cameras: p50, p95, p99, published frames and stride of each camera.
    """

    at_s: list[float]
    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]
    fleet_p95: list[float | None]
    published: list[int]
    detected: list[int]
    filled: dict[str, list[int]]
    lost: dict[str, list[int]]
    stride: list[float | None]
    cameras: dict[str, CameraSeries]


class CameraSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One camera second by second."""

    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]
    published: list[int]
    stride: list[float | None]


class ProcessSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One process second by second.

    Attributes:
        name: Such as `worker`, `camera gate`, `replay server`.
        at_s: When it was looked at.
        cores: Processor time a second.
        memory_mb: Resident, without what is shared with others by a file or as shared memory.
    """

    name: str
    at_s: list[float]
    cores: list[float]
    memory_mb: list[float]


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what it ran."""

    machine: str
    cores: int
    memory_gb: float
    versions: dict[str, str]
    scenario_yaml: str
    fleet_yaml: str
    log: list[str]


class BurstReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run of a scenario has shown."""

    scenario: str
    started_at: str
    duration_s: float
    passed: bool
    slo_p95_ms: float
    phases: list[PhaseReport]
    checks: list[Check]
    faults: list[FaultMark]
    events: list[Event]
    truth: Truth
    series: Series
    processes: list[ProcessSeries]
    surroundings: Surroundings
    schema: int = SCHEMA

    def failures(self) -> list[tuple[str, Check]]:
        """What did not hold, each with its phase; empty phase for what holds over the whole run."""
        of_phases = [(phase.name, check) for phase in self.phases for check in phase.checks]
        every = [*of_phases, *(("", check) for check in self.checks)]
        return [(name, check) for name, check in every if not check.passed]


def write_report(report: BurstReport, path: Path) -> None:
    """Write `report` as JSON.

    Raises:
        BurstError: It cannot be written.
    """
    try:
        path.write_bytes(msgspec.json.encode(report) + b"\n")
    except OSError as error:
        raise BurstError(f"{path} cannot be written: {error.strerror}") from error


def read_report(path: Path) -> BurstReport:
    """The report in a file, or in the folder that has a report.json.

    Raises:
        BurstError: There is none, or it is of another version.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        return msgspec.json.decode(file.read_bytes(), type=BurstReport)
    except OSError as error:
        raise BurstError(f"{file} cannot be read: {error.strerror}; give a report.json or its folder") from error
    except UNREADABLE as error:
        raise BurstError(f"{file} is no report of this version of camfleet: {error}") from error
