"""A second look: what another model is to tell of the objects that the detector finds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from pipeline.config.base import Number, Value, Whole, mistake
from pipeline.config.model import Model
from pipeline.config.rules import Several


class SecondLook(Value):
    """A model that sees crops of objects, the best one of each, and what it tells is the attribute of that name."""

    model: Model = Field(
        description="The second model, a classifier or a detector, with all keys of the fleet's `model`. Its classes "
        "are the labels. A detector's best box on the crop gives label, score and `xyxy`."
    )
    of: Annotated[tuple[str, ...], Field(min_length=1), Several] | None = Field(
        default=None,
        description="Which of the detector's classes it looks at, such as [car, van]; all without it.",
    )
    min_px: Whole = Field(
        default=24,
        ge=4,
        le=4096,
        description="Boxes whose longer side is shorter are not looked at, in pixels of the detector's input: that is "
        "what crops are cut out of.",
    )
    min_score: Number = Field(
        default=0.5, ge=0, le=1, description="Answers with a lower score are not told; what was told before stays."
    )
    better: Number = Field(
        default=2.0,
        gt=1,
        le=1000,
        description="It looks again at an object once a crop is so many times better than the last it saw, by size, "
        "score and sharpness. Lower it where first impressions deceive.",
    )
    again_s: Number | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="And so often at least, seconds, for what changes while an object stays, such as whether a door "
        "is open. Without it, only at a better crop.",
    )

    @field_validator("model")
    @classmethod
    def _on_one_device(cls, model: Model) -> Model:
        if model.devices:
            raise mistake("has “devices”; every worker has a second model of its own, so give it one “device”")
        return model
