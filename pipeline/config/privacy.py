"""Privacy of a camera in the fleet file: what of its pictures nobody gets to see."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.config.base import Number, Value, mistake
from pipeline.config.rules import Point, Several, are_shares, simple_polygon
from pipeline.extras import lack


def _one_or_more(value: object) -> object:
    """`masks: [[0, 0], [1, 0], [1, 1]]`, a polygon alone, stands for a list of one."""
    match value:
        case [[int() | float(), *_], *_]:
            return [value]
    return value


Polygon = Annotated[tuple[Point, ...], AfterValidator(simple_polygon)]


class Privacy(Value):
    """What of a camera's pictures nobody gets to see."""

    masks: Annotated[tuple[Polygon, ...], BeforeValidator(_one_or_more)] = Field(
        default=(),
        description="Areas that are painted over before the detector or anybody sees the picture, and in which no box "
        "is published: polygons, their corners in turn, as shares of width and height, 0 to 1, or in pixels of the "
        "camera's upright picture if one is above 1.",
    )
    blur: Annotated[tuple[str, ...], Several] = Field(
        default=(),
        description="Names of the classes whose objects are made unrecognisable in pictures that people see. What the "
        "detector has missed is not.",
    )
    margin: Number = Field(
        default=0.1,
        ge=0,
        le=1,
        description="How far beyond a box is blurred on each side, as a share of its width and height. Raise it where "
        "heads or hands stick out.",
    )
    clips: Literal["covered", "as_recorded", "none"] = Field(
        default="covered",
        description="What of `evidence_url`, and of events, may be written. `covered`: masked, blurred and encoded "
        "anew; `as_recorded`: all that its `evidence_url` saw, for evidence that few may open; `none`: nothing.",
    )

    @model_validator(mode="after")
    def _installed(self) -> Self:
        if self.masks and (words := lack("rules", "“masks”")):
            raise mistake(words, at=("masks",))
        return self

    @property
    def any(self) -> bool:
        """Whether anything is to be covered."""
        return bool(self.masks or self.blur)

    @property
    def gives_packets(self) -> bool:
        """Whether pictures of `evidence_url` may be kept as they came."""
        return self.clips == "as_recorded" or (self.clips == "covered" and not self.any)

    @property
    def in_pixels(self) -> tuple[int, Point] | None:
        """The first mask that is in pixels, and a corner of it; None where all are shares."""
        for number, corners in enumerate(self.masks):
            if not are_shares(corners):
                return number, max(corners)
        return None
