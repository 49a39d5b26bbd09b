"""`camfleet bench`: what a machine can do for a fleet, and what the fleet makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.bench.figures import Bench, CameraCost
    from pipeline.cli.steps import Step
    from pipeline.config.values import Fleet

BARE_S, DECODE_S, SETTLE_S = (2.0, 5.0), (1.0, 3.0), (2.0, 8.0)
"""How long the other parts take, at least and at most: a quarter of --seconds in between."""


def bench(
    fleet_file: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet to measure.", show_default=False)],
    seconds: Annotated[
        float, typer.Option("--seconds", "-s", min=1, help="How long the whole fleet is measured.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure the detector alone, each camera's decoding alone, then the fleet; say where the time goes.

    Several devices are measured at once. The fleet publishes on a free local port meanwhile, whatever its file says.
    For figures worth keeping, let nothing else run: what other programs take is told, and not counted against the
    fleet. Exit code 1 says that a camera could not be measured.

    Example: camfleet bench configs/demo.yaml --seconds 30 --json > bench.json
    """
    from pipeline.cli.steps import steps
    from pipeline.config import load_fleet
    from pipeline.logs import choose_log_level, configure_logs

    fleet = load_fleet(fleet_file)
    choose_log_level("warning")  # In the fleet's processes, too: their lines would be written into the bars.
    configure_logs("bench")
    with steps("measuring") as step:
        measured = _measure(fleet, seconds, step)
    _print(measured, as_json)
    if any(camera.error for camera in measured.cameras):
        raise typer.Exit(1)


def _measure(fleet: Fleet, seconds: float, begin: Step) -> Bench:
    from pipeline.bench import machine
    from pipeline.bench.bare import measure_bare
    from pipeline.bench.decode import measure_decode
    from pipeline.bench.figures import Bench
    from pipeline.bench.fleet import Span, measure_fleet
    from pipeline.bench.verdict import judge

    bare_s, decode_s, settle_s = (_between(*bounds, seconds / 4) for bounds in (BARE_S, DECODE_S, SETTLE_S))
    cores = machine.usable_cores()
    bare = measure_bare(fleet, bare_s, begin("the detector alone", bare_s))
    count = len(fleet.cameras)
    turn = begin(f"{count} camera{'' if count == 1 else 's'}, each alone", count)
    known: list[CameraCost] = []

    def done(cost: CameraCost) -> None:
        known.append(cost)
        turn(len(known))

    cameras = measure_decode(fleet.cameras.values(), bare.input_wh, decode_s, done)
    step = begin("the whole fleet", settle_s + seconds)
    run = measure_fleet(fleet, Span(settle_s, seconds), step)
    step(settle_s + seconds)
    return Bench(
        fleet=fleet.name,
        machine=machine.name(),
        cores=cores,
        slo_p95_ms=fleet.slo.p95_ms,
        bare=bare,
        cameras=cameras,
        run=run,
        verdict=judge(cores, bare, cameras, run, fleet.slo.p95_ms),
    )


def _between(least: float, most: float, value: float) -> float:
    return min(max(value, least), most)


def _print(measured: Bench, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from pipeline.bench.report import report

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(measured)).decode())
    else:
        Console(highlight=False).print(report(measured))
