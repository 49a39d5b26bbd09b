"""`camfleet plan`: what a load needs, before it is there, with a sum that can be checked by hand."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import msgspec
    from rich.console import RenderableType
    from rich.progress import Progress

    from pipeline.capacity.figures import Plan
    from pipeline.capacity.prices import Prices
    from pipeline.capacity.task import Source, Task
    from pipeline.config.values import Fleet
    from pipeline.plan import StrideBounds

MEASURED = "measured"
P95_MS, MOST_P95_MS = "150", 60_000
NOTHING, STRIDE = "0", "1-8"
_STRIDE = re.compile(r"(?P<least>[1-9]\d?|100)(\s*[-:]\s*(?P<most>[1-9]\d?|100))?")


def plan(  # noqa: PLR0917
    fleet_file: Annotated[
        Path | None,
        typer.Argument(metavar="[FLEET.yaml]", help="A fleet whose cameras, detector and machine are measured."),
    ] = None,
    cameras: Annotated[int | None, typer.Option(min=1, max=10_000, help="How many cameras.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.1, max=1000, help="Frames a second of each.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=100_000, help="Requests a second instead, coming at random.")
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(help="Time of one detector for batches: b1=25ms,b4=34ms; or measured, with FLEET.yaml."),
    ] = None,
    pre: Annotated[str, typer.Option(help="What a frame needs before it can be detected, such as 2ms.")] = NOTHING,
    post: Annotated[str, typer.Option(help="What it needs after its detection.")] = NOTHING,
    network: Annotated[str, typer.Option(help="On its way here and back.")] = NOTHING,
    p95: Annotated[
        str | None, typer.Option(help="The age that 95 of 100 frames stay below; 150ms, or what FLEET.yaml promises.")
    ] = None,
    instances: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Detectors at work at once; found if left out.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, max=1024, help="Frames in a batch at most; found.")] = None,
    wait: Annotated[str | None, typer.Option(help="How long a frame waits for others; found.")] = None,
    stride: Annotated[str, typer.Option(help="Bounds of the stride: 2, or 1-8.")] = STRIDE,
    min_detect_hz: Annotated[float, typer.Option(min=0, max=1000, help="Detections a second of each, at least.")] = 0,
    max_detect_hz: Annotated[float, typer.Option(min=0, max=1000, help="The same, at most; 0: no bound.")] = 0,
    more: Annotated[int, typer.Option(min=0, max=10_000, help="Also: what if so many cameras more?")] = 0,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Price table (YAML): machines and cost by kind and region.")
    ] = None,
    archive: Annotated[
        float, typer.Option(min=0, max=1e9, help="Hours of recordings to work through besides, at spot prices.")
    ] = 0,
    example: Annotated[int | None, typer.Option(min=1, max=5, help="A worked example instead.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Run FLEET.yaml and compare with what is predicted.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=2, help="How long --check measures.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Find batch, waiting time, instances and stride for a load, its ages, machines and their price.

    The sum is shown step by step. Ages come from the worker's own core, played on a virtual clock. Without --instances
    as many as needed are found. Exit code 1 says that the promise would not be kept.

    A price table names kinds of machines: {currency: EUR, machines: {small: {hour: {frankfurt: 0.66}, spot: 0.2,
    service: {b1: 18, b4: 24}, instances: 1}}}; spot, service and instances may be left out.

    Examples: camfleet plan --cameras 6 --fps 25 --service b1=9ms,b8=27ms --pre 2ms --p95 150ms --more 2
              camfleet plan --service measured fleet.yaml --prices prices.yaml
              camfleet plan --check fleet.yaml --seconds 30
              camfleet plan --example 1
    """
    given = {
        "--cameras": cameras, "--fps": fps, "--rate": rate, "--instances": instances, "--batch": batch, "--wait": wait,
        "--pre": pre != NOTHING, "--post": post != NOTHING, "--network": network != NOTHING,
        "--stride": stride != STRIDE, "--min-detect-hz": min_detect_hz, "--max-detect-hz": max_detect_hz,
    }  # fmt: skip
    beside = {"--p95": p95, "--prices": prices, "--archive": archive}
    if example is not None:
        others = {"--check": check, "FLEET.yaml": fleet_file, "--service": service}
        _refuse({**given, **beside, **others}, "the example brings its own")
    elif check:
        checked = _require(fleet_file, "--check")
        _refuse({**given, **beside, "--more": more}, "--check goes by FLEET.yaml and by nothing else")
        _refuse_times(service)
        _check(checked, seconds, as_json)
        return
    elif fleet_file is not None or service == MEASURED:
        _require(fleet_file, "--service measured")
        _refuse(given, "FLEET.yaml says that itself, or it is measured")
        _refuse_times(service)
    with _progress() as progress:
        if example is not None:
            made = _example(example, more, progress)
        elif fleet_file is not None:
            made = _of_fleet(fleet_file, p95, more, prices, archive, progress)
        else:
            task = _task(
                _sources(cameras, fps, rate, _bounds(stride, min_detect_hz, max_detect_hz)),
                service, (pre, post, network), p95 or P95_MS, instances, batch, wait,
            )  # fmt: skip
            made = _of_task(task, more, prices, archive, progress)
    _print(made, as_json)
    if not (made.sizing.fits and made.rehearsal.kept):
        raise typer.Exit(1)


