"""What all sinks have in common in a fleet file, and the register of their kinds."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pipeline.config.base import Name, Number, Value, Whole, mask_tree

KINDS: dict[str, type[SinkSettings]] = {}
"""The settings of each kind, by its name in the fleet file; a class that has a `kind` registers itself."""


class SinkSettings(Value):
    """A sink: which results it gets, and how many may wait for it on disk.

    A kind derives from this, says its name in `kind`, and adds what it needs. Its adapter is the module of the same
    name in `pipeline.sink`.

    Attributes:
        kind: Its name in the fleet file.
        extra: The extra of camfleet that brings its library; empty where it needs none.
        needs: The modules that must be importable.
    """

    kind: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()

    cameras: tuple[Name, ...] | None = Field(
        default=None, min_length=1, description="Only these cameras; without it all, also those that join later."
    )
    classes: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Only objects of these classes, such as [person, car]; frames all come."
    )
    min_score: Number = Field(
        default=0.0, ge=0, le=1, description="Only objects from this score on. Raise it where weak boxes are noise."
    )
    every_s: Number = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="At most one frame of each camera in so many seconds; 0 takes every frame.",
    )
    events: Literal["also", "only", "no"] = Field(
        default="also",
        description="What happens in zones and at lines: `also`, besides the frames; `only`, and nothing else, such as "
        "for an alarm; `no`.",
    )
    spool_mb: Whole = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="Results that may wait on disk while the sink's place is away, MB; beyond it the oldest are lost "
        "and counted.",
    )

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)  # type: ignore[arg-type]
        if cls.kind:
            KINDS[cls.kind] = cls

    @property
    def named(self) -> str:
        """What the fleet file says at `kind`."""
        return self.kind

    @property
    def required(self) -> tuple[str, ...]:
        """The modules that must be importable for what these settings ask."""
        return self.needs

    @model_serializer(mode="wrap")
    def _masked(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        masked: dict[str, Any] = mask_tree(serialize(self))
        return {"kind": self.named, **masked}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler(schema)
        keys = handler.resolve_ref_schema(made)
        if cls.kind:
            kind = {"const": cls.kind, "type": "string", "description": "What kind of sink it is."}
            keys["properties"] = {"kind": kind, **keys["properties"]}
            keys["required"] = ["kind", *keys.get("required", ())]
        return made
