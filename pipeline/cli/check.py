"""`camfleet check`: whether a fleet file is right, its model, ports and keys will do, and its cameras answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.exits import MISTAKE, NO
from pipeline.cli.findings import as_builtins, told_on_stderr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.config import Camera, Fleet
    from pipeline.doctor.cameras import Outcome
    from pipeline.doctor.finding import Finding
    from pipeline.doctor.model import OpenedModel

_ASSEMBLIES = {"": "whole", "early": "at once", "next": "one late"}
"""How a camera's pictures come: whole from the source, with their last packet, or with the next one's first."""


def check(
    fleet: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet file.", show_default=False)],
    probe: Annotated[bool, typer.Option("--probe", help="Open each camera and tell what it sends.")] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile/--no-profile", help="With the settings that camfleet tune found for this machine, as run has it."
        ),
    ] = True,
    open_all: Annotated[
        bool,
        typer.Option(
            "--open/--no-open", help="Open the model and the ports as run does, which for .pt weights may take minutes."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """Say whether a fleet file is right, and what it means with every default filled in; credentials are masked.

    All mistakes are told at once, each with its line and what is allowed. Settings that camfleet tune found for this
    machine are in it, as they are in a run, and where they come from is said; or why they are not used.

    Then the model is opened as `run` opens it, on each of its devices (its classes, input size and lanes are told),
    every port is tried, and keys are looked at. It ends with OK, or with the number of mistakes.

    With --probe, each camera is opened as `run` opens it and watched for five seconds; its codec, size, frame rate and
    key-frame interval are shown, what decodes it (and of the devices of this machine, which could), and whether its
    pictures are there at once or one picture late.

    Exit code 0: OK. 1: a camera does not answer (--probe), and nothing else is wrong. 2: there are mistakes.

    Example: camfleet check configs/example.yaml --probe
    """
    from pipeline.errors import ConfigError
    from pipeline.redact import redact

    try:
        loaded = _loaded(fleet, profile)
    except ConfigError as error:
        if not as_json:
            raise
        lines = [line.strip() for line in redact(error).splitlines()]
        mistakes = [{"about": "file", "verdict": "failure", "found": one, "advice": ""} for one in lines[1:] or lines]
        print(json.dumps({"ok": False, "mistakes": len(mistakes), "findings": mistakes}, indent=2, ensure_ascii=False))
        raise typer.Exit(MISTAKE) from None
    outcomes: dict[str, Outcome] = {}
    if not as_json and not probe:
        print(_yaml(loaded).rstrip("\n"), flush=True)
    models: list[OpenedModel] = []
    found = _found(loaded, models) if open_all else iter(())
    findings = list(found) if as_json else told_on_stderr(found)
    if probe:
        from pipeline.doctor.cameras import probed

        outcomes = dict(probed(loaded.cameras.values()))
    if as_json:
        _print_json(loaded, findings, models, outcomes)
    elif probe:
        _print_table(loaded.cameras.values(), outcomes)
    _conclude(findings, outcomes, quiet=as_json)


def _loaded(file: Path, profile: bool) -> Fleet:
    """The fleet, with its profile if that is wanted; says where that comes from."""
    from pipeline.config import load_fleet
    from pipeline.tune.use import load_tuned

    if not profile:
        return load_fleet(file)
    tuned = load_tuned(file)
    if tuned.words:
        typer.echo(f"profile {tuned.words}", err=True)
    return tuned.fleet


def _yaml(fleet: Fleet) -> str:
    from pipeline.config import to_yaml

    return to_yaml(fleet)


def _found(fleet: Fleet, models: list[OpenedModel]) -> Iterator[Finding]:
    """What is found by opening things; models that open are put into `models`."""
    from pipeline.doctor.finding import Finding
    from pipeline.doctor.model import finding_of, open_models
    from pipeline.doctor.places import look_at_places

    yield from look_at_places(fleet)
    for model in open_models(fleet):
        if not isinstance(model, Finding):
            models.append(model)
        yield finding_of(model)


def _conclude(findings: list[Finding], outcomes: dict[str, Outcome], *, quiet: bool) -> None:
    """Say how many mistakes there are, and exit by that."""
    from pipeline.doctor.finding import count, counted

    failures, silent = count(findings, "failure"), _silent(outcomes)
    if not quiet:
        typer.echo(counted(failures + silent, "mistake") if failures + silent else "OK", err=True)
    if failures or silent:
        raise typer.Exit(MISTAKE if failures else NO)


def _silent(outcomes: dict[str, Outcome]) -> int:
    """How many cameras do not answer."""
    return sum(isinstance(outcome, Exception) for outcome in outcomes.values())


def _print_json(fleet: Fleet, findings: list[Finding], models: list[OpenedModel], outcomes: dict[str, Outcome]) -> None:
    import msgspec

    from pipeline.config import to_dict
    from pipeline.doctor.finding import count

    mistakes = count(findings, "failure") + _silent(outcomes)
    told: dict[str, Any] = {
        "ok": not mistakes,
        "mistakes": mistakes,
        "findings": as_builtins(findings),
        "models": msgspec.to_builtins(models),
        "fleet": to_dict(fleet),
    }
    if outcomes:
        told["cameras"] = {name: _as_dict(camera, outcomes[name]) for name, camera in fleet.cameras.items()}
    print(json.dumps(told, indent=2, ensure_ascii=False))


def _as_dict(camera: Camera, outcome: Outcome) -> dict[str, Any]:
    from pipeline.redact import redact

    if isinstance(outcome, Exception):
        return {"url": str(camera.url), "error": redact(outcome)}
    return {
        "url": str(camera.url),
        "codec": outcome.codec,
        "frame_wh": list(outcome.frame_wh),
        "fps": outcome.fps and round(outcome.fps, 3),
        "keyframe_interval_s": outcome.keyframe_interval_s and round(outcome.keyframe_interval_s, 3),
        "assembly": outcome.assembly,
        "decoder": outcome.decoder,
        "devices": outcome.devices,
        "concern": outcome.concern,
        "clock": outcome.clock,
        "delay_s": outcome.delay_s and round(outcome.delay_s, 3),
    }


def _print_table(cameras: Iterable[Camera], outcomes: dict[str, Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "camera", "codec", "size", "fps", "key frame every", "pictures", "decoder", "address", box=None, pad_edge=False
    )
    failures: list[Text] = []
    notes: list[Text] = []
    for camera in cameras:
        told = _as_dict(camera, outcomes[camera.camera_id])
        if "error" in told:
            cells = ("[red]failed[/]", "", "", "", "", "")
            failures.append(Text.assemble((camera.camera_id, "red"), f": {told['error']}"))
        else:
            interval = told["keyframe_interval_s"]
            every = "unknown" if interval is None else f"{interval:.1f} s"
            fps = "unknown" if told["fps"] is None else f"{told['fps']:g}"
            assembly = _ASSEMBLIES[told["assembly"]]
            cells = (told["codec"], "{}×{}".format(*told["frame_wh"]), fps, every, assembly, _decoders(told))
            if told["concern"]:
                notes.append(Text.assemble((camera.camera_id, "yellow"), f": {told['concern']}"))
        table.add_row(camera.camera_id, *cells, Text(told["url"], overflow="fold"))
    console = Console()
    console.print(table)
    for line in notes + failures:
        console.print(line, soft_wrap=True)


def _decoders(told: dict[str, Any]) -> str:
    """What decodes a camera, and what could."""
    others = [kind for kind, why in told["devices"].items() if not why and kind != told["decoder"]]
    return f"{told['decoder']} (or {', '.join(others)})" if others else str(told["decoder"])
