"""A scenario file, read and checked with the words of fleet files: every mistake at once, with its line."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.burst.plan import Plan, name_cameras
from pipeline.burst.scenario import FAULT_ONLY, FaultPlan, Scenario
from pipeline.burst.schema import scenario_schema
from pipeline.config import Fleet, load_fleet
from pipeline.config.files import look_up, resolve_files
from pipeline.config.load import told
from pipeline.config.locate import Document, KeyPath, read_document
from pipeline.config.variables import substitute
from pipeline.config.wording import describe
from pipeline.errors import ConfigError

_KIND, _NEEDS = "scenario file", "“recordings”, “phases”, and “fleet” or “model”"


def load_scenario(path: str | Path, environ: Mapping[str, str] | None = None) -> Plan:
    """The scenario that a YAML file describes, its fleet file and its recordings found.

    Args:
        path: The scenario. Files are looked up beside it, then in the current directory.
        environ: Where `${VAR}` is looked up; the environment by default.

    Raises:
        ConfigError: The scenario or its fleet file cannot be read, or has mistakes; one line each, with file, line,
            column, key, what was found and what is allowed.
    """
    document = read_document(Path(path), _KIND, _NEEDS)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}:1: a scenario is a mapping with {_NEEDS}, this one is not")
    environ = os.environ if environ is None else environ
    substitute(document, environ)
    resolve_files(document)
    plan = _plan(document, environ)
    if plan is None or document.mistakes:
        raise ConfigError(told(document))
    return plan


def _plan(document: Document, environ: Mapping[str, str]) -> Plan | None:
    """The plan; None, and mistakes in the document, where it cannot be made."""
    scenario = _scenario(document)
    if scenario is None:
        return None
    recordings = _recordings(scenario, document)
    tested = _tested(scenario, document, environ)
    if not recordings:
        return None
    usual = scenario.cameras or (len(tested.cameras) if tested is not None else len(recordings))
    most = max([usual, *(phase.burst.cameras or 0 for phase in scenario.phases if phase.burst is not None)])
    plan = Plan(scenario, document.file, recordings, tested, name_cameras(recordings, tested, most), usual)
    _check_phases(plan, document)
    return plan


def _scenario(document: Document) -> Scenario | None:
    data = dict(document.data) if isinstance(document.data, dict) else {}
    if data.get("name") is None:
        data["name"] = re.sub(r"[^A-Za-z0-9_.-]+", "-", document.file.stem).strip("-_.")[:63] or "scenario"
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        for detail in details:
            # Pydantic counts only right items, so a list with a wrong one in it may be “too short” besides.
            path = detail["loc"]
            inside = any(other["loc"][: len(path)] == path and other is not detail for other in details)
            if detail["type"] != "too_short" or not inside:
                _report(detail, document)
    return None


def _report(error: ErrorDetails, document: Document) -> None:
    path: KeyPath = error["loc"]
    place = document.places.get(path)
    if error["type"] == "too_short":
        document.report(path, "is empty; give at least one")
        return
    text = describe(error, path, place.text if place else None, scenario_schema())
    document.report(path, text, at_key=error["type"] == "extra_forbidden")


def _recordings(scenario: Scenario, document: Document) -> tuple[Path, ...]:
    found: list[Path] = []
    for index, written in enumerate(scenario.recordings):
        here = _matching(written, document.file)
        if not here:
            document.report(
                ("recordings", index),
                f"there is no recording “{written}” beside the scenario file ({document.file.absolute().parent}) "
                f"or in the current directory ({Path.cwd()})",
            )
        found += here
    return tuple(found)


def _matching(written: str, file: Path) -> list[Path]:
    """The files that a path, perhaps with stars in it, names."""
    if "*" not in written:
        found = look_up(written, file)
        return [found] if found is not None and found.is_file() else []
    folders = [Path("/")] if written.startswith("/") else [file.absolute().parent, Path.cwd()]
    for folder in folders:
        matches = sorted(path.resolve() for path in folder.glob(written.lstrip("/")) if path.is_file())
        if matches:
            return matches
    return []


def _tested(scenario: Scenario, document: Document, environ: Mapping[str, str]) -> Fleet | None:
    if scenario.fleet is None:
        return None
    found = look_up(scenario.fleet, document.file)
    if found is None or not found.is_file():
        document.report(("fleet",), f"there is no fleet file “{scenario.fleet}” beside this file or in {Path.cwd()}")
        return None
    return load_fleet(found, environ)


def _check_phases(plan: Plan, document: Document) -> None:
    """Report what only shows when phases, cameras and fleet are seen together."""
    steady_before = False
    for name in plan.scenario.settings:
        _check_camera(name, ("settings", name), plan.camera_ids, document)
    for index, phase in enumerate(plan.scenario.phases):
        burst, at = phase.burst, ("phases", index)
        if burst is not None and burst.cameras is not None and burst.cameras <= plan.usual:
            document.report(
                (*at, "burst", "cameras"),
                f"found “{burst.cameras}”, but there are {plan.usual} cameras in every phase; a burst has more",
            )
        if phase.fault is not None:
            _check_fault(phase.fault, (*at, "fault"), plan, document)
        for number, fault in enumerate(phase.faults):
            _check_fault(fault, (*at, "faults", number), plan, document)
        for name in phase.expect.states:
            _check_camera(name, (*at, "expect", "states", name), plan.present(phase), document)
        for key in FAULT_ONLY[:2]:
            if getattr(phase.expect, key) is not None and not steady_before:
                document.report(
                    (*at, "expect", key),
                    "needs a phase without burst and fault before this one, to compare with",
                )
        steady_before = steady_before or phase.kind == "steady"


def _check_fault(fault: FaultPlan, path: KeyPath, plan: Plan, document: Document) -> None:
    if fault.camera is not None:
        _check_camera(fault.camera, (*path, "camera"), plan.camera_ids[: plan.usual], document)
    if fault.file is not None and look_up(fault.file, document.file) is None:
        document.report((*path, "file"), f"there is no recording “{fault.file}”")


def _check_camera(name: str, path: KeyPath, cameras: tuple[str, ...], document: Document) -> None:
    if name not in cameras:
        close = difflib.get_close_matches(name, cameras, 1)
        hint = f"did you mean “{close[0]}”?" if close else f"there are {', '.join(cameras)}"
        document.report(path, f"there is no camera “{name}”; {hint}")