def _require(fleet_file: Path | None, option: str) -> Path:
    from pipeline.errors import ConfigError

    if fleet_file is None:
        raise ConfigError(f"{option} needs a FLEET.yaml, whose cameras and detector it measures")
    return fleet_file


def _refuse(given: Mapping[str, object], why: str) -> None:
    """What is said elsewhere is not said twice: an option that has no effect would be believed to have one."""
    from pipeline.errors import ConfigError

    for option, value in given.items():
        if value:
            raise ConfigError(f"{option}: {why}; leave out one of the two")


def _refuse_times(service: str | None) -> None:
    from pipeline.errors import ConfigError

    if service not in (None, MEASURED):
        raise ConfigError(
            "--service: with FLEET.yaml it is measured; leave out the times, or give --cameras and --fps and no file"
        )


def _bounds(stride: str, min_detect_hz: float, max_detect_hz: float) -> StrideBounds:
    from pipeline.errors import ConfigError
    from pipeline.plan import StrideBounds

    match = _STRIDE.fullmatch(stride.strip())
    if match is None:
        raise ConfigError(f"--stride: found “{stride}”, expected a number from 1 to 100, or two such as 1-8")
    least, most = int(match["least"]), int(match["most"] or match["least"])
    if most < least:
        raise ConfigError(f"--stride: {most} is smaller than {least}; the smaller one comes first")
    if 0 < max_detect_hz < min_detect_hz:
        raise ConfigError(
            f"--max-detect-hz: {max_detect_hz:g} is below --min-detect-hz ({min_detect_hz:g}); a camera cannot be "
            "detected at most so often and more often than that"
        )
    return StrideBounds(least, most, min_detect_hz=min_detect_hz, max_detect_hz=max_detect_hz)


def _sources(cameras: int | None, fps: float | None, rate: float | None, bounds: StrideBounds) -> tuple[Source, ...]:
    from pipeline.capacity import task
    from pipeline.errors import ConfigError

    if rate is not None and (cameras, fps) != (None, None):
        raise ConfigError("--rate: requests come instead of cameras; leave out --cameras and --fps, or --rate")
    if rate is not None:
        return task.callers(rate)
    if (cameras is None) != (fps is None):
        missing, there = ("--fps", "--cameras") if fps is None else ("--cameras", "--fps")
        raise ConfigError(f"{missing} is missing; {there} alone does not say how many frames come")
    return task.cameras(cameras, fps, bounds) if cameras is not None and fps is not None else ()


def _task(  # noqa: PLR0917
    sources: tuple[Source, ...],
    service: str | None,
    overheads: tuple[str, str, str],
    p95: str,
    instances: int | None,
    batch: int | None,
    wait: str | None,
) -> Task:
    from pipeline.capacity.service import EXAMPLE, parse_ms, parse_service
    from pipeline.capacity.task import Overheads, Task
    from pipeline.errors import ConfigError

    if service is None:
        raise ConfigError(f"--service is missing; expected such as {EXAMPLE}, or measured with a FLEET.yaml")
    if not sources and instances is None:
        raise ConfigError("nothing says what comes; give --cameras and --fps, or --rate, or how many --instances carry")
    named = zip(("--pre", "--post", "--network"), overheads, strict=True)
    times = parse_service(service)
    if batch is not None and batch > times.sizes[-1]:
        raise ConfigError(f"--batch: {batch} is more than the largest of --service, {times.sizes[-1]}")
    return Task(
        sources=sources,
        service=times,
        p95_ms=_promise(p95),
        overheads=Overheads(*(parse_ms(text, option) for option, text in named)),
        instances=instances,
        batch=batch,
        wait_ms=None if wait is None else parse_ms(wait, "--wait"),
    )


