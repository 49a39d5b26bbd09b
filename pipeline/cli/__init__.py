"""The command `camfleet`: one file a command, and what they have in common.

Starting costs what `--help` costs, so command files import no more than typer at their top; numpy, PyAV, torch and the
like come in with the command that needs them.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Annotated

import typer

from pipeline.cli import (
    bench,
    burst,
    check,
    clip,
    control,
    demo,
    discover,
    doctor,
    evaluate,
    events,
    export,
    init,
    keys,
    levers,
    man,
    plan,
    profile,
    proxy,
    record,
    rehearse,
    render,
    replay,
    results,
    run,
    schema,
    simulate,
    sink,
    snapshot,
    subscribe,
    top,
    tune,
)
from pipeline.cli.argv import Discreet, mask_arguments
from pipeline.cli.exits import FAULT, MISTAKE, NO, TERMINATED, name_exit_codes
from pipeline.cli.paragraphs import join_lines
from pipeline.errors import PipelineError
from pipeline.extras import opencv_trouble
from pipeline.redact import redact
from pipeline.stderr import make_stderr_lossy, make_stdout_forgiving

app = typer.Typer(
    name="camfleet",
    cls=Discreet,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=run.RunCommand)(run.run)
app.command()(demo.demo)
app.command()(init.init)
app.command()(control.status)
app.command()(control.reload)
app.command()(control.drain)
app.command()(proxy.proxy)
app.add_typer(control.camera, name="camera")
app.command()(clip.clip)
app.command()(snapshot.snapshot)
app.command()(subscribe.subscribe)
app.command()(events.events)
app.command()(top.top)
app.command()(sink.sink)
app.add_typer(keys.app, name="keys")
app.command()(replay.replay)
app.command()(rehearse.rehearse)
app.command()(record.record)
app.command()(results.results)
app.command()(render.render)
app.command()(check.check)
app.command()(doctor.doctor)
app.command()(discover.discover)
app.command()(schema.schema)
app.command()(man.man)
app.command()(bench.bench)
app.command()(profile.profile)
app.command()(export.export)
app.command()(levers.levers)
app.command()(tune.tune)
app.command()(plan.plan)
app.command()(simulate.simulate)
app.add_typer(burst.app, name="burst")
app.add_typer(evaluate.app, name="evaluate")


def main() -> None:
    """Run the command line and exit with one of the codes of `pipeline.cli.exits`."""
    make_stderr_lossy()
    make_stdout_forgiving()
    mask_arguments()
    _end_orderly()
    sys.exit(_flushed(_run()))


def _end_orderly() -> None:
    """Let everything be cleaned up when this process is told to end, or its terminal is closed; `nohup` still works."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))


def _run() -> int:
    try:
        app()
    except SystemExit as end:
        # Typer has its own words for wrong options, for Ctrl-C (130) and for a pipe whose reader has left (1).
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except PipelineError as error:
        return _failed(redact(error))
    except Exception as error:  # noqa: BLE001 - the outermost call: Python's own exit code, 1, would say no
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _failed("the disk is full")
        if isinstance(error, ImportError) and (words := opencv_trouble(error)):
            return _failed(words)
        return _faulty()
    return 0


def _flushed(code: int) -> int:
    """`code`, once all output is out: otherwise Python complains of a closed pipe after the last line of ours."""
    if sys.stdout is None:  # The caller closed it: nothing was printed, nothing is to be flushed.
        return code
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError) or code:
            return code or NO
        return _failed(f"the output cannot be written: {error.strerror}")
    return code


def _failed(reason: str) -> int:
    print(f"camfleet: {reason}", file=sys.stderr)
    return MISTAKE


def _faulty() -> int:
    """Print the traceback of a fault of ours, its credentials masked."""
    import traceback

    print(redact(traceback.format_exc()), end="", file=sys.stderr)
    print("camfleet: this is a fault of camfleet's own; please report it with the lines above", file=sys.stderr)
    return FAULT


def _version(asked: bool) -> None:
    if asked:
        from pipeline import installed

        print(f"camfleet {installed.version()}")
        raise typer.Exit


@app.callback()
def camfleet(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Detect and track objects in many cameras, within the latency you state.

    A fleet is a YAML file: cameras, a model, and where the results go. Begin with [bold]camfleet check FLEET.yaml[/].
    """


join_lines(app)
name_exit_codes(app)
