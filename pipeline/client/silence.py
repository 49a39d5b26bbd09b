"""Why nothing comes: what a subscriber that hears nothing can say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.redact import printable, redact
from pipeline.wire import SEEING, CameraState

HINT_S = 5.0
"""A subscriber that has heard nothing at all for so long says where it listens; a fleet says something every second."""
HEARTBEAT_S = 3.0
"""A fleet says how it is once a second; of one that has been silent for so long, nothing of now is known."""
TOLD = 4
"""Cameras that an error explains; the rest is counted."""


def why_silent(states: Mapping[str, CameraState]) -> str:
    """What the cameras' states say about why no frame comes."""
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


def hint(endpoints: Sequence[str], *, connected: bool, has_key: bool) -> str:
    """What to look at when nothing at all was heard, not even that a fleet lives."""
    where = redact(", ".join(endpoints))
    if connected:
        return (
            f"nothing heard for {HINT_S:.0f} s from {where}, which answers; is it a fleet's endpoint, and does it have "
            "the cameras asked for?"
        )
    key = "is the key allowed there, and the other the fleet's?" if has_key else "does it want a key?"
    return (
        f"nothing heard for {HINT_S:.0f} s, and no connection to {where}; is the fleet running, is this its "
        f"publish.bind, does a firewall stand between, {key}"
    )