def _promise(text: str) -> float:
    from pipeline.capacity.service import parse_ms
    from pipeline.errors import ConfigError

    p95_ms = parse_ms(text, "--p95")
    if not 1 <= p95_ms <= MOST_P95_MS:
        raise ConfigError(f"--p95: found “{text}”, expected from 1ms to {MOST_P95_MS // 1000}s")
    return p95_ms


def _of_task(task: Task, more: int, prices: Path | None, archive: float, progress: Progress) -> Plan:
    from pipeline.capacity.answer import answer

    table = None if prices is None else _prices(prices)
    words = progress.add_task("planning", total=None)
    made = answer("plan", task, more, lambda told: progress.update(words, description=told))
    return made if table is None else _priced(made, task, table, archive)


def _example(number: int, more: int, progress: Progress) -> Plan:
    import msgspec

    from pipeline.capacity.examples import EXAMPLES

    shown = EXAMPLES[number - 1]
    made = _of_task(shown.task, more if shown.task.regular else 0, None, 0.0, progress)
    title = f"Example {number}: {shown.title}\nThe lesson: {shown.answer}\ncamfleet plan {shown.command}"
    return msgspec.structs.replace(made, title=title)


def _of_fleet(  # noqa: PLR0917
    fleet_file: Path, p95: str | None, more: int, prices: Path | None, archive: float, progress: Progress
) -> Plan:
    from pipeline.capacity.fleet import measure, plan_fleet, task_of
    from pipeline.config import Slo

    fleet, table = _load(fleet_file), None if prices is None else _prices(prices)
    if p95 is not None:
        fleet = fleet.model_copy(update={"slo": Slo(p95_ms=_promise(p95))})
    _quiet()
    found = measure(fleet, _steps(progress))
    made = plan_fleet(fleet, found, as_it_is=False, more=more)
    return made if table is None else _priced(made, task_of(fleet, found, as_it_is=False)[0], table, archive)


def _check(fleet_file: Path, seconds: float, as_json: bool) -> None:
    from pipeline.capacity.check import check
    from pipeline.capacity.report import report_check

    fleet = _load(fleet_file)
    _quiet()
    with _progress() as progress:
        done = check(fleet, seconds, _steps(progress))
    _show(done, as_json, lambda: report_check(done))


def _quiet() -> None:
    """In the processes of a fleet, too: its cameras' comings and goings would be written into the bars."""
    from pipeline.logs import choose_log_level, configure_logs

    choose_log_level("warning")
    configure_logs("plan")


def _load(fleet_file: Path) -> Fleet:
    from pipeline.config import load_fleet

    return load_fleet(fleet_file)


def _prices(file: Path) -> Prices:
    from pipeline.capacity.prices import load_prices

    return load_prices(file)


def _priced(made: Plan, task: Task, table: Prices, archive: float) -> Plan:
    import msgspec

    from pipeline.capacity.cost import costs

    return msgspec.structs.replace(made, costs=costs(task, table, archive), currency=table.currency)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Bars on a terminal, a line for each step elsewhere; on stderr, because stdout is for the result."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _steps(progress: Progress) -> Callable[[str, float], Callable[[float], None]]:
    """Begins a step with its words and length; what it gives tells how far the step is."""

    def begin(words: str, total: float) -> Callable[[float], None]:
        if progress.disable:
            typer.echo(f"measuring {words} …", err=True)
        task = progress.add_task(words, total=total)
        return lambda so_far: progress.update(task, completed=min(so_far, total))

    return begin


def _print(made: Plan, as_json: bool) -> None:
    from pipeline.capacity.report import report

    _show(made, as_json, lambda: report(made))


def _show(figures: msgspec.Struct, as_json: bool, tables: Callable[[], RenderableType]) -> None:
    import msgspec
    from rich.console import Console

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(figures)).decode())
    else:
        Console(highlight=False).print(tables())
