"""`camfleet evaluate`: scores against ground truth."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.evaluate.mot import Sequence
    from pipeline.evaluate.score import Scores
    from pipeline.evaluate.tracking import Setup, Tracked

app = typer.Typer(help="Score tracking against ground truth.", no_args_is_help=True)


class Fill(StrEnum):
    """What frames get that the detector did not see."""

    PREDICT = "predict"
    INTERPOLATE = "interpolate"
    NONE = "none"


class Frames(StrEnum):
    """Which frames of a sequence are tracked and scored."""

    ALL = "all"
    SECOND_HALF = "second-half"


class Gmc(StrEnum):
    """Compensation of camera motion from the pictures."""

    OFF = "off"
    SPARSE = "sparse"


class Which(StrEnum):
    """Whose tracker."""

    CAMFLEET = "camfleet"
    ULTRALYTICS = "ultralytics"


@app.callback()
def evaluate() -> None:
    """Score tracking against ground truth."""


@app.command()
def tracking(  # noqa: PLR0917
    sequences: Annotated[
        list[Path],
        typer.Argument(metavar="SEQ…", help="Folders with gt.txt, det.txt and seqinfo.ini.", show_default=False),
    ],
    stride: Annotated[int, typer.Option(min=1, help="Show the tracker every n-th frame; all are scored.")] = 1,
    fill: Annotated[Fill, typer.Option(help="What the other frames get.")] = Fill.PREDICT,
    frames: Annotated[Frames, typer.Option(help="Which frames are tracked and scored.")] = Frames.ALL,
    gmc: Annotated[Gmc, typer.Option(help="Camera motion from the pictures in img1/.")] = Gmc.OFF,
    tracker: Annotated[Which, typer.Option(help="Ours, or Ultralytics' ByteTrack to compare with.")] = Which.CAMFLEET,
    max_delay_ms: Annotated[float, typer.Option(min=0, help="How long --fill interpolate may hold a frame.")] = 1000.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Feed the worker's tracker with recorded detections and score it with TrackEval.

    Sequences are in MOTChallenge's format; its own preprocessing is applied. The delay of
    --fill interpolate is measured in stream time.

    Example: camfleet evaluate tracking MOT17-02 MOT17-05 --stride 3 --fill interpolate --frames second-half
    """
    from pipeline.evaluate.mot import read_sequence
    from pipeline.evaluate.score import score
    from pipeline.evaluate.tracking import Setup, track, track_reference
    from pipeline.track.fill import FillMode

    loaded = [read_sequence(folder, second_half=frames is Frames.SECOND_HALF) for folder in sequences]
    setup = Setup(stride, FillMode(fill.value), max_delay_ms / 1000, gmc is Gmc.SPARSE)
    run = track_reference if tracker is Which.ULTRALYTICS else track
    tracked = [run(sequence, setup) for sequence in loaded]
    combined, single = score(loaded, [done.tracks for done in tracked])
    if as_json:
        settings = {"tracker": tracker.value, "frames": frames.value, "gmc": gmc.value}
        print(json.dumps(settings | _as_dict(setup, combined, single, loaded, tracked), indent=2))
    else:
        _print_table(combined, single, loaded, tracked)


def _as_dict(
    setup: Setup, combined: Scores, single: list[Scores], sequences: list[Sequence], tracked: list[Tracked]
) -> dict[str, Any]:
    return {
        "stride": setup.stride,
        "fill": setup.fill.value,
        "combined": combined.as_dict() | {"ms_per_frame": round(_ms_per_frame(tracked), 4)},
        "sequences": {
            sequence.name: scores.as_dict() | {"frames": len(sequence), "ms_per_frame": round(done.ms_per_frame, 4)}
            for sequence, scores, done in zip(sequences, single, tracked, strict=True)
        },
    }


def _ms_per_frame(tracked: list[Tracked]) -> float:
    count = sum(len(done.tracks) for done in tracked)
    return sum(done.ms_per_frame * len(done.tracks) for done in tracked) / max(1, count)


def _print_table(combined: Scores, single: list[Scores], sequences: list[Sequence], tracked: list[Tracked]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = list(combined.as_dict())
    table = Table("sequence", box=None, pad_edge=False)
    for name in (*names, "ms/frame"):
        table.add_column(name, justify="right")
    rows = [(s.name, scores, t.ms_per_frame) for s, scores, t in zip(sequences, single, tracked, strict=True)]
    for name, scores, ms in (*rows, ("combined", combined, _ms_per_frame(tracked))):
        values = [f"{value:.2f}" if column != "IDSW" else f"{value:.0f}" for column, value in scores.as_dict().items()]
        table.add_row(name, *values, f"{ms:.3f}", style="bold" if scores is combined else None)
    Console().print(table)
