"""A fleet at a glance, from what it says of itself once a second: as figures, and as a terminal shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from pipeline.client.silence import HEARTBEAT_S
from pipeline.clock import NS_PER_S
from pipeline.observe.columns import BAD, GOOD
from pipeline.observe.headlines import Headlines
from pipeline.observe.promise import Promise
from pipeline.observe.table import FleetTable
from pipeline.observe.tally import CameraTally, FleetTally
from pipeline.observe.words import sentence, some, span
from pipeline.wire import CameraFigures, FleetState, ProcessFigures, State

FIGURES = ("p95 ms", "det age", "det/s", "stride", "loss", "kept %", "objects", "pub/s", "p50 ms", "again")
"""What a fleet says of its cameras; what became of frames only their own messages tell."""
LEAST_TABLE = 5
"""Lines of a table without cameras, an empty one below it, and the one that the terminal's cursor takes."""


class CameraGlance(msgspec.Struct, frozen=True, kw_only=True):
    """One camera. None stands for what is not known.

    Attributes:
        state: How it is.
        last_state: How it was when it last said so, however long ago that is.
        since_ns: Wall time since when, ns since 1970-01-01 UTC; 0 where it is not known.
        state_for_s: For how long, by the fleet's own clock.
        detail: Why.
        retry_at_ns: Wall time of the next try; 0 where there is none.
        retry_in_s: Until then.
        reconnects: How often it was connected again.
        broken: Why it does not keep the promise; empty where it does, or where that is not known.
        figures: How it did of late.
    """

    state: State | None
    last_state: State | None = None
    since_ns: int = 0
    state_for_s: float | None = None
    detail: str = ""
    retry_at_ns: int = 0
    retry_in_s: float | None = None
    reconnects: int = 0
    broken: str = ""
    figures: CameraFigures | None


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet at one moment. None stands for what is not known, never for nothing.

    Attributes:
        fleet: Its name; empty as long as nothing was heard.
        heard_s_ago: How old its word on itself is; None where it said nothing yet.
        at_ns: Wall time of that word.
        p95_ms: The promised age.
        kept: Whether the promise of age is kept by every camera that should deliver.
        broken_by: Who does not keep it, and why.
        max_loss: The points of HOTA that a camera may lose; None where nothing is promised.
        loss_kept: Whether none that should deliver loses more.
        loss_broken_by: Who does, and why.
        cameras: By name.
        processes: All of its processes; empty where nothing is known.
    """

    fleet: str
    heard_s_ago: float | None
    at_ns: int
    p95_ms: float | None
    kept: bool | None
    broken_by: dict[str, str]
    max_loss: float | None = None
    loss_kept: bool | None = None
    loss_broken_by: dict[str, str] = {}
    cameras: dict[str, CameraGlance]
    processes: tuple[ProcessFigures, ...]


def look(heard: Headlines) -> Glance:
    """How the fleet is; of one that has been silent for three seconds nothing is known but its cameras' last words."""
    ago_s, last = heard.told_s_ago, heard.fleet
    now = last if ago_s is not None and ago_s <= HEARTBEAT_S else None
    names = sorted(heard.states if last is None else {*last.cameras, *(heard.states if now is None else ())})
    broken_by = {} if now is None else {name: sentence(why) for name, why in now.broken_by.items()}
    return Glance(
        fleet="" if last is None else last.fleet,
        heard_s_ago=None if ago_s is None else round(ago_s, 1),
        at_ns=0 if last is None else last.at_ns,
        p95_ms=None if last is None else last.p95_ms,
        kept=None if now is None else now.kept,
        broken_by=broken_by,
        max_loss=None if last is None else last.max_loss,
        loss_kept=None if now is None else now.loss_kept,
        loss_broken_by={} if now is None else {name: sentence(why) for name, why in now.loss_broken_by.items()},
        cameras={name: _camera(name, heard, now, broken_by.get(name, "")) for name in names},
        processes=() if now is None else now.processes,
    )


def _camera(name: str, heard: Headlines, now: FleetState | None, broken: str) -> CameraGlance:
    figures, state = None if now is None else now.cameras.get(name), heard.states.get(name)
    if state is None:
        return CameraGlance(state=None if figures is None else figures.state, broken=broken, figures=figures)
    since_s = heard.heard_s_ago(name) or 0.0
    # Both by the clock of the fleet's machine, which may be another than ours.
    state_for_s = (state.at_ns - state.since_ns) / NS_PER_S + since_s if state.since_ns else None
    retry_in_s = (state.retry_at_ns - state.at_ns) / NS_PER_S - since_s if state.retry_at_ns else None
    return CameraGlance(
        state=None if figures is None else figures.state,
        last_state=state.state,
        since_ns=state.since_ns,
        state_for_s=None if state_for_s is None else round(max(0.0, state_for_s), 1),
        detail=sentence(state.detail),
        retry_at_ns=state.retry_at_ns,
        retry_in_s=None if retry_in_s is None else round(max(0.0, retry_in_s), 1),
        reconnects=state.reconnects,
        broken=broken,
        figures=figures,
    )


def tally_of(glance: Glance, silent_s: Callable[[str], float | None]) -> FleetTally:
    """The same in the form that the fleet's table takes; what only frames tell is empty.

    Args:
        glance: How the fleet is.
        silent_s: For how long nothing was heard of a camera; None if nothing ever was.
    """
    cameras = [_tally(name, one, silent_s(name)) for name, one in glance.cameras.items()]
    figures = [one.figures for one in glance.cameras.values() if one.figures is not None]
    return FleetTally(
        span_s=0.0,
        published_hz=round(sum(one.frame_hz for one in figures), 1),
        detected_hz=round(sum(one.detect_hz for one in figures), 1),
        age_p50_ms=None,
        age_p95_ms=None,
        age_p99_ms=None,
        detected_age_p95_ms=None,
        detection_age_p95_ms=None,
        attainment_percent=_attained(figures),
        stages_ms={},
        jain_index=None,
        cameras=cameras,
    )


