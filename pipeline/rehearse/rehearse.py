"""The whole of it, in order: what should have been seen, and then A B A B."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.rehearse.assemble import Rehearsal
from pipeline.rehearse.cast import Cast, cut
from pipeline.rehearse.catalogue import WITHIN_S
from pipeline.rehearse.play import Played, Progress, Stage
from pipeline.rehearse.sides import Side
from pipeline.rehearse.take import Clip
from pipeline.rehearse.yardstick import Yardstick, find_truth, make_reference, true_witness


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to rehearse.

    Attributes:
        duration_s: So much of each recording; None for all of it.
        repeats: Runs of each side.
        ground_truth: The folder of ground truth; None for the usual place beside each recording.
        reference: A heavier model, for cameras without ground truth; None for none.
        within_s: Events further apart are two.
    """

    duration_s: float | None = None
    repeats: int = 1
    ground_truth: Path | None = None
    reference: str | None = None
    within_s: float = WITHIN_S


@dataclass(frozen=True, slots=True)
class Moment:
    """How far all of it is: what goes on, how much of that is done, 0..1, and of late in words."""

    doing: str
    share: float
    late: str = ""


Tell = Callable[[Moment], None]


def rehearse(sides: tuple[Side, Side], cast: Cast, wanted: Wanted, folder: Path, tell: Tell) -> Rehearsal:
    """Play both sides over all recordings, in turns; blocks, and ends all that it starts.

    Args:
        sides: A and B.
        cast: Which recording each camera shows.
        wanted: How.
        folder: For what is kept meanwhile.
        tell: Called a few times a second.

    Raises:
        PipelineError: A fleet or model cannot start, or a recording cannot be played.
    """
    began_s = time.time()
    clips = _clips(cast, wanted, folder)
    yardsticks = _yardsticks(sides[0], cast, clips, wanted, tell)
    rules = {camera_id: sides[0].fleet.cameras[camera_id].rules for camera_id in clips}
    truth = true_witness(yardsticks, rules, clips) if yardsticks and any(one.any for one in rules.values()) else None
    runs: tuple[list[Played], list[Played]] = ([], [])
    longest_s = max(clip.seconds for clip in clips.values())
    for number in range(1, wanted.repeats + 1):
        for side, played in zip(sides, runs, strict=True):
            title = f"{side.letter.upper()}, {side.file.name}" + (
                f", run {number} of {wanted.repeats}" if wanted.repeats > 1 else ""
            )
            stage = Stage(clips, folder, lambda now, title=title: tell(_moment(title, now, longest_s)))  # type: ignore[misc]
            played.append(stage.play(side, number))
    return Rehearsal(sides, cast, runs, truth, yardsticks, wanted.within_s, began_s)


def _moment(title: str, now: Progress, longest_s: float) -> Moment:
    late = f"{now.published_hz:.0f} frames/s, p95 {now.age_p95_ms:.0f} ms" if now.published_hz and now.seconds else ""
    return Moment(f"{title}: {now.doing}", now.seconds / longest_s, late)


def _clips(cast: Cast, wanted: Wanted, folder: Path) -> dict[str, Clip]:
    """The recordings as they are played: whole, or their beginnings."""
    found = {}
    for camera_id, recording in cast.recordings.items():
        file = recording
        if wanted.duration_s is not None:
            own = folder / f"clip-{camera_id}"
            own.mkdir()
            file = cut(recording, wanted.duration_s, own)
        found[camera_id] = Clip.read(file)
    return found


def _yardsticks(side: Side, cast: Cast, clips: Mapping[str, Clip], wanted: Wanted, tell: Tell) -> dict[str, Yardstick]:
    known = find_truth(cast.recordings, clips, wanted.ground_truth)
    missing = {camera_id: clip for camera_id, clip in clips.items() if camera_id not in known}
    if wanted.reference is not None and missing:
        frames = sum(clip.frames for clip in missing.values())
        doing = f"the reference, {Path(wanted.reference).name}, on every frame"
        tell(Moment(doing, 0.0))
        known |= make_reference(
            side, wanted.reference, missing, lambda count: tell(Moment(doing, count / frames, f"{count} of {frames}"))
        )
    return {camera_id: known[camera_id] for camera_id in clips if camera_id in known}
