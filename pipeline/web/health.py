"""Whether a fleet lives and serves, in words: for load balancers, containers and people.

Nothing is well that is not known: a fleet that has said nothing yet, or for three seconds, does not live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pipeline.redact import printable, redact
from pipeline.web.known import KnownCamera, KnownFleet, sees
from pipeline.web.measured import Taken
from pipeline.web.minute import Latency
from pipeline.wire import CameraFigures, Counts, FleetState, ProcessFigures, State

EVERY = "*"
"""In place of a camera's name: all that should deliver."""
RESTING: frozenset[State] = frozenset({"ended", "paused", "removed"})
"""States in which nobody waits for a camera."""
TOLD = 4
"""Cameras that a reason names; the rest is counted."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """An answer and its reasons.

    Attributes:
        ok: Whether it is well.
        why: Why not, a sentence each; of a fleet that is ready also what is not well besides.
        latency: Of all its frames.
    """

    ok: bool
    why: tuple[str, ...]
    latency: Latency


class CameraStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One camera.

    Attributes:
        state: How it is; None while nothing is known.
        detail: Why, and what to do.
        since_ns: Wall time when it came into this state, ns since 1970-01-01 UTC; 0 where it is not known.
        keeps_promise: Whether it does; None while that is not known, or not asked of it.
        why_not: Why it does not; empty where it does.
        last_frame_age_s: Since its newest frame came; None before the first.
        reconnects: How often it was connected again.
        figures: How it did of late; None while nothing is known.
        counts: Of all its sessions.
        latency: Of its frames.
    """

    state: State | None
    detail: str
    since_ns: int
    keeps_promise: bool | None
    why_not: str
    last_frame_age_s: float | None
    reconnects: int
    figures: CameraFigures | None
    counts: Counts
    latency: Latency


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process: how it is, and what it takes of the machine; None where that is not known."""

    process: ProcessFigures
    takes: Taken | None


class FleetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything.

    Attributes:
        fleet: Its name.
        live: Whether it said how it is within three seconds; the rest is what it last said.
        ready: Whether it serves.
        why: Why not, or what is not well besides.
        heard_s_ago: Since it last said how it is; None if it never did.
        at_ns: Wall time of this answer.
        p95_ms: The promised age; None while it is not known.
        kept: Whether the promise is kept by every camera that should deliver; None where that is not known.
        broken_by: Who does not keep it, and why.
        counts: Frames of all cameras since the publisher began.
        latency: Of all frames.
        cameras: By name.
        processes: All of the fleet's.
    """

    fleet: str
    live: bool
    ready: bool
    why: tuple[str, ...]
    heard_s_ago: float | None
    at_ns: int
    p95_ms: float | None
    kept: bool | None
    broken_by: dict[str, str]
    counts: Counts | None
    latency: Latency
    cameras: dict[str, CameraStatus]
    processes: tuple[ProcessStatus, ...]


def live(known: KnownFleet) -> Health:
    """Whether the fleet says how it is."""
    why = () if (silence := _silence(known)) is None else (silence,)
    return Health(ok=not why, why=why, latency=known.minute.latency(known.now_s))


def ready(known: KnownFleet, cameras: Sequence[str] = ()) -> Health:
    """Whether results come that a detection stands behind.

    Args:
        known: The fleet.
        cameras: Those that have to deliver, by name, or `*` for all that should; without any, one is enough.
    """
    latency = known.minute.latency(known.now_s)
    state = known.state
    if state is None:
        return Health(ok=False, why=(_silence(known) or "",), latency=latency)
    reasons = [*_without_worker(state), *_blind_cameras(known, state, cameras)]
    troubles = [] if reasons else _cameras_words(known, _troubled(state))
    return Health(ok=not reasons, why=tuple(reasons or troubles), latency=latency)


