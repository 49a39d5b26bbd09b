"""A fleet over several machines in its file: what a shard takes of one, what it carries, and how many there are."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.config.base import Number, Value, Whole, mistake


class Autoscale(Value):
    """How many shards there are: more when strides give way for long, fewer when detectors idle for long."""

    least: Whole = Field(default=1, ge=1, le=100_000, description="Shards that are kept in any case.")
    most: Whole = Field(
        ge=1,
        le=100_000,
        description="Shards that there are at most, the spare ones included: machines cost by the hour.",
    )
    spare: Whole = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Shards beyond what is needed, so that some may be lost and not be missed.",
    )
    target: Number = Field(default=0.7, ge=0.2, le=1, description="How busy a shard is to be.")
    short_stretch: Number = Field(
        default=1.3,
        gt=1,
        le=100,
        description="A shard is short when strides are this many times what they would be with room.",
    )
    short_demand: Number = Field(default=0.9, gt=0, le=2, description="And when it is that busy, whatever its strides.")
    short_s: Number = Field(default=60.0, ge=0, le=86_400, description="For how long, until more is asked for.")
    idle: Number = Field(default=0.45, ge=0, le=1, description="How busy a shard is at most that idles.")
    idle_s: Number = Field(default=600.0, ge=0, le=86_400, description="For how long, until something is given back.")
    ask_again_s: Number = Field(default=60.0, ge=0, le=86_400, description="After a change, until more is asked for.")
    give_again_s: Number = Field(
        default=900.0, ge=0, le=86_400, description="After a change, until something is given back."
    )
    most_share: Number = Field(
        default=0.25, gt=0, le=1, description="How many of the shards are given back at once; one in any case."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Autoscale:
        if self.least + self.spare > self.most:
            raise mistake(
                f"found “{self.most}”, which is below `least` and `spare` together ({self.least + self.spare})",
                at=("most",),
            )
        if self.idle >= self.target:
            raise mistake(f"found “{self.idle:g}”, which is not below `target` ({self.target:g})", at=("idle",))
        if self.short_demand < self.target:
            raise mistake(
                f"found “{self.short_demand:g}”, which is below `target` ({self.target:g})", at=("short_demand",)
            )
        return self


class Scale(Value):
    """A fleet over several machines (`run --on ray`): shards of it on each, with some of the cameras."""

    cpus: Number = Field(
        default=1.0,
        ge=0,
        le=4096,
        description="Cores of each machine that the cluster sets aside for its shard. All that it has, where machines "
        "do nothing else.",
    )
    gpus: Number = Field(
        default=0.0,
        ge=0,
        le=64,
        description="GPUs of each machine that are set aside; a shard sees those and no other, and machines with less "
        "get none.",
    )
    memory_mb: Whole = Field(
        default=0, ge=0, le=1 << 24, description="Memory that is set aside, megabytes; 0 says nothing of it."
    )
    per_machine: Whole = Field(
        default=1,
        ge=1,
        le=64,
        description="Shards of a machine at most, where it has enough for several: 4 with `gpus: 1`, where machines "
        "have up to four GPUs.",
    )
    cameras: Number | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="How many cameras a shard carries as promised: what camfleet plan says of one machine. A machine "
        "that has another number says so itself: ray start --resources '{\"cameras\": 24}'. Without either, cameras "
        "are spread by cores.",
    )
    most: Number | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="How many it carries when others are gone and strides give way; twice `cameras` without it. Beyond "
        "it cameras stay dark, and it is said which.",
    )
    autoscale: Autoscale | None = Field(
        default=None,
        description="How many shards there are, by how full they are; Ray's autoscaler provides the machines. Without "
        "it every machine of the cluster has its shards.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Scale:
        if self.most is not None and (self.cameras is None or self.most < self.cameras):
            raise mistake(
                f"found “{self.most:g}”, which is below `cameras`, or without it; it says how many more a shard may "
                "carry",
                at=("most",),
            )
        if self.autoscale is not None and not (self.cpus or self.gpus or self.memory_mb):
            raise mistake(
                "machines are asked for by what a shard takes of one, which is nothing here; set `cpus`, `gpus` or "
                "`memory_mb`",
                at=("autoscale",),
            )
        return self
