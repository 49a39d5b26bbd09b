"""A search as it is ordered on a command line: everything that can be wrong is told before the first run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from pipeline.config import Fleet, load_fleet, own_keys
from pipeline.config.camera import Stride
from pipeline.config.overlay import is_own
from pipeline.detect.load import pick_backend
from pipeline.errors import ConfigError, PipelineError
from pipeline.extras import require
from pipeline.tune.fine import Proposals
from pipeline.tune.fingerprint import Fingerprint, read_fingerprint
from pipeline.tune.goal import Budget, Goal, parse_budget, parse_goal, parse_time
from pipeline.tune.journal import Journal
from pipeline.tune.knobs import KNOBS, Knob, Machine
from pipeline.tune.lab import Lab, Runner, Watch
from pipeline.tune.models import Variants
from pipeline.tune.outcome import Outcome
from pipeline.tune.profile import FOLDER, profile_file
from pipeline.tune.recordings import Footage, find_footage, record_clips
from pipeline.tune.runs import SETTLE_S, RealRuns, fleet_digest
from pipeline.tune.search import search
from pipeline.tune.setting import Setting
from pipeline.tune.task import Task
from pipeline.tune.tracking import stride_loss

JUDGED = ("openvino", "ultralytics")
"""Backends whose models can be made anew and judged."""


class Turning(Watch, Protocol):
    """Is also told how far a run is."""

    def turn(self, spent_s: float) -> None:
        """Called several times a second during a run, with the seconds of it that are over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The options of `camfleet tune`, as they were given."""

    fleet_file: Path
    goal: str = ""
    budget: str = "map_loss<=1.0"
    time: str = "15m"
    models: tuple[Path, ...] = ()
    data: Path | None = None
    reference: Path | None = None
    recordings: Path | None = None
    seconds: float = 5.0
    resume: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The same, understood and checked.

    Attributes:
        order: As it was given.
        fleet: What the file says, without any profile.
        goal: What must be kept.
        budget: What it may cost.
        time_s: How long it may take, s.
        footage: In place of the cameras.
        fingerprint: This machine.
        machine: Decides which values are tried.
        own: Dotted keys that the file sets itself.
        models: Paths of other models.
        variants: Makes and judges forms of models; None where nothing says what they cost.
        blind: Why not, in words.
        journal: Where measurements are kept.
        profile: Where what is found will be written.
        settle_s: Before a run is measured, s.
    """

    order: Order
    fleet: Fleet
    goal: Goal
    budget: Budget
    time_s: float
    footage: Footage
    fingerprint: Fingerprint
    machine: Machine
    own: frozenset[str]
    models: tuple[str, ...]
    variants: Variants | None
    blind: str
    journal: Path
    profile: Path
    settle_s: float


def prepare(order: Order, say: Callable[[str], None], machine: Fingerprint | None = None) -> Prepared:
    """Everything that a search needs; blocks while clips of cameras are recorded, where there are no recordings.

    Args:
        order: The options.
        say: Is told, in a line each, what the search goes by.
        machine: This machine; found out by default.

    Raises:
        ConfigError: An option or the fleet file is wrong, a library is missing, or there is nothing to play.
    """
    require("tune", "tune")
    fleet = load_fleet(order.fleet_file)
    goal, budget = parse_goal(order.goal, fleet.slo.p95_ms), parse_budget(order.budget)
    time_s, fingerprint = parse_time(order.time), machine or read_fingerprint()
    models = tuple(_model(path) for path in order.models)
    profile = profile_file(order.fleet_file, fingerprint)
    footage = find_footage(fleet, order.recordings)
    if footage is None:
        footage = record_clips(fleet, order.fleet_file.parent / FOLDER / "clips" / fleet.name, say)
    say(f"played in place of the cameras: {footage.words}")
    if goal.p95_ms != fleet.slo.p95_ms:
        say(f"the file promises {fleet.slo.p95_ms:g} ms: put slo: {{p95_ms: {goal.p95_ms:g}}} there to run as tuned")
    searched = _machine(fleet, fingerprint.cores)
    variants, blind = _variants(order, fleet, footage, profile.parent / "models", searched.backend)
    if models and variants is None:
        raise ConfigError(
            "--model needs --data DATASET.yaml (labelled pictures), --reference BIGGER_MODEL, or recordings with "
            f"ground truth: nothing else says what another model costs in accuracy{f' ({blind})' if blind else ''}"
        )
    if variants is not None:
        _require_usable(models, variants)
        say(f"accuracy: {variants.basis}")
    return Prepared(
        order=order,
        fleet=fleet,
        goal=goal,
        budget=budget,
        time_s=time_s,
        footage=footage,
        fingerprint=fingerprint,
        machine=searched,
        own=_own(order.fleet_file, fleet),
        models=models,
        variants=variants,
        blind=blind,
        journal=profile.with_name(f"{fingerprint.hardware}.{fleet.name}.journal"),
        profile=profile,
        settle_s=min(SETTLE_S, order.seconds / 2),
    )


