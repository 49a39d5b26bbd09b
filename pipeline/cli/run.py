"""`camfleet run`: launch a fleet and watch it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer.core import TyperCommand

from pipeline.cli.live import live_table, terminal_of
from pipeline.cli.logs import LogFormatOption, LogLevelOption, begin_logs

if TYPE_CHECKING:
    from pipeline.config.values import Fleet
    from pipeline.observe.tally import FleetTally
    from pipeline.supervise.running import Ready, Running
    from pipeline.supervise.watch import Stamp
    from pipeline.tune.use import Tuned

ANY_PORT = -1
"""`--page` without a port: where the fleet file says."""


class RunCommand(TyperCommand):
    """Lets `--page` stand without a port, which Typer's options cannot."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Say `--page -1` where no port follows."""
        for at in reversed([at for at, word in enumerate(args) if word == "--page"]):
            if not args[at + 1 : at + 2] or not args[at + 1].isdecimal():
                args = [*args[: at + 1], str(ANY_PORT), *args[at + 1 :]]
        return super().parse_args(ctx, args)


def run(
    fleet_file: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet to launch.")],
    *,
    duration: Annotated[
        float, typer.Option("--duration", "-d", min=0, help="Seconds to run; 0 runs until Ctrl-C.")
    ] = 0.0,
    summary: Annotated[
        Path | None, typer.Option("--summary", help="Write the figures of the whole run to this JSON file.")
    ] = None,
    watch_file: Annotated[
        bool, typer.Option("--watch", help="Apply the fleet file whenever it changes, as camfleet reload does.")
    ] = False,
    page: Annotated[
        int | None,
        typer.Option(
            "--page",
            metavar="[PORT]",
            min=ANY_PORT,
            max=65535,
            help="Serve a live page on this machine, at this port (8080, or what the file says).",
            show_default=False,
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="ray[://HOST:PORT]",
            help="Spread the cameras over the machines of a Ray cluster: this machine's, or that one.",
            show_default=False,
        ),
    ] = "",
    profile: Annotated[
        bool,
        typer.Option(
            "--profile/--no-profile", help="Use the settings that camfleet tune found for this machine, if there are."
        ),
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table, only the log and the summary.")] = False,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Launch a fleet: cameras in, boxes for every frame out on ZeroMQ.

    Shows a live table on a terminal, trouble first, and ends with a summary. Runs until Ctrl-C, SIGTERM, --duration, or
    until every recording has ended.

    Exit code 0: every camera delivered frames and was detected. 1: one never delivered a frame, was never detected, or
    is blind or failed at the end. 2: a mistake, such as in the file. Cameras that were removed or paused do not count.

    What camfleet tune found for this machine (profiles/ beside the file) is used, and said; the file's own keys win.

    Meanwhile camfleet status tells how it is, camfleet reload (or SIGHUP) applies the changed file, and camfleet camera
    adds, removes, pauses and resumes cameras.

    With --on the cameras are on the machines of a cluster, and the endpoint, the page and the sinks on this one. What
    the file names has to be at the same place on every machine. camfleet drain empties one.

    Example: camfleet run configs/example.yaml --duration 60 --summary run.json
    """
    import structlog

    from pipeline.cli.notify import told_to_manager
    from pipeline.observe.watch import FleetWatch
    from pipeline.supervise.watch import stamp_of

    _check_cluster(on)
    load = _loader(profile and not on)
    as_read = stamp_of(fleet_file) if watch_file else None
    tuned = load(fleet_file)
    fleet = _with_page(tuned.fleet, page)
    _check_writable(summary)
    begin_logs("fleet", log_format, log_level)
    folder = fleet_file.absolute().parent
    with terminal_of(quiet) as terminal, _prepared(fleet, on, folder) as supervisor, ExitStack() as stack:
        received = _stop_on_signals(supervisor)
        if tuned.words:
            _tell(f"profile {tuned.words}")
        _tell(f"loading {fleet.model.path or fleet.model.backend} …")
        ready = _opened(supervisor, received)
        read = reading_anew(load, tuned.words, structlog.get_logger().info)
        stack.enter_context(_controlled(supervisor, fleet_file, as_read, read))
        count = len(fleet.cameras)
        _tell(f"{count} camera{'' if count == 1 else 's'} → {_workers(ready)} → {_endpoints(ready)}")
        if supervisor.page:
            _tell(f"page: {supervisor.page}")
        with FleetWatch(ready.inside, list(fleet.cameras), fleet.slo.p95_ms) as watch:
            with live_table(terminal, watch, supervisor), told_to_manager(supervisor, watch):
                supervisor.run(duration or None)
            # While the watch still listens: the last frames count too.
            supervisor.close()
        fleet = supervisor.fleet
    whole = watch.whole()
    if summary is not None:
        _write_summary(summary, fleet, whole)
    _report(fleet, whole)


def _check_cluster(on: str) -> None:
    """Say now, not after the model is loaded, that a cluster cannot be used."""
    if on:
        from pipeline.scale.on_ray import address_of, require_ray

        address_of(on)
        require_ray()


@contextmanager
def _prepared(fleet: Fleet, on: str, folder: Path) -> Iterator[Running]:
    """The fleet, not started yet: on this machine, or over those of a cluster."""
    if not on:
        from pipeline.supervise.supervisor import Supervisor

        with Supervisor(fleet, directory=folder) as supervisor:
            yield supervisor
        return
    from pipeline.scale.front import Front
    from pipeline.scale.on_ray import RayCluster, address_of

    with RayCluster(address_of(on), fleet.name) as cluster, Front(fleet, cluster, directory=folder) as front:
        yield front


def _loader(profile: bool) -> Callable[[Path], Tuned]:
    """How the fleet file is read: now, and whenever it is to be applied anew."""
    from pipeline.config import load_fleet
    from pipeline.tune.use import Tuned, load_tuned

    return load_tuned if profile else lambda file: Tuned(load_fleet(file))


def reading_anew(load: Callable[[Path], Tuned], words: str, tell: Callable[[str], object]) -> Callable[[Path], Fleet]:
    """Read the file again when it is to be applied; what there is to say of its profile is told once it is new."""

    def read(file: Path) -> Fleet:
        nonlocal words
        tuned = load(file)
        if tuned.words != words:
            words = tuned.words
            tell(f"profile {words}" if words else "no profile is used any more")
        return tuned.fleet

    return read


def _with_page(fleet: Fleet, port: int | None) -> Fleet:
    """The fleet with a page, if the command line asks for one; -1 asks for it where the file says."""
    from pipeline.config.page import Page

    if port is None:
        return fleet
    page = fleet.page or Page()
    return fleet.model_copy(update={"page": page if port < 0 else page.model_copy(update={"port": port})})


def _endpoints(ready: Ready) -> str:
    """Where subscribers connect; also those who may not hear everything."""
    limited = [f"{name}: {endpoint}" for name, endpoint in ready.limited.items()]
    return ready.endpoint + (f" ({', '.join(limited)})" if limited else "")


def _workers(ready: Ready) -> str:
    """What detects: the model's input and its lanes, for each worker if there are several."""
    words = {
        name: f"{worker.input_wh[0]}×{worker.input_wh[1]}, {worker.lanes} lanes of {worker.max_batch}"
        for name, worker in ready.workers.items()
    }
    if not words:
        return "the shards of the cluster"
    if len(words) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{name}: {what}" for name, what in words.items())


@contextmanager
def _controlled(
    supervisor: Running, file: Path, as_read: Stamp | None, load: Callable[[Path], Fleet]
) -> Iterator[None]:
    """While inside, the fleet can be asked and changed: by its socket, by SIGHUP, by its file.

    Args:
        supervisor: Runs the fleet.
        file: Its file.
        as_read: The file's stamp when it was read, if it is to be watched since then.
        load: Reads the file again.
    """
    import signal

    from pipeline.supervise.control import ControlServer
    from pipeline.supervise.requests import Requests
    from pipeline.supervise.watch import FileWatch, Reloads

    requests = Requests(supervisor, file, load)
    reloads = Reloads(requests)
    at_terminal = sys.stdin is not None and sys.stdin.isatty()

    def hang_up(number: int, frame: object) -> None:
        if at_terminal and not sys.stdin.isatty():
            supervisor.stop()  # Its terminal was closed.
        else:
            reloads.ask()

    # Before the socket is there: whoever finds it may send the signal.
    before = signal.signal(signal.SIGHUP, hang_up)
    server = ControlServer(supervisor.directory, supervisor.fleet.name, requests.answer)
    watching = None if as_read is None else FileWatch(file, reloads.ask, as_read)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
        for part in (watching, reloads, server):
            if part is not None:
                part.close()


def _stop_on_signals(supervisor: Running) -> list[int]:
    """The signals that were received, from now on."""
    import signal

    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        supervisor.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return received


def _opened(supervisor: Running, received: list[int]) -> Ready:
    """The fleet, ready; who ends it before that has made no mistake."""
    from pipeline.errors import PipelineError

    try:
        return supervisor.open()
    except PipelineError as error:
        if not received:
            raise
        _tell(str(error))
        raise typer.Exit(128 + received[0]) from error


def _check_writable(summary: Path | None) -> None:
    """Say now, not after an hour, that the summary cannot be written."""
    from pipeline.errors import ConfigError

    if summary is None:
        return
    folder = summary.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"--summary {summary}: there is no folder {folder}; make it first")
    if summary.is_dir() or not os.access(summary if summary.exists() else folder, os.W_OK):
        raise ConfigError(f"--summary {summary} cannot be written; name a file in a folder of yours")


def _tell(text: str, level: Literal["info", "error"] = "info") -> None:
    """A line on stderr for people; a log line where those are for machines."""
    import structlog

    from pipeline.logs import log_format

    if log_format() == "json":
        structlog.get_logger().log(logging.getLevelNamesMapping()[level.upper()], text)
    else:
        typer.echo(text if level == "info" else f"camfleet: {text}", err=True)


def _write_summary(path: Path, fleet: Fleet, whole: FleetTally) -> None:
    import msgspec

    from pipeline.errors import ConfigError
    from pipeline.observe.promise import Promise
    from pipeline.observe.verdict import judge, judge_loss

    verdict, max_loss = msgspec.to_builtins(judge(whole, Promise.of(fleet))), fleet.slo.max_loss
    of_loss = None if max_loss is None else msgspec.to_builtins(judge_loss(whole, max_loss))
    promises = {"slo_p95_ms": fleet.slo.p95_ms, "verdict": verdict, "max_loss": max_loss, "loss_verdict": of_loss}
    body = {"fleet": fleet.name, **promises, **msgspec.to_builtins(whole)}
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(body)) + b"\n")
    except OSError as error:
        raise ConfigError(f"--summary {path} cannot be written: {error.strerror}") from error


def _report(fleet: Fleet, whole: FleetTally) -> None:
    """Print the summary; exit with 1 if a camera did not deliver, was not detected, or sees nothing now."""
    from rich.console import Console

    from pipeline.observe.promise import Promise
    from pipeline.observe.summary import summary_lines
    from pipeline.observe.table import FleetTable
    from pipeline.observe.verdict import complaints

    promise, console = Promise.of(fleet), Console()
    console.print(FleetTable(whole, f"fleet {fleet.name}, the whole run", promise, whole=True))
    console.print()
    for line in summary_lines(whole, promise):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    wrong = complaints(whole)
    for name, why in wrong.items():
        _tell(f"camera {name} {why}", "error")
    if wrong:
        raise typer.Exit(1)
