"""A fleet: what a fleet file says once it is read, checked and completed."""

from __future__ import annotations

import difflib
from typing import Literal

from pydantic import Field, model_validator

from pipeline.config.base import Name, Number, Value, Whole, mistake
from pipeline.config.camera import Camera, CameraSettings
from pipeline.config.cascade import SecondLook
from pipeline.config.endpoint import Endpoint, is_private
from pipeline.config.evidence import EventEvidence
from pipeline.config.keys import Keys
from pipeline.config.model import Model
from pipeline.config.page import Page
from pipeline.config.scale import Scale
from pipeline.config.sinks.choice import AnySink

__all__ = ["Fleet", "Model", "Publish", "Slo", "Worker"]


class Worker(Value):
    """The process that detects and tracks."""

    max_batch: Whole | None = Field(
        default=None, ge=1, le=1024, description="Most frames in one inference. Only to stay below what the model can."
    )
    max_wait_ms: Number = Field(
        default=5.0,
        ge=0,
        le=1000,
        description="How long a frame may wait for others to fill a batch, milliseconds. "
        "Raise it on a GPU with many cameras.",
    )
    nice: Whole = Field(
        default=5,
        ge=0,
        le=19,
        description="How far inference stands back behind decoding, as in nice(1). 0 where cores are plenty.",
    )


class Slo(Value):
    """The promises."""

    p95_ms: Number = Field(
        default=150.0,
        gt=0,
        le=60_000,
        description="The age, milliseconds from capture to publication, that 95 of 100 frames stay below. "
        "An older frame is not detected any more, its boxes are filled. Set it to what your use needs, not lower.",
    )
    max_loss: Number | None = Field(
        default=None,
        gt=0,
        le=100,
        description="The accuracy that detecting seldom may cost, points of HOTA against detecting every frame, as "
        "estimated while it runs: roughly, six times in ten within a point. Cameras that would lose more are detected "
        "before others. Without it nothing is promised of accuracy.",
    )


class Publish(Value):
    """Where the results go."""

    bind: Endpoint = Field(
        default="tcp://127.0.0.1:5555",
        description="The ZeroMQ endpoint to subscribe to. tcp://127.0.0.1:0 takes a free port, ipc:///run/fleet.sock "
        "stays on the machine. tcp://*:5555 serves other machines; it needs `keys`, or `insecure: true`.",
    )
    keys: Keys | None = Field(
        default=None,
        description="Who may subscribe: readers with a key of their own (CURVE), and by key which cameras. Without it, "
        "everybody who reaches `bind`.",
    )
    insecure: bool = Field(
        default=False,
        description="Let everybody who reaches `bind` from other machines read all, without a key and unencrypted. "
        "For networks that are closed by other means; said at every start.",
    )
    encoding: Literal["msgpack", "json"] = Field(
        default="msgpack",
        description="How messages are written at `bind`. msgpack is quick to read in any language; json for readers "
        "that have nothing else. Both have the same keys.",
    )
    json_bind: Endpoint | None = Field(
        default=None,
        description="Another endpoint with the same messages in JSON, such as tcp://127.0.0.1:5556, where some readers "
        "want that. It costs something only while somebody listens.",
    )
    history_mb: Whole = Field(
        default=32,
        ge=0,
        le=4096,
        description="How much of the last minute is kept for the fleet's own members, MB: a sink that was started "
        "again asks for what it missed.",
    )
    queue: Whole = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Messages kept for a subscriber that is slower than the fleet; beyond that, new ones are dropped "
        "for it. Raise it for readers that pause.",
    )

    @property
    def exposed(self) -> dict[str, str]:
        """The endpoints that other machines may reach without a key, by what the file calls them."""
        named = {"bind": self.bind, "json_bind": self.json_bind}
        return {
            name: endpoint
            for name, endpoint in named.items()
            if endpoint and self.keys is None and not is_private(endpoint)
        }

    @model_validator(mode="after")
    def _closed(self) -> Publish:
        for name, endpoint in self.exposed.items():
            if not self.insecure:
                raise mistake(
                    f"found “{endpoint}”, which other machines may reach, and no `keys`: whoever does could read all. "
                    "Make keys (camfleet keys new server), or stay on tcp://127.0.0.1:PORT, or say “insecure: true”",
                    at=(name,),
                )
        return self


