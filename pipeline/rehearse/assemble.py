"""From what all runs have left to the report."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import psutil
from msgspec.structs import replace

from pipeline.burst.judge import passed
from pipeline.burst.series import series
from pipeline.burst.surroundings import processor, versions
from pipeline.config import to_yaml
from pipeline.rehearse.cast import Cast
from pipeline.rehearse.catalogue import Occurrence, Witness, catalogue
from pipeline.rehearse.compare import Measured, by, counts, event_figures, of_both, rows, truth_of
from pipeline.rehearse.expect import Expectation, judge
from pipeline.rehearse.moments import pictures, unseen
from pipeline.rehearse.play import Played
from pipeline.rehearse.result import (
    Around,
    CameraRow,
    DifferenceRow,
    EventRow,
    RehearsalReport,
    RunSeries,
    SideReport,
)
from pipeline.rehearse.score import Figures, cores, figures, others_busy
from pipeline.rehearse.sides import Side, differences, left_out, rehearsed
from pipeline.rehearse.words import sentence
from pipeline.rehearse.yardstick import GROUND_TRUTH, Yardstick


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Everything that was found out.

    Attributes:
        sides: A and B.
        cast: Which recording each camera showed.
        runs: Of A and of B, as many of each.
        truth: What happened by A's rules; None where nobody knows, or nothing can happen.
        yardsticks: What is known of each camera's recording.
        within_s: Events further apart are two.
        began_s: Wall time, s.
    """

    sides: tuple[Side, Side]
    cast: Cast
    runs: tuple[list[Played], list[Played]]
    truth: Witness | None
    yardsticks: Mapping[str, Yardstick]
    within_s: float
    began_s: float

    @property
    def repeats(self) -> int:
        """Runs of each side."""
        return len(self.runs[0])

    @property
    def has_rules(self) -> bool:
        """Whether anything is an event."""
        return any(side.fleet.cameras[name].rules.any for side in self.sides for name in self.cast.recordings)

    def occurrences(self) -> list[Occurrence]:
        """All events of all runs, and those of the truth that are asked for."""
        in_turns = [played.witness for pair in zip(*self.runs, strict=True) for played in pair]
        found = catalogue([*([self.truth] if self.truth else []), *in_turns], self.within_s)
        return [one for one in found if len(one.by) > 1 or one.sighting.wanted]


def assemble(rehearsal: Rehearsal, expected: Sequence[Expectation], most_pictures: int) -> RehearsalReport:
    """The report; scores and draws, which takes a moment.

    Args:
        rehearsal: What was found out.
        expected: What must hold of B.
        most_pictures: Of so many differing events there is a picture.

    Raises:
        PipelineError: It cannot be scored, or a recording not be read any more.
    """
    found = rehearsal.occurrences()
    measured = _measured(rehearsal)
    of_sides = [_figures(rehearsal, index, found, measured) for index in (0, 1)]
    table = rows(*of_sides)
    of_a = {row.key: row.a.median for row in table if row.a is not None}
    of_b = {row.key: row.b.median for row in table if row.b is not None}
    together = of_both(found, rehearsal.repeats) if rehearsal.has_rules else {}
    checks = judge(expected, of_a, of_b, together)
    a, b = (_side(rehearsal, index) for index in (0, 1))
    report = RehearsalReport(
        verdict="",
        passed=passed(checks) if checks else None,
        started_at=datetime.fromtimestamp(rehearsal.began_s, UTC).isoformat(timespec="seconds"),
        seconds=round(max(played.seconds for runs in rehearsal.runs for played in runs), 2),
        repeats=rehearsal.repeats,
        within_s=rehearsal.within_s,
        figures=table,
        counts=counts(found, rehearsal.repeats, measured),
        events=[_event(number, one, rehearsal.repeats, measured) for number, one in enumerate(found, start=1)],
        checks=checks,
        differences=[
            DifferenceRow(**asdict(one)) for one in differences(*rehearsal.sides, list(rehearsal.cast.recordings))
        ],
        cameras=_cameras(rehearsal),
        notes=_notes(rehearsal),
        a=a,
        b=b,
        around=_around(rehearsal),
    )
    report = _with_pictures(report, rehearsal, found, most_pictures)
    return replace(report, verdict=sentence(report))


def _measured(rehearsal: Rehearsal) -> set[tuple[str, str]]:
    """Cameras and their rules of which it is known what happened: ground truth knows no attributes."""
    return {
        (camera_id, name)
        for camera_id, yardstick in rehearsal.yardsticks.items()
        for side in rehearsal.sides
        for (_, name), rule in side.fleet.cameras[camera_id].rules.each()
        if not (rule.attributes and yardstick.source == GROUND_TRUTH)
    }


def _figures(rehearsal: Rehearsal, index: int, found: Sequence[Occurrence], measured: Measured) -> list[Figures]:
    """Of each run of a side; what is counted by most of its runs is the same in all."""
    letter = rehearsal.sides[index].letter
    events = event_figures(found, letter, rehearsal.repeats, measured) if rehearsal.has_rules else {}
    return [figures(played, rehearsal.yardsticks) | events for played in rehearsal.runs[index]]


