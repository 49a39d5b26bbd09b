"""`camfleet init`: a fleet file to begin with, by a few answers or options."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.exits import NO

if TYPE_CHECKING:
    from pipeline.config.values import Fleet
    from pipeline.discover.starter import Entry
    from pipeline.doctor.cameras import Outcome

FILE = "fleet.yaml"
MODEL = "yolo26n.pt"
SAMPLE = "sample"
"""What `--model` calls the model that comes with camfleet."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where fleet.yaml will be; made if it is not there.")
    ] = Path(),
    *,
    url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]URL",
            help="A camera's address, or the path of a recording; again for more. Without it, you are asked.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help=f"An OpenVINO folder, .onnx, .pt or .engine; {SAMPLE}: what comes with camfleet and knows the town of "
            f"its sample recordings only. \\[default: {MODEL}]",
            show_default=False,
        ),
    ] = "",
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Open each camera and tell what it sends.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Write over a fleet.yaml that is there already.")] = False,
) -> None:
    """Write a fleet file with a comment beside each key: after asking, or by the options alone.

    Each camera is opened, and what it sends is told and noted. Passwords that stand in an address are not written into
    the file: they become variables of the environment, and what to set is told. Exit code 1: a camera did not answer;
    the file is written all the same.

    Example: camfleet init north --url gate=rtsp://viewer:…@10.0.0.7/stream1 --url yard.mp4 --model yolo26n.pt
    """
    from pipeline.errors import ConfigError

    file = folder / FILE
    if file.exists() and not force:
        raise ConfigError(f"{file} is there already; --force writes over it, or name another folder")
    entries = _given(url, folder) if url else _asked_for(folder)
    path = _model_path(model or (MODEL if url else typer.prompt("Model", default=MODEL)), folder)
    fleet = _written(file, path, entries)
    outcomes = _probed(fleet) if probe else {}
    if outcomes:
        _written(file, path, [one.with_notes(_note(outcomes[one.camera_id])) for one in entries])
    _tell(file, fleet, entries)
    if any(isinstance(outcome, Exception) for outcome in outcomes.values()):
        raise typer.Exit(NO)


def _given(urls: list[str], folder: Path) -> list[Entry]:
    from pipeline.discover.starter import entry

    entries: list[Entry] = []
    for url in urls:
        entries.append(entry(url, [one.camera_id for one in entries], folder))
    return entries


def _asked_for(folder: Path) -> list[Entry]:
    """One camera after the other, until there are no more."""
    from pipeline.discover.starter import entry
    from pipeline.errors import ConfigError

    if not sys.stdin.isatty():
        raise ConfigError("init asks in a terminal, and there is none; give --url for each camera, and --model")
    typer.echo("The address of each camera, such as rtsp://user:password@10.0.0.7/stream1, or the path of a recording;")
    typer.echo("with a name before it, if you like: gate=rtsp://…  An empty line ends the list.")
    entries: list[Entry] = []
    while answer := typer.prompt(f"Camera {len(entries) + 1}", default="", show_default=False).strip():
        try:
            entries.append(entry(answer, [one.camera_id for one in entries], folder))
        except ConfigError as error:
            typer.echo(str(error).removeprefix("--url: "), err=True)
    if not entries:
        raise ConfigError("a fleet has at least one camera; camfleet discover finds those of the network")
    return entries


def _model_path(asked: str, folder: Path) -> str:
    """A model of this machine by its whole path, unless it is within the file's folder; a published name as it is."""
    from pipeline.errors import ConfigError
    from pipeline.installed import shared_files

    path = shared_files() / "samples/model/demo_openvino_model" if asked == SAMPLE else Path(asked).expanduser()
    if not path.exists():
        if len(path.parts) > 1:
            raise ConfigError(f"--model: there is no model {asked}")
        return asked
    path, folder = path.absolute(), folder.absolute()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _written(file: Path, model: str, entries: list[Entry]) -> Fleet:
    """Write the file, and read it as `camfleet run` will; a file with a mistake takes nobody's place."""
    from pipeline.config import load_fleet
    from pipeline.discover.starter import fleet_text
    from pipeline.errors import ConfigError

    environment = dict(os.environ)
    for one in entries:
        environment = {**dict.fromkeys(one.variables, ""), **environment, **one.secrets}
    draft = file.with_name(f".{FILE}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(fleet_text(model, entries), encoding="utf-8")
        fleet = load_fleet(draft, environment)
        draft.replace(file)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(draft), str(file))) from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            draft.unlink()
    return fleet


def _probed(fleet: Fleet) -> dict[str, Outcome]:
    """What each camera sends, told as `check --probe` tells it."""
    from pipeline.cli.probing import print_table
    from pipeline.doctor.cameras import probed

    count = len(fleet.cameras)
    typer.echo(f"opening {count} camera{'' if count == 1 else 's'} …", err=True)
    outcomes = dict(probed(fleet.cameras.values()))
    print_table(fleet.cameras.values(), outcomes)
    return outcomes


def _note(outcome: Outcome) -> str:
    """One line of comment on a camera."""
    from pipeline.redact import redact

    if isinstance(outcome, Exception):
        return "did not answer: " + " ".join(redact(outcome).split())
    fps = f", {outcome.fps:.3g} fps" if outcome.fps else ""
    every = f", a key frame every {outcome.keyframe_interval_s:.2g} s" if outcome.keyframe_interval_s else ""
    return "{} {}x{}".format(outcome.codec, *outcome.frame_wh) + fps + every


def _tell(file: Path, fleet: Fleet, entries: list[Entry]) -> None:
    """What was written, and what to do next."""
    from pipeline.detect.load import require_library
    from pipeline.errors import DetectorError

    typer.echo(f"written: {file}")
    unset = dict.fromkeys(name for one in entries for name in one.variables if name not in os.environ)
    if unset:
        typer.echo(f"set first: export {' '.join(f'{name}=…' for name in unset)}")
    try:
        require_library(fleet.model)
    except DetectorError as error:
        typer.echo(f"install first: {error}")
    typer.echo(f"then: camfleet run {file}")
