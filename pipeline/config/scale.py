"""A fleet over several machines in its file: what a shard takes of one, and how many cameras it carries."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.config.base import Number, Value, Whole, mistake


class Scale(Value):
    """A fleet over several machines (`run --on ray`): a shard of it on each, with some of the cameras."""

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

    @model_validator(mode="after")
    def _ordered(self) -> Scale:
        if self.most is not None and (self.cameras is None or self.most < self.cameras):
            raise mistake(
                f"found “{self.most:g}”, which is below `cameras`, or without it; it says how many more a shard may "
                "carry",
                at=("most",),
            )
        return self
