"""Why nothing comes: what a subscriber that hears nothing can say about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from pipeline.redact import printable, redact
from pipeline.wire import SEEING, CameraState, FleetState

HINT_S = 5.0
"""A subscriber that has heard nothing at all for so long says where it listens; a fleet says something every second."""
HEARTBEAT_S = 3.0
"""A fleet says how it is once a second; of one that has been silent for so long, nothing of now is known."""
TOLD = 4
"""Cameras that an error explains; the rest is counted."""


def why_silent(
    states: Mapping[str, CameraState],
    fleets: Mapping[str, FleetState] | None = None,
    cameras: Iterable[str] = (),
) -> str:
    """What fleets and their cameras say about why no frame comes of the `cameras` asked for; none stands for all."""
    if unknown := unknown_cameras([one for one in cameras if one not in states], fleets or {}):
        return unknown
    if not states:
        return "is the fleet running, and publishing here?"
    silent = [state for state in states.values() if state.state not in SEEING]
    if not silent:
        return f"its cameras say they are live: {', '.join(sorted(states)[:TOLD])}"
    words = [
        printable(f"{state.camera_id} is {state.state}{': ' * bool(state.detail)}{state.detail}")
        for state in silent[:TOLD]
    ]
    more = f"; and {len(silent) - TOLD} more" if len(silent) > TOLD else ""
    return "; ".join(words) + more


def unknown_cameras(cameras: Iterable[str], fleets: Mapping[str, FleetState]) -> str:
    """What to say of cameras that were asked for and that no fleet has; empty where all are there, or may be."""
    # A publisher that has just begun knows no process yet, and of the cameras only those that have delivered.
    if not fleets or not all(fleet.processes for fleet in fleets.values()):
        return ""
    there = sorted({name for fleet in fleets.values() for name in fleet.cameras})
    missing = [name for name in cameras if name not in there]
    if not missing:
        return ""
    who = f"the fleet {_quoted(fleets)} has" if len(fleets) == 1 else f"the fleets {_quoted(fleets)} have"
    close = difflib.get_close_matches(missing[0], there, 1)
    meant = f"did you mean {_quoted(close)}? " if close else ""
    more = f" and {len(there) - TOLD} more" if len(there) > TOLD else ""
    return printable(f"{who} no camera {_quoted(missing)}; {meant}there is {_quoted(there[:TOLD])}{more}")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def hint(endpoints: Sequence[str], *, connected: bool, has_key: bool, for_s: float | None = HINT_S) -> str:
    """What to look at when nothing at all was heard in that time, not even that a fleet lives."""
    where, heard = redact(", ".join(endpoints)), "nothing heard" + (f" for {for_s:.0f} s" if for_s else "")
    if connected:
        return f"{heard} from {where}, which answers; is it a fleet's endpoint, and does it have the cameras asked for?"
    key = "is the key allowed there, and the other the fleet's?" if has_key else "does it want a key?"
    return (
        f"{heard}, and no connection to {where}; is the fleet running, is this its "
        f"publish.bind, does a firewall stand between, {key}"
    )
