"""`camfleet simulate`: a fleet of up to 100,000 cameras in simulated time, and what breaks first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.scale.simulate.figures import Simulation
    from pipeline.scale.simulate.scenario import Scenario

PAGE = Path("simulate.html")


def simulate(
    scenario_file: Annotated[
        Path | None,
        typer.Argument(metavar="[SCENARIO.yaml]", help="What differs from the defaults.", show_default=False),
    ] = None,
    *,
    cameras: Annotated[
        list[int] | None,
        typer.Option(min=1, max=100_000, help="How many cameras; may be given several times.", show_default=False),
    ] = None,
    cell: Annotated[
        int | None,
        typer.Option(min=10, max=100_000, help="Cameras in a cell with a head of its own.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.html",
            help=f"Write the report here; {PAGE} without it, nothing with --json.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Go through a fleet's day with up to 100,000 cameras in simulated time, and say what breaks first.

    Without a file: 1,000, 10,000 and 100,000 cameras on nodes of 8 cores, with a rack lost at noon. One shard is played
    frame by frame through the worker's own core at a range of loads; all shards are drawn from that. The policy of
    scaling and the placement decide as they do in a fleet. Messages cost what was measured for one and for a byte.

    A scenario says what differs: {cameras: [2000], node: {hour: 0.52, cores: 16, lanes: 16}, loss: {what: zone}};
    camfleet schema simulate lists every key.

    Examples: camfleet simulate
              camfleet simulate --cameras 20000 --cell 5000 --out cells.html
              camfleet simulate configs/simulate/day.yaml --json
    """
    from pipeline.cli.steps import steps
    from pipeline.scale.simulate.measured import measured
    from pipeline.scale.simulate.page import require_writable
    from pipeline.scale.simulate.run import simulate as run

    page = out or (None if as_json else PAGE)
    scenario = _scenario(scenario_file, cameras, cell)
    if page is not None:
        require_writable(page)
    with steps("simulating") as step:
        found = run(scenario, measured(), step)
    _show(found, page, as_json)


def _scenario(file: Path | None, cameras: list[int] | None, cell: int | None) -> Scenario:
    """What the file says, and what options say instead."""
    from pipeline.scale.simulate.scenario import Scenario, load_scenario

    scenario = Scenario() if file is None else load_scenario(file)
    said = {"cameras": cameras or None, "cell": cell}
    return scenario.model_copy(update={key: value for key, value in said.items() if value is not None})


def _show(found: Simulation, page: Path | None, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from pipeline.scale.simulate.page import write_page
    from pipeline.scale.simulate.terminal import report

    if page is not None:
        write_page(found, page)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        Console(highlight=False).print(report(found))
    if page is not None:
        typer.echo(f"report: {page}", err=True)