def status(known: KnownFleet, taken: Mapping[str, Taken]) -> FleetStatus:
    """Everything that is known."""
    state, last, health = known.state, known.last_state, ready(known)
    broken_by = {} if last is None else {name: _clean(why) for name, why in last.broken_by.items()}
    names = sorted({*known.cameras, *({} if last is None else last.cameras)})
    return FleetStatus(
        fleet=known.name,
        live=state is not None,
        ready=health.ok,
        why=health.why,
        heard_s_ago=_rounded(known.told_s_ago),
        at_ns=known.wall_ns,
        p95_ms=None if last is None else last.p95_ms,
        kept=None if state is None else state.kept,
        broken_by=broken_by,
        counts=None if last is None else last.counts,
        latency=health.latency,
        cameras={name: _camera(name, known) for name in names},
        processes=() if last is None else tuple(_process(one, taken) for one in last.processes),
    )


def _silence(known: KnownFleet) -> str | None:
    """Why nothing is known of now; None where it is."""
    if known.state is not None:
        return None
    ago_s = known.told_s_ago
    if ago_s is None:
        return "nothing was heard of the fleet yet"
    return f"nothing was heard of the fleet for {ago_s:.0f} s; it says how it is once a second"


def _without_worker(state: FleetState) -> list[str]:
    workers = [one for one in state.processes if one.role == "worker"]
    if any(one.condition == "running" for one in workers):
        return []
    if not workers:
        return ["no worker is known"]
    return ["no worker runs: " + "; ".join(f"{one.name} is {one.condition}" for one in workers)]


def _blind_cameras(known: KnownFleet, state: FleetState, asked: Sequence[str]) -> list[str]:
    """Why those that are asked for do not deliver; empty where they do."""
    expected = [name for name, figures in state.cameras.items() if figures.state not in RESTING]
    if not asked:
        if any(sees(state.cameras[name]) for name in expected):
            return []
        return ["no camera delivers", *_cameras_words(known, list(state.cameras))]
    wanted = [*expected, *(name for name in asked if name != EVERY)] if EVERY in asked else list(asked)
    wrong = [name for name in dict.fromkeys(wanted) if name not in state.cameras or not sees(state.cameras[name])]
    if EVERY in asked and not wanted:
        return ["no camera is expected to deliver"]
    return _cameras_words(known, wrong)


def _troubled(state: FleetState) -> list[str]:
    """Cameras that should deliver and do not."""
    return [name for name, one in state.cameras.items() if one.state not in RESTING and not sees(one)]


def _cameras_words(known: KnownFleet, names: Sequence[str]) -> list[str]:
    """How each of them is: the first few, and how many more there are."""
    words = [_camera_words(name, known) for name in names[:TOLD]]
    return [*words, f"and {len(names) - TOLD} more cameras"] if len(names) > TOLD else words


def _camera_words(name: str, known: KnownFleet) -> str:
    state = known.state
    figures = None if state is None else state.cameras.get(name)
    if figures is None:
        return _clean(f"there is no camera {name}")
    if figures.state is None:
        return f"nothing was heard of camera {name} yet"
    told = known.cameras[name].state if name in known.cameras else None
    detail = told.detail if told is not None and told.state == figures.state else ""
    if not detail and figures.kept_percent is None:
        detail = "no frame of late"
    return _clean(f"camera {name} is {figures.state}{': ' * bool(detail)}{detail}")


def _camera(name: str, known: KnownFleet) -> CameraStatus:
    now_s, state = known.now_s, known.state
    camera = known.cameras.get(name) or KnownCamera(now_s)
    figures = None if state is None else state.cameras.get(name)
    why_not = "" if state is None else _clean(state.broken_by.get(name, ""))
    return CameraStatus(
        state=None if figures is None else figures.state,
        detail="" if camera.state is None else _clean(camera.state.detail),
        since_ns=0 if camera.state is None else camera.state.since_ns,
        keeps_promise=False if why_not else True if figures is not None and sees(figures) else None,
        why_not=why_not,
        last_frame_age_s=_rounded(camera.since_frame_s(now_s)),
        reconnects=camera.reconnects.whole,
        figures=figures,
        counts=camera.sessions.whole,
        latency=camera.minute.latency(now_s),
    )


def _process(process: ProcessFigures, taken: Mapping[str, Taken]) -> ProcessStatus:
    cleaned = msgspec.structs.replace(process, detail=_clean(process.detail))
    return ProcessStatus(process=cleaned, takes=taken.get(process.name))


def _clean(words: str) -> str:
    """Nothing secret, and nothing that steers a terminal."""
    return printable(redact(words))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