class Fleet(Value):
    """Cameras, the model that watches them, and where the results go."""

    name: Name = Field(
        description="Named in every message. Set it where several fleets report to one place; else the file's."
    )
    model: Model = Field(description="The detector and how it runs.")
    cascade: dict[Name, SecondLook] = Field(
        default_factory=dict,
        description="Second looks: models that see the best crop of each object, by the names of the attributes that "
        "they give; their time is inside the promised latency.",
    )
    publish: Publish = Field(default=Publish(), description="Where the results go.")
    worker: Worker = Field(default=Worker(), description="The process that detects and tracks.")
    page: Page | None = Field(
        default=None, description="A page that shows the fleet live; none without it. `run --page` has one, too."
    )
    slo: Slo = Field(
        default=Slo(), description="What is promised: how old results may be, and how much accuracy may be lost."
    )
    power: Literal["full", "save"] = Field(
        default="full",
        description="`full` detects as often as the device can. `save` detects no more often than both promises need, "
        "and needs `slo.max_loss`: for batteries, heat, and machines that have other work.",
    )
    scale: Scale = Field(default=Scale(), description="What a shard is, of a fleet over several machines.")
    defaults: CameraSettings = Field(
        default=CameraSettings(), description="Settings of all cameras; a camera's own go before them."
    )
    cameras: dict[Name, Camera] = Field(min_length=1, description="The cameras by name.")
    evidence: EventEvidence | None = Field(
        default=None,
        description="What is kept on disk of each event of zones and lines: a clip, the best picture, and a JSON file; "
        "nothing without it.",
    )
    sinks: dict[Name, AnySink] = Field(
        default_factory=dict,
        description="Where results are kept or sent on to, by names of yours; each is a process of its own, and what "
        "it cannot get rid of waits on disk.",
    )

    @model_validator(mode="after")
    def _saves_for_a_promise(self) -> Fleet:
        if self.power == "save" and self.slo.max_loss is None:
            raise mistake(
                "found “save” without “slo.max_loss”, which says how seldom is often enough; add slo: {max_loss: 2}, "
                "or leave “power” out",
                at=("power",),
            )
        return self

    @model_validator(mode="after")
    def _blurs_what_is_detected(self) -> Fleet:
        for camera_id, camera in self.cameras.items():
            for name in camera.privacy.blur:
                if self.model.classes is not None and name not in self.model.classes:
                    raise mistake(
                        f"found “{name}”, which is not among “model.classes”: what is not detected cannot be blurred",
                        at=("cameras", camera_id, "privacy", "blur"),
                    )
        return self

    @model_validator(mode="after")
    def _asks_for_what_is_looked_for(self) -> Fleet:
        there = ", ".join(self.cascade) or "there is no `cascade` at all"
        for camera_id, camera in self.cameras.items():
            for at, rule in camera.rules.each():
                for name in rule.attributes:
                    if name not in self.cascade:
                        close = difflib.get_close_matches(name, self.cascade, 1)
                        raise mistake(
                            f"no second look of `cascade` gives “{name}”"
                            + (f"; did you mean “{close[0]}”?" if close else f"; expected one of those: {there}"),
                            at=("cameras", camera_id, *at, "attributes", name),
                        )
        return self

    @model_validator(mode="after")
    def _limits_name_cameras(self) -> Fleet:
        for name, limited in (self.publish.keys.limited if self.publish.keys else {}).items():
            for number, camera_id in enumerate(limited.cameras):
                if camera_id not in self.cameras:
                    close = difflib.get_close_matches(camera_id, self.cameras, 1)
                    raise mistake(
                        f"found “{camera_id}”, which is no camera of this file"
                        + (f"; did you mean “{close[0]}”?" if close else ""),
                        at=("publish", "keys", "limited", name, "cameras", number),
                    )
        return self
