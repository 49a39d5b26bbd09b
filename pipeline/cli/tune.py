"""`camfleet tune`: the best settings for this machine, found by real runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from pipeline.tune.figures import Figures
    from pipeline.tune.order import Order, Prepared
    from pipeline.tune.outcome import Outcome
    from pipeline.tune.setting import Setting


def tune(
    fleet_file: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet to tune.", show_default=False)],
    *,
    goal: Annotated[
        str,
        typer.Option(
            help="What must be kept: p95<=150ms, and detect_hz>=60 where so many detections a second are enough. "
            "Without it, what the file promises, and as many detections as there can be.",
            show_default=False,
        ),
    ] = "",
    budget: Annotated[
        str, typer.Option(help="What it may cost in accuracy, points: map_loss<=1.0, hota_loss<=1.0.")
    ] = "map_loss<=1.0",
    time: Annotated[str, typer.Option(help="How long it may take: 15m, 90s, 1h30m.")] = "15m",
    models: Annotated[
        list[Path] | None,
        typer.Option("--model", help="Another model that may take the place of the file's; may be repeated."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DATASET.yaml", help="Labelled pictures, on which models are judged."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="A better model that stands for labels where there are none."),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Recordings to play in place of the cameras: those of their names, else in turn. Without it, the "
            "file's own where all cameras are recordings, else a clip of each is recorded first.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=1, help="How long a run is measured at first.")] = 5,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on where the same question was interrupted.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Find the settings with which this machine detects the most within the promised latency; keep them by hardware.

    Tries, in order of leverage, other models, inputs and precisions (judged by --data, by --reference, or by ground
    truth beside the recordings), batch, waiting time, lanes, streams, threads and what else the backend has, by real
    runs of the fleet over recordings: in turns, by medians, never by a single run. Then several at once (Optuna), and
    at the end the file's own setting and the best one in turns. What is found is written to profiles/ beside the fleet
    file; camfleet run uses it on this hardware. Keys that the fleet file sets itself are yours and are not tuned.

    Ctrl-C keeps what was measured; the same command goes on from there. For figures worth keeping, let nothing else
    run. Exit code 1: the goal is not met within the budget.

    Example: camfleet tune configs/demo.yaml --recordings samples --goal 'p95<=150ms' --budget 'map_loss<=1.0'
    """
    from pipeline.logs import choose_log_level, configure_logs
    from pipeline.tune.order import Order, carry_out, prepare

    order = Order(
        fleet_file=fleet_file,
        goal=goal,
        budget=budget,
        time=time,
        models=tuple(models or ()),
        data=data,
        reference=reference,
        recordings=recordings,
        seconds=seconds,
        resume=resume,
    )
    choose_log_level("error")  # A hundred fleets are started: that cameras come and go is no news.
    configure_logs("tune")
    prepared = prepare(order, _say)
    with _watching(prepared.time_s) as watch:
        try:
            outcome = carry_out(prepared, watch)
        except KeyboardInterrupt:
            _say(f"interrupted; {prepared.journal} keeps what was measured, and the same command goes on from there")
            raise
    _finish(order, prepared, outcome, as_json)


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextlib.contextmanager
def _watching(time_s: float) -> Iterator[_Watching]:
    """A bar with the time on a terminal, lines elsewhere; on stderr, because stdout is for the result."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.fields[left]} left"), BarColumn(20), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Watching(progress, time_s)


class _Watching:
    """Tells people how a search goes."""

    def __init__(self, progress: Progress, time_s: float) -> None:
        self._progress, self._time_s, self._left_s = progress, time_s, time_s
        self._task = progress.add_task("beginning", total=time_s, left=self._clock(time_s))

    def step(self, words: str) -> None:
        """What is being looked at now."""
        self._progress.console.print(f"[bold]{words}[/]" if self._progress.console.is_terminal else f"{words} …")
        self._progress.update(self._task, description=words)

    def ran(self, setting: Setting, figures: Figures | None, why: str, left_s: float) -> None:
        """One run more."""
        self._left_s = left_s
        told = f"cannot: {why}" if figures is None else f"{figures.detected_hz:.1f} /s, p95 {figures.p95_ms:.0f} ms"
        line = f"  {self._clock(left_s):>6} left  {setting.words}: {told}"
        self._progress.console.print(line, markup=False, soft_wrap=True)
        self.turn(0.0)

    def turn(self, spent_s: float) -> None:
        """How far a run is."""
        left_s = self._left_s - spent_s
        self._progress.update(self._task, completed=self._time_s - left_s, left=self._clock(left_s))

    @staticmethod
    def _clock(seconds: float) -> str:
        from pipeline.tune.goal import time_words

        return time_words(seconds)


def _finish(order: Order, prepared: Prepared, outcome: Outcome, asked_json: bool) -> None:
    """Write the profile and tell what was found; exit with 1 if the goal is not met."""
    import json
    from datetime import UTC, datetime

    from rich.console import Console

    from pipeline.tune.profile import write_profile
    from pipeline.tune.report import as_json, as_section, measured_on, report
    from pipeline.tune.use import model_as_written

    about = measured_on(
        prepared.fingerprint.words,
        prepared.footage.words,
        prepared.fingerprint.libraries,
        outcome.spent_s,
        outcome.seconds,
    )
    written = None
    if outcome.tells:
        model = model_as_written(order.fleet_file, prepared.fleet)
        date = datetime.now(UTC).date().isoformat()
        section = as_section(outcome, about, model, date, prepared.profile)
        write_profile(prepared.profile, prepared.fingerprint, prepared.fleet.name, section)
        written = prepared.profile
    if asked_json:
        print(json.dumps(as_json(outcome, about, written), indent=2, ensure_ascii=False))
    else:
        Console(highlight=False).print(report(outcome, about), soft_wrap=True)
    if written is not None:
        _say(f"written: {written}; camfleet run {order.fleet_file} uses it on this machine")
    if not outcome.reached:
        raise typer.Exit(1)
