"""What a rehearsal has shown: the contents of report.json, from which the page and the table are made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from pipeline.burst.result import Check
from pipeline.errors import RehearsalError

SCHEMA = 1
Better = Literal["less", "more", ""]
By = Literal["both", "only_a", "only_b", "neither"]
InTruth = Literal["yes", "no", "unasked", "unknown"]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A figure over the runs of one side."""

    median: float
    least: float
    most: float


class FigureRow(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of both sides.

    Attributes:
        key: As expectations call it.
        words: What it is.
        unit: Empty where it has none.
        decimals: How exactly it is worth telling.
        better: Which of two is better; empty where neither is.
        a: None where it is not known.
        b: Likewise.
    """

    key: str
    words: str
    unit: str
    decimals: int
    better: Better
    a: Spread | None
    b: Spread | None


class CountRow(msgspec.Struct, frozen=True, kw_only=True):
    """How often something happened at a rule, in the median of a side's runs; `truth` is None where it is not known."""

    camera_id: str
    rule: str
    what: str
    a: float
    b: float
    truth: int | None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A box on a picture: whose, px of the upright picture, and whether it is the object that it is about."""

    side: Literal["a", "b", "truth"]
    xyxy: tuple[float, float, float, float]
    about: bool


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of a recording, with what both sides saw on it.

    Attributes:
        jpeg: Base64.
        wh: Size of what `marks` and `rule` are measured on, px; the picture itself may be smaller.
        marks: Boxes.
        rule: Corners of the zone, or ends of the line, px.
        is_line: Which of them.
    """

    jpeg: str
    wh: tuple[int, int]
    marks: list[Mark]
    rule: list[tuple[float, float]]
    is_line: bool


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, by anybody's word.

    Attributes:
        number: Counts them in order of time, from 1.
        at_s: Seconds into the recording, by the truth where that has it.
        seen_a: In how many runs of A; likewise `seen_b`.
        a_at_s: When A saw it first; None where it never did.
        b_at_s: Likewise.
        truth: Whether it happened in truth; `unasked` where its object is tiny or hidden, `unknown` without a truth.
        by: Who saw it in most runs.
        picture: Of that moment.
    """

    number: int
    camera_id: str
    rule: str
    what: str
    class_name: str
    at_s: float
    seen_a: int
    seen_b: int
    a_at_s: float | None
    b_at_s: float | None
    truth: InTruth
    by: By
    picture: Picture | None = None


class DifferenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key that the two files do not agree about."""

    key: str
    a: str
    b: str


class CameraRow(msgspec.Struct, frozen=True, kw_only=True):
    """A camera, its recording, and what it was measured by; empty where there is nothing."""

    camera_id: str
    recording: str
    seconds: float
    frames: int
    yardstick: str


class RunSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A run second by second: p95 of ages in ms, detected frames, mean stride; None where there was no frame."""

    name: str
    at_s: list[float]
    p95: list[float | None]
    detected: list[int]
    stride: list[float | None]


class SideReport(msgspec.Struct, frozen=True, kw_only=True):
    """One side: its file, what of it was left out, its cores by kind of process, and its runs."""

    file: str
    p95_goal_ms: float
    left_out: list[str]
    cores: dict[str, float]
    runs: list[RunSeries]
    fleet_yaml: str
    log: list[str]


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what it ran; `busy` is what other programs took meanwhile, cores in the mean."""

    machine: str
    cores: int
    memory_gb: float
    busy: float
    versions: dict[str, str]


class RehearsalReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a rehearsal has shown; `passed` is None where nothing was expected."""

    verdict: str
    passed: bool | None
    started_at: str
    seconds: float
    repeats: int
    within_s: float
    figures: list[FigureRow]
    counts: list[CountRow]
    events: list[EventRow]
    checks: list[Check]
    differences: list[DifferenceRow]
    cameras: list[CameraRow]
    notes: list[str]
    a: SideReport
    b: SideReport
    around: Around
    schema: int = SCHEMA

    @property
    def different(self) -> list[EventRow]:
        """Events that not both saw, what B missed and the truth has first."""
        found = [one for one in self.events if one.by != "both"]
        return sorted(found, key=lambda one: (_BY[one.by], _TRUE[one.truth], one.at_s))


_BY: dict[By, int] = {"only_a": 0, "only_b": 1, "neither": 2, "both": 3}
_TRUE: dict[InTruth, int] = {"yes": 0, "unknown": 1, "unasked": 2, "no": 3}


def write_report(report: RehearsalReport, path: Path) -> None:
    """Write `report` as JSON, without its pictures.

    Raises:
        RehearsalError: It cannot be written.
    """
    plain = msgspec.structs.replace(
        report, events=[msgspec.structs.replace(one, picture=None) for one in report.events]
    )
    try:
        path.write_bytes(msgspec.json.encode(plain) + b"\n")
    except OSError as error:
        raise RehearsalError(f"{path} cannot be written: {error.strerror}") from error
