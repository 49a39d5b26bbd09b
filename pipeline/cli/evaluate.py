"""`camfleet evaluate`: scores against ground truth."""

from __future__ import annotations

import contextlib
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from rich.console import Console

    from pipeline.config.values import Fleet
    from pipeline.evaluate.ground_truth import GroundTruth
    from pipeline.evaluate.mot import Sequence
    from pipeline.evaluate.run import RunScores
    from pipeline.evaluate.score import Scores
    from pipeline.evaluate.streaming import Streamed
    from pipeline.evaluate.tracking import Setup, Tracked

app = typer.Typer(no_args_is_help=True)


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
    r"""Score tracking, or a whole run, against ground truth; needs pip install 'camfleet\[evaluate]'."""


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
    from pipeline.extras import require
    from pipeline.track.fill import FillMode

    require("evaluate", "evaluate tracking", "trackeval")
    if tracker is Which.ULTRALYTICS:
        require("ultralytics", "--tracker ultralytics")
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
        table.add_row(name, *_values(scores, 2), f"{ms:.3f}", style="bold" if scores is combined else None)
    Console().print(table)


def _values(scores: Scores, digits: int) -> list[str]:
    return [f"{value:.{0 if name == 'IDSW' else digits}f}" for name, value in scores.as_dict().items()]


Recordings = Annotated[
    Path, typer.Argument(metavar="FLEET.yaml", help="A fleet whose cameras are recordings.", show_default=False)
]
GroundTruthFolder = Annotated[
    Path | None,
    typer.Option(help="Has a folder for each camera or recording; without it, ground_truth/ beside the recording."),
]


