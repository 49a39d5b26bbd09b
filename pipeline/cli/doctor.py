"""`camfleet doctor`: whether this machine is fit for a fleet, and what to do where it is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.exits import NO
from pipeline.cli.findings import as_builtins, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.config import Fleet
    from pipeline.doctor.finding import Finding


def doctor(
    fleet: Annotated[
        Path | None,
        typer.Argument(metavar="FLEET.yaml", help="A fleet that the machine is to be fit for.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """Look at the machine: Python, libraries, processor, GPU, clock, shared memory, descriptors, cores, folders.

    With a fleet file also at its cameras: each is opened and watched for five seconds, for what it sends, how often a
    key frame comes and whether its clock is right; and whether the machine has room for that fleet. Each line is ok, a
    warning or a failure, with what to do. camfleet check opens the model and the ports.

    Exit code 0: no failure; warnings may be lived with. 1: there are failures. 2: the fleet file has mistakes.

    Example: camfleet doctor configs/example.yaml
    """
    from pipeline.doctor.finding import count, counted

    loaded = None if fleet is None else _loaded(fleet)
    found = _found(loaded)
    findings = list(found) if as_json else shown(found, sys.stdout)
    failures, warnings = count(findings, "failure"), count(findings, "warning")
    if as_json:
        told = {"ok": not failures, "failures": failures, "warnings": warnings, "findings": as_builtins(findings)}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        words = [counted(failures, "failure")] if failures else []
        words += [counted(warnings, "warning")] if warnings else []
        print(", ".join(words) or "OK")
    if failures:
        raise typer.Exit(NO)


def _loaded(file: Path) -> Fleet:
    from pipeline.config import load_fleet

    return load_fleet(file)


def _found(fleet: Fleet | None) -> Iterator[Finding]:
    from pipeline.doctor.machine import look_at_machine
    from pipeline.doctor.room import look_at_room

    yield from look_at_machine(fleet)
    yield from look_at_room(fleet)
    if fleet is not None:
        from pipeline.doctor.cameras import findings_of, probed

        outcomes = dict(probed(fleet.cameras.values()))
        for name, camera in fleet.cameras.items():
            yield from findings_of(camera, outcomes[name])
