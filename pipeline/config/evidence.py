"""What is kept of events, in a fleet file: clips and pictures, where, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from pipeline.config.base import Number, Value, Whole, mistake


def _folder(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise mistake("expected a folder, such as evidence, beside this file")
    return value


class Retention(Value):
    """For how long evidence is kept. What is oldest goes first; only what camfleet has written itself is deleted."""

    days: Number = Field(default=14.0, gt=0, le=36_500, description="Days; older evidence is deleted.")
    gb: Number = Field(
        default=10.0, gt=0, le=1_000_000, description="Gigabytes that all of it may take; beyond, the oldest goes."
    )
    free_gb: Number = Field(
        default=1.0,
        ge=0,
        le=1_000_000,
        description="Gigabytes that stay free on the disk. Where deleting evidence does not help, none is written "
        "until there is room.",
    )


class EventEvidence(Value):
    """Of each event of zones and lines, a clip, the best picture, and a JSON file that tells what they show.

    They are in `folder/<camera>/<date>/<time>-<rule>-<happening>-<id>`, `.mp4`, `.jpg` and `.json`. Clips are not
    encoded anew and begin with the key frame before, unless the camera's `privacy` covers anything.
    """

    folder: Annotated[str, AfterValidator(_folder), WithJsonSchema({"type": "string", "minLength": 1})] = Field(
        default="evidence", description="Where, beside this file or from the root; made where it is not there."
    )
    before_s: Number = Field(default=5.0, ge=0, le=60, description="What a clip has before its event, s.")
    after_s: Number = Field(
        default=5.0, ge=0, le=60, description="What it has after it, or after the end of what lasts, s."
    )
    longest_s: Number = Field(
        default=60.0, gt=0, le=3600, description="The longest clip, s; what lasts longer is cut off there."
    )
    format: Literal["mp4", "mkv"] = Field(
        default="mp4",
        description="Both can be played up to where they were cut off if the machine goes down; browsers play mp4.",
    )
    snapshot: bool = Field(
        default=True,
        description="Keep the best picture of the object, too: large, sharp, and certain; of the large stream where "
        "the camera has an `evidence_url`.",
    )
    at_once: Whole = Field(
        default=4,
        ge=1,
        le=100,
        description="Clips of one camera that are written at the same time. Of more events, only picture and JSON are "
        "kept, and that is said.",
    )
    memory_mb: Whole = Field(
        default=16,
        ge=1,
        le=4096,
        description="Of each camera, the latest seconds that lie in memory for what clips have before their event, "
        "megabytes at most, and of each clip that has to be covered all of it. Raise it for large pictures.",
    )
    keep: Retention = Field(default=Retention(), description="For how long.")

    @model_validator(mode="after")
    def _room(self) -> EventEvidence:
        if self.longest_s < self.before_s + self.after_s:
            raise mistake(
                f"longest_s ({self.longest_s:g}) is shorter than before_s and after_s together "
                f"({self.before_s + self.after_s:g})",
                at=("longest_s",),
            )
        return self
