"""Whether a fleet has a profile for this machine, and the fleet with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Fleet, load_fleet, own_keys
from pipeline.config.locate import KeyPath
from pipeline.config.overlay import Overlay, is_own
from pipeline.errors import ConfigError
from pipeline.tune.fingerprint import Fingerprint, differences, read_fingerprint
from pipeline.tune.profile import FOLDER, Profile, profile_file, read_profile
from pipeline.tune.setting import as_written

AGAIN = "camfleet tune makes it anew"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A fleet as it is to run here.

    Attributes:
        fleet: With the profile's settings, if there is a profile for it.
        words: That it is used and what it sets, or why it is not; empty where there is nothing to say.
        profile: What is used; None where none is.
    """

    fleet: Fleet
    words: str = ""
    profile: Profile | None = None


def load_tuned(fleet_file: Path, machine: Fingerprint | None = None) -> Tuned:
    """The fleet of a file, with what was measured to be best on this machine where the file says nothing itself.

    Args:
        fleet_file: The fleet file; its profiles are in `profiles/` beside it.
        machine: This machine; found out if it is not given and there are profiles.

    Raises:
        ConfigError: The fleet file, or the profile of this machine, has mistakes, each by itself.
    """
    fleet = load_fleet(fleet_file)
    folder = fleet_file.parent / FOLDER
    others = sorted(folder.glob("*.yaml"))
    if not others:
        return Tuned(fleet)
    now = machine or read_fingerprint()
    file = profile_file(fleet_file, now)
    if not file.exists():
        return Tuned(fleet, f"{folder}: no profile of this machine ({now.words}); camfleet tune makes one")
    profile = read_profile(file, fleet.name)
    if profile is None:
        return Tuned(fleet, f"{file} says nothing of the fleet “{fleet.name}”; camfleet tune adds it")
    why = _why_not(profile, fleet_file, fleet, now)
    if why:
        return Tuned(fleet, f"{file} is not used: {why}; {AGAIN}")
    own = own_keys(fleet_file)
    try:
        tuned = load_fleet(fleet_file, overlay=profile.overlay)
    except ConfigError as error:  # The file alone is right: a camera of its own has other bounds since then.
        why = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        return Tuned(fleet, f"{file} is not used: it does not go with what the file says itself: {why}; {AGAIN}")
    return Tuned(tuned, _words(profile, own), profile)


def model_as_written(fleet_file: Path, fleet: Fleet) -> str:
    """How a fleet's model is named in a profile: from the fleet file's folder where it lies there, else by its name."""
    path = Path(fleet.model.path)
    if not fleet.model.path or not path.is_absolute():
        return fleet.model.path
    try:
        return str(path.relative_to(fleet_file.absolute().parent.resolve()))
    except ValueError:
        return path.name


def _why_not(profile: Profile, fleet_file: Path, fleet: Fleet, now: Fingerprint) -> str:
    changed = differences(profile.fingerprint, now)
    if changed:
        return ", ".join(changed)
    model = model_as_written(fleet_file, fleet)
    if model != profile.model:
        return f"it was found with the model {profile.model or 'none'}, and the file names {model or 'none'}"
    return ""


def _words(profile: Profile, own: frozenset[KeyPath]) -> str:
    """One line: where it comes from, what it sets, what was measured, and what the file decides itself."""
    values: Overlay = profile.overlay
    taken = {path: value for path, value in values.values.items() if not is_own(path, own)}
    kept = [path for path in values.values if is_own(path, own)]
    told = as_written(taken)
    if values.model_path:
        told.insert(0, f"model {Path(values.model_path).name}")
    words = f"{profile.file}: {', '.join(told) or 'nothing beat the file as it is'}"
    measured = f"tuned {profile.date} for {profile.goal}"
    words += f" ({measured}{': ' + profile.summary if profile.summary else ''})"
    if kept:
        mine = ", ".join(".".join(map(str, path)) for path in kept)
        words += f"; the fleet file's own {mine} stay{'s' if len(kept) == 1 else ''}"
    return words