def carry_out(prepared: Prepared, watch: Turning, runner: Runner | None = None) -> Outcome:
    """Search, and go on where the same search was interrupted; blocks for as long as it may take.

    Args:
        prepared: What.
        watch: Is told how it goes.
        runner: Runs the fleet; really by default.
    """
    order = prepared.order
    journal = Journal(prepared.journal, _question(prepared), prepared.time_s, order.resume)
    if journal.resumed:
        watch.step(f"going on after {journal.resumed} measurements that were made before")
    runner = runner or RealRuns(order.fleet_file, prepared.footage, watch.turn, prepared.settle_s)
    lab = Lab(runner, journal, prepared.goal, prepared.time_s, seconds=order.seconds, watch=watch)

    def proposals(best: Setting, knobs: Sequence[Knob], impossible: Collection[Setting]) -> Proposals:
        return Proposals(best, knobs, prepared.machine, impossible)

    task = Task(
        machine=prepared.machine,
        budget=prepared.budget,
        model=prepared.fleet.model.path,
        models=prepared.models,
        own=prepared.own,
        variants=prepared.variants,
        blind=prepared.blind,
        hota_loss=stride_loss(prepared.fleet, prepared.footage, lab.known),
        fine=proposals,
    )
    return search(task, lab)


def _question(prepared: Prepared) -> Mapping[str, Any]:
    """What a journal must be of to be gone on with."""
    order = prepared.order
    return {
        "fingerprint": msgspec.to_builtins(prepared.fingerprint),
        "fleet": fleet_digest(prepared.fleet),
        "goal": str(prepared.goal),
        "budget": str(prepared.budget),
        "models": list(prepared.models),
        "data": str(order.data),
        "reference": str(order.reference),
        "recordings": {name: str(file) for name, file in prepared.footage.files.items()},
        "seconds": order.seconds,
        "knobs": [knob.name for knob in KNOBS],
        "own": sorted(prepared.own),
    }


def _machine(fleet: Fleet, cores: float) -> Machine:
    model = fleet.model
    backend = pick_backend(model) if model.backend == "auto" else model.backend
    strides = [camera.stride for camera in fleet.cameras.values()]
    least, most = min(stride.min for stride in strides), max(stride.max for stride in strides)
    return Machine(backend, model.device, cores, len(fleet.cameras), (least, most))


def _own(file: Path, fleet: Fleet) -> frozenset[str]:
    """The keys that are set in the file; the strides' too where every camera has its own."""
    written = own_keys(file)
    strides = [f"defaults.stride.{end}" for end in Stride.model_fields]
    each = all(("cameras", camera_id, "stride") in written for camera_id in fleet.cameras)
    decided = each or is_own(("defaults", "stride", "min"), written)
    return frozenset(".".join(map(str, path)) for path in written) | frozenset(strides if decided else ())


def _model(path: Path) -> str:
    """Absolute where it is there; a bare name may be one that is fetched."""
    if path.exists():
        return str(path.resolve())
    if len(path.parts) > 1:
        raise ConfigError(f"--model {path}: there is no such model")
    return str(path)


def _require_usable(models: Sequence[str], variants: Variants) -> None:
    """Say now of a model that is none, not when its turn has come."""
    for path in models:
        try:
            variants.input_wh(path)
        except PipelineError as error:
            raise ConfigError(f"--model: {error}") from error


def _variants(order: Order, fleet: Fleet, footage: Footage, folder: Path, backend: str) -> tuple[Variants | None, str]:
    """What makes and judges forms of the model, or why nothing does."""
    if backend not in JUDGED:
        if order.data is not None or order.reference is not None:
            raise ConfigError(f"--data and --reference: models of backend {backend} cannot be judged; leave them out")
        return None, f"models of backend {backend} have no other forms"
    from pipeline.tune.by_levers import variants

    return variants(fleet, footage.in_place_of(fleet), folder, order.data, order.reference)