def _event(number: int, one: Occurrence, repeats: int, measured: Measured) -> EventRow:
    sighting = one.sighting

    def first_s(letter: str) -> float | None:
        seen = [one.by[name].at_s for run in range(1, repeats + 1) if (name := f"{letter}{run}") in one.by]
        return round(statistics.median(seen), 3) if seen else None

    return EventRow(
        number=number,
        camera_id=sighting.camera_id,
        rule=sighting.rule,
        what=sighting.what,
        class_name=sighting.class_name,
        at_s=round(sighting.at_s, 3),
        seen_a=one.runs_of("a"),
        seen_b=one.runs_of("b"),
        a_at_s=first_s("a"),
        b_at_s=first_s("b"),
        truth=truth_of(one, measured),
        by=by(one, repeats),
    )


def _with_pictures(
    report: RehearsalReport, rehearsal: Rehearsal, found: Sequence[Occurrence], most: int
) -> RehearsalReport:
    chosen = [one.number for one in report.different[:most]]
    drawn = dict(zip(chosen, pictures([found[n - 1] for n in chosen], rehearsal.sides, rehearsal.runs), strict=True))
    events = [replace(one, picture=drawn.get(one.number)) for one in report.events]
    return replace(report, events=events)


def _side(rehearsal: Rehearsal, index: int) -> SideReport:
    side, runs = rehearsal.sides[index], rehearsal.runs[index]
    spent = [cores(played) for played in runs]
    kinds = dict.fromkeys(kind for one in spent for kind in one)
    urls = dict.fromkeys(rehearsal.cast.recordings, "rtsp://127.0.0.1/")
    return SideReport(
        file=side.file.name,
        p95_goal_ms=side.fleet.slo.p95_ms,
        left_out=list(left_out(side)),
        cores={kind: round(statistics.median(one.get(kind, 0.0) for one in spent), 3) for kind in kinds},
        runs=[_series(played) for played in runs],
        fleet_yaml=to_yaml(rehearsed(side, urls)),
        log=runs[-1].log,
    )


def _series(played: Played) -> RunSeries:
    made = series(played.observed, 0.0, max(1.0, played.seconds))
    return RunSeries(name=played.witness.name, at_s=made.at_s, p95=made.p95, detected=made.detected, stride=made.stride)


def _cameras(rehearsal: Rehearsal) -> list[CameraRow]:
    takes = rehearsal.runs[0][0].witness.takes
    return [
        CameraRow(
            camera_id=camera_id,
            recording=recording.name,
            seconds=round(takes[camera_id].clip.seconds, 2),
            frames=takes[camera_id].clip.frames,
            yardstick=rehearsal.yardsticks[camera_id].source if camera_id in rehearsal.yardsticks else "",
        )
        for camera_id, recording in rehearsal.cast.recordings.items()
    ]


def _notes(rehearsal: Rehearsal) -> list[str]:
    """What must be known to read the figures."""
    a, b = (side.fleet for side in rehearsal.sides)
    notes = []
    if rehearsal.cast.without:
        notes.append(f"Cameras without a recording are left out: {', '.join(rehearsal.cast.without)}.")
    unlike = [name for name in rehearsal.cast.recordings if a.cameras[name].rules != b.cameras[name].rules]
    if unlike:
        notes.append(
            f"Zones and lines of {', '.join(unlike)} differ between the files; what happened in truth is judged by A's."
        )
    if models := sorted({one.source for one in rehearsal.yardsticks.values()} - {GROUND_TRUTH}):
        notes.append(f"What is called true here is, in part or whole, by {', '.join(models)}, which may be wrong, too.")
    if hidden := [name for name in unseen(rehearsal.sides) if name in rehearsal.cast.recordings]:
        notes.append(f"No picture of {', '.join(hidden)} is shown: classes are blurred there (privacy).")
    if not rehearsal.has_rules:
        notes.append("No camera has zones or lines, so nothing is an event.")
    for side, runs in zip(rehearsal.sides, rehearsal.runs, strict=True):
        notes += _silent(side.letter.upper(), runs)
        notes += _strangers(side.letter.upper(), runs, rehearsal.yardsticks)
    return notes


def _silent(letter: str, runs: Sequence[Played]) -> list[str]:
    """Cameras of which a run published nothing, as what does not come cannot be compared."""
    silent = {name for played in runs for name, take in played.witness.takes.items() if not take.published_ns.any()}
    return [f"{letter} published nothing of {', '.join(sorted(silent))}, in one run at least."] if silent else []


def _strangers(letter: str, runs: Sequence[Played], yardsticks: Mapping[str, Yardstick]) -> list[str]:
    """Classes that the truth does not know, whose boxes count for nothing there."""
    seen = {label for played in runs for name in yardsticks for label in played.witness.takes[name].labels}
    known = {label for yardstick in yardsticks.values() for label in yardstick.ground.labels}
    foreign = sorted(seen - known) if known else []
    if not foreign:
        return []
    return [f"{letter} saw {', '.join(foreign)}, of which the truth knows nothing; accuracy leaves those boxes out."]


def _around(rehearsal: Rehearsal) -> Around:
    busy = [others_busy(played) for runs in rehearsal.runs for played in runs]
    return Around(
        machine=f"{processor()}, {platform.system()} {platform.release()}",
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        busy=round(statistics.fmean(busy), 2),
        versions={"python": platform.python_version(), **versions()},
    )
