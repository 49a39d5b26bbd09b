"""What is simulated: cameras, the kind of node, failure domains, subscribers, a day; every figure with its default."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from pipeline.config.base import Name, Number, Value, Whole, mistake, not_bool
from pipeline.config.load import told
from pipeline.config.locate import Document, KeyPath, read_document
from pipeline.config.wording import describe
from pipeline.errors import ConfigError
from pipeline.scale.headroom import Policy

MOST_CAMERAS = 100_000
NEEDS = "such as “cameras”, “node” or “day”"
# Bounds stand before the validator, or the schema does not name them.
Count = Annotated[int, Field(ge=1, le=MOST_CAMERAS), BeforeValidator(not_bool)]
Hour = Annotated[float, Field(ge=0, le=24), BeforeValidator(not_bool)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(not_bool)]
Point = tuple[Hour, Share]


def _rising(points: list[Point]) -> list[Point]:
    """A course whose hours rise, so that each hour has one value."""
    hours = [hour for hour, _ in points]
    if any(later <= earlier for earlier, later in pairwise(hours)):
        raise mistake("hours must rise from one point to the next, such as [[0, 0.3], [12, 1.0]]")
    if not any(share for _, share in points):
        raise mistake("no camera would ever send a frame; give at least one hour a share above 0")
    return points


class Stride(Value):
    """Every how many frames a camera is offered to the detector."""

    min: Whole = Field(default=2, ge=1, le=100, description="With room.")
    max: Whole = Field(default=8, ge=1, le=100, description="At most.")

    @model_validator(mode="after")
    def _ordered(self) -> Stride:
        if self.max < self.min:
            raise mistake(f"found “{self.max}” for max, which is below min ({self.min})", at=("max",))
        return self


class Camera(Value):
    """What a usual camera sends, and how unequal cameras are."""

    fps: Number = Field(default=25.0, ge=0.5, le=120, description="Frames a second at the day's height.")
    stride: Stride = Field(default=Stride(), description="Between which bounds strides give way.")
    objects: Number = Field(default=10.0, ge=0, le=1000, description="Objects in a message at the day's height.")
    unequal: Number = Field(
        default=0.3, ge=0, le=2, description="Standard deviation of a camera's work, as a share of the mean."
    )
    apart_h: Number = Field(
        default=1.0, ge=0, le=12, description="Cameras' days differ by up to so many hours, earlier or later."
    )
    opening_s: Number = Field(
        default=2.0, ge=0, le=600, description="Until a camera that is opened anew has its first picture, s."
    )


class Node(Value):
    """The kind of machine, which carries one shard."""

    hour: Number = Field(default=0.40, ge=0, le=1e6, description="Its price an hour.")
    cores: Number = Field(default=8.0, ge=1, le=1024, description="That it has.")
    lanes: Whole = Field(default=8, ge=1, le=256, description="Detections that run at once.")
    service_ms: Number = Field(default=24.0, gt=0, le=10_000, description="How long one takes, alone, ms.")
    lane_cores: Number = Field(default=1.0, ge=0, le=64, description="Cores that one keeps busy; 0 on a GPU.")
    frame_cpu_ms: Number = Field(
        default=1.84,
        ge=0,
        le=1000,
        description="CPU time of a frame beside the detector: decoding, following, sending.",
    )
    network_gbit: Number = Field(default=10.0, gt=0, le=1000, description="What its network carries, Gbit/s.")
    boot_s: Number = Field(default=120.0, ge=0, le=86_400, description="From asking for it until it is there.")
    warm_s: Number = Field(default=30.0, ge=0, le=86_400, description="Until its detector is loaded and warmed.")
    opens_hz: Number = Field(
        default=4.0, gt=0, le=1000, description="Cameras that it opens a second, when many come at once."
    )


class Domains(Value):
    """What fails together."""

    zones: Whole = Field(default=3, ge=1, le=100, description="Parts of a region with power and network of their own.")
    rack_nodes: Whole = Field(default=20, ge=1, le=1000, description="Nodes behind one switch.")
    notice_s: Number = Field(default=5.0, ge=0, le=3600, description="Until the death of a node is noticed.")


class Loss(Value):
    """A part of the fleet that is lost during the day; nodes fall where it holds the most."""

    what: Literal["nothing", "node", "rack", "zone"] = Field(default="rack", description="What is lost at once.")
    hour: Number = Field(default=12.0, ge=0, lt=24, description="When.")
    hours: Number = Field(default=2.0, gt=0, le=24, description="For how long no node comes there.")


class Subscribers(Value):
    """Who listens."""

    everything: Whole = Field(default=3, ge=0, le=10_000, description="Hear all cameras: sinks, page, recorder.")
    desks_per_1000: Number = Field(default=20.0, ge=0, le=100_000, description="For 1,000 cameras, who hear a few.")
    desk_cameras: Whole = Field(default=16, ge=1, le=10_000, description="How many those hear.")
    compact: bool = Field(default=False, description="Whether all take the compact form of a frame.")


class Scaling(Value):
    """When more shards are asked for, and when some are given back (`pipeline.scale.headroom`)."""

    on: bool = Field(default=True, description="Off: as many nodes all day as its height needs.")
    target: Number = Field(default=0.7, ge=0.2, le=1.0, description="How busy a shard is to be.")
    short_stretch: Number = Field(default=1.3, gt=1, le=100, description="Strides larger by this are short.")
    short_s: Number = Field(default=60.0, ge=0, le=86_400, description="For how long, until more is asked for.")
    idle: Number = Field(default=0.5, ge=0, le=1, description="Demand below which a shard idles.")
    idle_s: Number = Field(default=900.0, ge=0, le=86_400, description="For how long, until it may be given back.")
    spare_share: Number = Field(
        default=0.0, ge=0, le=1, description="Nodes beyond what is needed, as a share of what the day's height needs."
    )

    @model_validator(mode="after")
    def _apart(self) -> Scaling:
        if self.idle >= self.target:
            raise mistake(f"found “{self.idle:g}” for idle, which is not below target ({self.target:g})", at=("idle",))
        return self

    def policy(self, spare: int) -> Policy:
        """The same for the policy itself."""
        return Policy(
            target=self.target,
            short_stretch=self.short_stretch,
            short_s=self.short_s,
            idle=self.idle,
            idle_s=self.idle_s,
            ask_again_s=300.0,
            give_again_s=1800.0,
            spare=spare,
        )


class Proxies(Value):
    """What stands between shards and subscribers."""

    full: Number = Field(default=0.5, gt=0, le=1, description="How busy one is to be at most.")
    copies: Whole = Field(default=2, ge=1, le=8, description="Of each, so that one may die.")


class Scenario(Value):
    """A fleet and its day: the file of `camfleet simulate`. What is left out has the default."""

    name: Name = Field(default="scenario", description="What it is called.")
    cameras: list[Count] = Field(
        default=[1000, 10_000, 100_000], min_length=1, max_length=8, description="Sizes that are looked at."
    )
    cell: Whole | None = Field(
        default=None,
        ge=10,
        le=MOST_CAMERAS,
        description="Cameras in a cell: a fleet with a head, proxies and directory of its own. Without it, all in one.",
    )
    p95_ms: Number = Field(default=150.0, ge=1, le=60_000, description="The age that is promised.")
    day: Annotated[list[Point], AfterValidator(_rising)] = Field(
        default=[(0, 0.35), (5, 0.3), (7, 0.65), (9, 0.9), (12, 1.0), (14, 0.95), (18, 1.0), (20, 0.75), (23, 0.4)],
        min_length=1,
        max_length=100,
        description="Hours, and the share of their frames that cameras send then; straight lines between.",
    )
    camera: Camera = Field(default=Camera(), description="What a usual camera sends.")
    node: Node = Field(default=Node(), description="The kind of machine.")
    currency: Annotated[str, Field(min_length=1, max_length=8)] = Field(default="USD", description="Of prices.")
    domains: Domains = Field(default=Domains(), description="What fails together.")
    loss: Loss = Field(default=Loss(), description="What is lost.")
    subscribers: Subscribers = Field(default=Subscribers(), description="Who listens.")
    scaling: Scaling = Field(default=Scaling(), description="When nodes come and go.")
    proxies: Proxies = Field(default=Proxies(), description="Between shards and subscribers.")
    seed: Whole = Field(default=0, ge=0, le=2**31, description="Repeats the same cameras.")


def load_scenario(path: Path) -> Scenario:
    """The scenario of a YAML file.

    Raises:
        ConfigError: It cannot be read, or has mistakes; one line each, with file, line, column, key, what was found and
            what is allowed.
    """
    document = read_document(path, "scenario to simulate", NEEDS)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}:1: a scenario is a mapping with keys {NEEDS}, this one is not")
    try:
        return Scenario.model_validate(document.data)
    except ValidationError as error:
        _report(error, document)
    raise ConfigError(told(document))


def _report(error: ValidationError, document: Document) -> None:
    schema = Scenario.model_json_schema()
    for detail in error.errors(include_url=False, include_input=False):
        path: KeyPath = (*detail["loc"], *detail.get("ctx", {}).get("at", ()))
        if detail["type"] == "too_short":
            document.report(path, "is empty; give at least one")
            continue
        place = document.places.get(path)
        text = describe(detail, path, place.text if place else None, schema)
        document.report(path, text, at_key=detail["type"] == "extra_forbidden")
