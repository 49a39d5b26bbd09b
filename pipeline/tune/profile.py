"""What was found for a machine, in a file beside the fleet file: `profiles/<hardware>.yaml`.

One file a machine, with a section for each fleet that was tuned on it: the settings as a fleet file would have them,
and the measurements that justify them. It is written whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pipeline.config.load import told
from pipeline.config.locate import Document, KeyPath, Tree, read_document
from pipeline.config.overlay import Overlay, read_overlay
from pipeline.errors import ConfigError
from pipeline.tune.fingerprint import Fingerprint, as_tree

FOLDER = "profiles"
_HEAD = """\
# Written by camfleet tune. camfleet run uses it on the hardware of the fingerprint, and says so; keys that the fleet
# file sets itself win. Without it: camfleet run --no-profile, or remove this file.
"""
TUNED = frozenset(
    {
        *(f"worker.{key}" for key in ("max_batch", "max_wait_ms", "nice")),
        *(f"model.{key}" for key in ("lanes", "threads", "input_wh")),
        *(f"model.openvino.{key}" for key in ("streams", "hint", "pinning")),
        *(f"model.cuda.{key}" for key in ("instances", "graphs")),
        *(f"defaults.stride.{key}" for key in ("min", "max")),
    }
)
"""What a profile may set: what is turned in a search. It is not where a sandbox is left or code is named to be run."""
_KIND, _NEEDS = "profile", "“fingerprint” and “fleets”"
_TEXTS: Mapping[str, str] = {"model": "text", "goal": "text", "date": "text"}


@dataclass(frozen=True, slots=True)
class Profile:
    """What holds for one fleet on one machine.

    Attributes:
        file: Where it is written.
        fingerprint: The machine.
        model: The model that the fleet file named when it was tuned.
        goal: What was asked, in words.
        date: When.
        overlay: The settings, and the model to take instead of the file's.
        summary: Before and after, in words; empty where the profile does not say.
    """

    file: Path
    fingerprint: Fingerprint
    model: str
    goal: str
    date: str
    overlay: Overlay
    summary: str


def profile_file(fleet_file: Path, fingerprint: Fingerprint) -> Path:
    """Where a machine's profile is, beside a fleet file."""
    return fleet_file.parent / FOLDER / f"{fingerprint.hardware}.yaml"


def read_profile(file: Path, fleet: str) -> Profile | None:
    """What the file says of the fleet of that name; None where it says nothing of it.

    Raises:
        ConfigError: The file cannot be read or has mistakes; a line for each, with file, line and key.
    """
    document = read_document(file, _KIND, _NEEDS)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{file}:1: a profile is a mapping with {_NEEDS}, this one is not")
    for key in ("fingerprint", "fleets"):
        if not isinstance(document.data.get(key), dict):
            document.report((key,), "is missing; expected a mapping, as camfleet tune writes it")
    fingerprint = _fingerprint(document)
    fleets = document.data.get("fleets")
    section = fleets.get(fleet) if isinstance(fleets, dict) else None
    profile = None
    if section is not None and fingerprint is not None:
        profile = _profile(document, ("fleets", fleet), section, fingerprint)
    if document.mistakes:
        raise ConfigError(told(document))
    return profile


def write_profile(file: Path, fingerprint: Fingerprint, fleet: str, section: Mapping[str, Any]) -> None:
    """Put a fleet's section into a machine's file; sections of other fleets stay if they were found on the same.

    Raises:
        ConfigError: The file cannot be written.
    """
    fleets = {**_others(file, fingerprint), fleet: section}
    body = {"fingerprint": as_tree(fingerprint), "fleets": fleets}
    text = _HEAD + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        number, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(partial).chmod(0o644)
        Path(partial).replace(file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error


def _others(file: Path, fingerprint: Fingerprint) -> dict[str, Tree]:
    """Sections of a file that is there already; none where it is of other hardware or broken, for it is replaced."""
    try:
        document = read_document(file, _KIND, _NEEDS)
    except ConfigError:
        return {}
    if not isinstance(document.data, dict) or _fingerprint(document) != fingerprint:
        return {}
    fleets = document.data.get("fleets")
    return dict(fleets) if isinstance(fleets, dict) else {}


def _fingerprint(document: Document) -> Fingerprint | None:
    tree = document.data.get("fingerprint") if isinstance(document.data, dict) else None
    if not isinstance(tree, dict):
        return None
    try:
        return msgspec.convert(tree, Fingerprint)
    except msgspec.ValidationError as error:
        said = str(error)
        key = said.rpartition("$.")[2].rstrip("`").split("[")[0].split(".")[0] if "$." in said else ""
        path: KeyPath = ("fingerprint", key) if key in tree else ("fingerprint",)
        document.report(path, f"is not as camfleet tune writes it: {said.split(' - ', maxsplit=1)[0]}")
        return None


def _profile(document: Document, at: KeyPath, section: Tree, fingerprint: Fingerprint) -> Profile | None:
    if not isinstance(section, dict):
        document.report(at, "must be a mapping with “model”, “goal”, “date” and “settings”")
        return None
    for key in _TEXTS:
        if not isinstance(section.get(key), str):
            document.report((*at, key), "is missing; expected text" if key not in section else "must be text")
    values = read_overlay(document, (*at, "settings")) if "settings" in section else {}
    for path in values:
        if ".".join(map(str, path)) not in TUNED:
            document.report((*at, "settings", *path), "is nothing that camfleet tune sets; put it into the fleet file")
    if "settings" not in section:
        document.report((*at, "settings"), "is missing; expected a mapping, {} for the defaults")
    replaced = section.get("takes_model", "")
    model = _replacement(document, (*at, "takes_model"), replaced)
    return Profile(
        document.file,
        fingerprint,
        str(section.get("model", "")),
        str(section.get("goal", "")),
        str(section.get("date", "")),
        Overlay(values, model),
        _summary(section.get("measured")),
    )


def _replacement(document: Document, path: KeyPath, written: Tree) -> str:
    """The absolute path of a model that a profile names; it begins where the profile is."""
    if not isinstance(written, str):
        document.report(path, "must be text: the path of a model, beside the profile")
        return ""
    if not written:
        return ""
    found = (document.file.absolute().parent / written).resolve()
    if not found.exists():
        document.report(path, f"there is no model “{written}” beside the profile; camfleet tune makes it anew")
    return str(found)


def _summary(measured: Tree) -> str:
    """Before and after; figures that are not as they were written say nothing, for nothing depends on them."""
    if not isinstance(measured, list) or len(measured) != 2:
        return ""
    rates = [row.get("detected_hz") for row in measured if isinstance(row, dict)]
    ages = [row.get("p95_ms") for row in measured if isinstance(row, dict)]
    if not all(isinstance(number, int | float) for number in (*rates, *ages)) or len(rates) != 2:
        return ""
    return f"{rates[0]:g} → {rates[1]:g} detections a second, p95 {ages[1]:.0f} ms"