def _attained(figures: list[CameraFigures]) -> float | None:
    """Of all frames together."""
    frames = sum(one.frame_hz for one in figures if one.kept_percent is not None)
    kept = sum(one.frame_hz * one.kept_percent for one in figures if one.kept_percent is not None)
    return round(kept / frames, 1) if frames else None


def _tally(name: str, camera: CameraGlance, silent_s: float | None) -> CameraTally:
    figures = camera.figures
    return CameraTally(
        camera_id=name,
        state=camera.state or camera.last_state or "connecting",
        detail=camera.detail,
        since_ns=camera.since_ns,
        state_for_s=camera.state_for_s,
        retry_at_ns=camera.retry_at_ns,
        retry_in_s=camera.retry_in_s,
        silent_s=silent_s,
        reconnects=camera.reconnects,
        decoded_hz=0.0,
        detected_hz=figures.detect_hz if figures is not None else 0.0,
        published_hz=figures.frame_hz if figures is not None else 0.0,
        age_p50_ms=figures.age_p50_ms if figures is not None else None,
        age_p95_ms=figures.age_p95_ms if figures is not None else None,
        age_p99_ms=None,
        detected_age_p95_ms=None,
        detection_age_ms=figures.detection_age_ms if figures is not None else None,
        detection_age_p95_ms=None,
        attainment_percent=figures.kept_percent if figures is not None else None,
        longest_undetected_s=0.0,
        objects=figures.objects if figures is not None else 0,
        decoded=0,
        detected=0,
        filled={},
        lost={},
        sessions=0,
        stride=figures.stride if figures is not None else 0,
        loss=figures.loss if figures is not None else None,
    )


@dataclass(frozen=True, slots=True)
class GlanceView:
    """A fleet on a terminal: its cameras, whether the promise is kept, its processes. Trouble first, as far as it fits.

    Attributes:
        glance: How the fleet is.
        tally: The same for the table.
        life_ms: How long boxes live, by camera, where that is known.
        silence: What may be wrong where nothing was heard.
        whole: Every camera, however many lines that takes.
    """

    glance: Glance
    tally: FleetTally
    life_ms: Mapping[str, float]
    silence: str = ""
    whole: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.glance.fleet and not self.glance.cameras:
            yield Text(sentence(self.silence) or "listening …", "dim")
            return
        foot = [verdict_of(self.glance), *loss_verdict_of(self.glance), processes_of(self.glance)]
        if not self.whole:
            foot = foot[: max(0, options.max_height - LEAST_TABLE)]
        room = max(1, options.max_height - len(foot) - 1)
        promise = Promise(self.glance.p95_ms or 0.0, self.life_ms, self.glance.max_loss)
        # Where nothing is known there are no columns, rather than noughts in them.
        known = FIGURES if any(one.figures is not None for one in self.glance.cameras.values()) else ()
        table = FleetTable(self.tally, f"fleet {self.glance.fleet}", promise, self.whole, known)
        yield from table.__rich_console__(console, options.update_height(room))
        for line in (Text(""), *foot) if foot else ():
            if not self.whole:
                line.truncate(options.max_width, overflow="ellipsis")
            yield line


def verdict_of(glance: Glance) -> Text:
    """Whether the promise is kept, and who does not keep it."""
    ago_s = glance.heard_s_ago
    if ago_s is None or ago_s > HEARTBEAT_S:
        how_long = "" if ago_s is None else f" for {span(ago_s)}"
        return Text(f"nothing was heard of the fleet{how_long}; what is above is not of now", BAD)
    return _judged(f"p95 ≤ {glance.p95_ms:g} ms: ", glance.kept, glance.broken_by)


def loss_verdict_of(glance: Glance) -> list[Text]:
    """The same of the promise of accuracy; nothing where there is none, or where nothing is heard."""
    ago_s = glance.heard_s_ago
    if glance.max_loss is None or ago_s is None or ago_s > HEARTBEAT_S:
        return []
    return [_judged(f"loss ≤ {glance.max_loss:g} points: ", glance.loss_kept, glance.loss_broken_by)]


def _judged(promise: str, kept: bool | None, broken_by: Mapping[str, str]) -> Text:
    if kept is None:
        return Text(f"{promise}not known")
    if kept:
        return Text(f"{promise}kept", GOOD)
    # Of a camera that is down the table says the rest.
    broken = [f"{name} ({why.partition(': ')[0]})" for name, why in broken_by.items()]
    return Text(f"{promise}not kept by {some(broken)}", BAD)


def processes_of(glance: Glance) -> Text:
    """How many run, which of them do not or were started again, and how busy the detector is."""
    if not glance.processes:
        return Text("processes: not known", "dim")
    running = sum(one.condition == "running" for one in glance.processes)
    told = [words for one in glance.processes if (words := _process(one))]
    trouble = any(one.condition in ("waiting", "given up") for one in glance.processes)
    line = f"{running} of {len(glance.processes)} processes run"
    return Text("; ".join([line, *([some(told)] if told else [])]), "red" if trouble else "")


def _process(process: ProcessFigures) -> str:
    """What is to be told of one; empty where it just runs."""
    again = f"started again {process.restarts}×" if process.restarts else ""
    condition = "" if process.condition == "running" else process.condition
    lanes = "" if process.lanes_busy is None else f"{process.lanes_busy:.1f} of {process.lanes} lanes busy"
    words = ", ".join(part for part in (condition, lanes, again, sentence(process.detail)) if part)
    return f"{process.name} ({words})" if words else ""