@app.command()
def run(
    fleet_file: Recordings,
    ground_truth: GroundTruthFolder = None,
    stride: Annotated[int | None, typer.Option(min=1, max=100, help="Instead of what the file says.")] = None,
    fill: Annotated[Fill | None, typer.Option(help="Instead of what the file says.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run a fleet over recordings and score what it publishes with TrackEval, detector included.

    Each camera is called as its folder of ground truth: gt/gt.txt and seqinfo.ini in MOTChallenge's format, and beside
    them or one folder up labels.txt with the names of the classes. Objects less than 10 px high, 4 px wide or a quarter
    visible are neither wanted nor false. With pace: fastest the scores do not depend on the machine's speed.

    Example: camfleet evaluate run configs/evaluate.yaml --stride 3 --fill interpolate
    """
    from pipeline.config import load_fleet
    from pipeline.evaluate.play import play
    from pipeline.evaluate.run import score_run
    from pipeline.extras import require

    require("evaluate", "evaluate run", "trackeval")
    fleet = _changed(load_fleet(fleet_file), stride, fill)
    grounds, progress = _prepare(fleet, ground_truth)
    with progress as turn:
        played = play(fleet, turn)
    scored = score_run(grounds, played)
    if as_json:
        print(json.dumps(_run_as_dict(fleet, scored), indent=2))
    else:
        _print_run(scored)


@app.command()
def streaming(
    fleet_file: Recordings,
    ground_truth: GroundTruthFolder = None,
    settle: Annotated[float, typer.Option(min=0, help="So many seconds at the beginning count for nothing.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run a fleet over recordings in real time, and score what a consumer holds at each moment.

    At the capture of each frame, the newest boxes that have come until then are judged against the truth of that
    moment: streaming accuracy, latency and accuracy in one number (arXiv:2005.10420). Once as they were published, and
    once carried to the moment by their velocity, as result.at() and Subscriber(present=True) do. The scores depend on
    the machine and on what else it does. Ground truth as for camfleet evaluate run.

    Example: camfleet evaluate streaming configs/evaluate.yaml
    """
    from pipeline.config import load_fleet
    from pipeline.evaluate.play import listen_to
    from pipeline.evaluate.streaming import score_streaming
    from pipeline.extras import require

    require("evaluate", "evaluate streaming", "faster_coco_eval")
    fleet = _in_real_time(load_fleet(fleet_file))
    grounds, progress = _prepare(fleet, ground_truth)
    with progress as turn:
        heard = listen_to(fleet, turn)
    streamed = score_streaming(grounds, heard, settle)
    if as_json:
        print(json.dumps({"fleet": fleet.name} | _streamed_as_dict(streamed), indent=2))
    else:
        _print_streamed(streamed)


def _prepare(
    fleet: Fleet, ground_truth: Path | None
) -> tuple[dict[str, GroundTruth], AbstractContextManager[Callable[[int], None]]]:
    """What the cameras show, if they are recordings with ground truth; and a bar for playing them."""
    from pipeline.evaluate.play import require_recordings
    from pipeline.evaluate.run import find_ground_truth
    from pipeline.logs import choose_log_level, configure_logs

    choose_log_level("warning")
    configure_logs("evaluate")
    require_recordings(fleet)
    grounds = find_ground_truth(fleet, ground_truth)
    return grounds, _progress(fleet, sum(len(ground.sequence) for ground in grounds.values()))


def _in_real_time(fleet: Fleet) -> Fleet:
    cameras = {name: camera.model_copy(update={"pace": "realtime"}) for name, camera in fleet.cameras.items()}
    return fleet.model_copy(update={"cameras": cameras})


def _streamed_as_dict(streamed: Streamed) -> dict[str, Any]:
    return {
        "published": streamed.published.as_dict(),
        "present": streamed.present.as_dict(),
        "cameras": {
            name: {"published": published.as_dict(), "present": present.as_dict()}
            for name, (published, present) in streamed.cameras.items()
        },
        "detected_hz": round(streamed.detected_hz, 1),
        "held_p50_ms": round(streamed.held_p50_ms, 1),
        "held_p95_ms": round(streamed.held_p95_ms, 1),
        "left_out": dict(streamed.left_out),
    }


def _print_streamed(streamed: Streamed) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("camera", box=None, pad_edge=False)
    for name in (*streamed.published.as_dict(), *(f"{name} now" for name in streamed.present.as_dict())):
        table.add_column(name, justify="right", no_wrap=True)
    for name, (published, present) in (*streamed.cameras.items(), ("all", (streamed.published, streamed.present))):
        figures = [f"{value:.1f}" for one in (published, present) for value in one.as_dict().values()]
        table.add_row(name, *figures, style="bold" if name == "all" else None)
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"detected {streamed.detected_hz:.0f} a second; boxes that are held were captured "
        f"{streamed.held_p50_ms:.0f} ms before (median), 95 of 100 less than {streamed.held_p95_ms:.0f} ms. "
        "“now”: boxes carried to the present"
    )
    _print_left_out(console, streamed.left_out)


def _changed(fleet: Fleet, stride: int | None, fill: Fill | None) -> Fleet:
    """The fleet with another stride and filling, of all cameras."""
    from pipeline.config.camera import Stride

    cameras = {}
    for camera_id, camera in fleet.cameras.items():
        track = camera.track.model_copy(update={} if fill is None else {"fill": fill.value})
        changes = {"track": track} if stride is None else {"track": track, "stride": Stride(min=stride, max=stride)}
        cameras[camera_id] = camera.model_copy(update=changes)
    return fleet.model_copy(update={"cameras": cameras})


@contextlib.contextmanager
def _progress(fleet: Fleet, frames: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line elsewhere; on stderr, because stdout is for the result."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    words = f"running {len(fleet.cameras)} recordings, {frames} frames"
    if not console.is_terminal:
        typer.echo(f"{words} …", err=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(words, total=frames)
        yield lambda count: progress.update(task, completed=count)


def _run_as_dict(fleet: Fleet, scored: RunScores) -> dict[str, Any]:
    return {
        "fleet": fleet.name,
        "combined": scored.combined.as_dict(),
        "classes": {label: scores.as_dict() for label, scores in scored.classes.items()},
        "cameras": {
            camera.camera_id: camera.scores.as_dict()
            | {
                "stride": fleet.cameras[camera.camera_id].stride.model_dump(),
                "fill": fleet.cameras[camera.camera_id].track.fill,
                "pace": fleet.cameras[camera.camera_id].pace,
                "frames": camera.frames,
                "detected": camera.detected,
                "filled": dict(camera.filled),
                "lost": dict(camera.lost),
            }
            for camera in scored.cameras
        },
        "left_out": dict(scored.left_out),
    }


def _print_run(scored: RunScores) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("camera", no_wrap=True)
    for name in (*scored.combined.as_dict(), "detected", "filled", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    counts = [(c.detected, sum(c.filled.values()), sum(c.lost.values())) for c in scored.cameras]
    for camera, count in zip(scored.cameras, counts, strict=True):
        table.add_row(camera.camera_id, *_values(camera.scores, 1), *map(str, count))
    totals = [str(sum(column)) for column in zip(*counts, strict=True)]
    table.add_row("combined", *_values(scored.combined, 1), *totals, style="bold")
    for label, scores in scored.classes.items():
        table.add_row(f"  {label}", *_values(scores, 1))
    console = Console()
    console.print(table)
    _print_left_out(console, scored.left_out)


def _print_left_out(console: Console, left_out: Mapping[str, int]) -> None:
    for name, boxes in left_out.items():
        console.print(f"left out: {boxes} boxes of “{name}”, which the ground truth does not know", highlight=False)
