"""`camfleet check`: whether a fleet file is right, its model, ports and keys will do, and its cameras answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.exits import MISTAKE, NO
from pipeline.cli.findings import as_builtins, told_on_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.config import Fleet
    from pipeline.doctor.cameras import Outcome
    from pipeline.doctor.finding import Finding
    from pipeline.doctor.model import OpenedModel


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
    every port is tried, and keys and the folder of evidence are looked at. It ends with OK, or with the number of
    mistakes.

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
    found = _found(loaded, fleet.absolute().parent, models) if open_all else iter(())
    findings = list(found) if as_json else told_on_stderr(found)
    if probe:
        from pipeline.doctor.cameras import probed

        outcomes = dict(probed(loaded.cameras.values()))
    if as_json:
        _print_json(loaded, findings, models, outcomes)
    elif probe:
        from pipeline.cli.probing import print_table

        print_table(loaded.cameras.values(), outcomes)
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


def _found(fleet: Fleet, directory: Path, models: list[OpenedModel]) -> Iterator[Finding]:
    """What is found by opening things; models that open are put into `models`."""
    from pipeline.doctor.attributes import look_at_attributes
    from pipeline.doctor.evidence import look_at_evidence
    from pipeline.doctor.finding import Finding
    from pipeline.doctor.model import finding_of, open_models
    from pipeline.doctor.places import look_at_places
    from pipeline.doctor.privacy import look_at_privacy

    yield from look_at_places(fleet)
    yield from look_at_evidence(fleet, directory)
    for model in open_models(fleet):
        if not isinstance(model, Finding):
            models.append(model)
        yield finding_of(model)
    yield from look_at_privacy(fleet, [model for model in models if model.about == "model"])
    yield from look_at_attributes(fleet, models)


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
        from pipeline.cli.probing import as_dict

        told["cameras"] = {name: as_dict(camera, outcomes[name]) for name, camera in fleet.cameras.items()}
    print(json.dumps(told, indent=2, ensure_ascii=False))
