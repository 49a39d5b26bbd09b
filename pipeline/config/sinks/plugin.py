"""A sink of the user's own in a fleet file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from pipeline.config.base import FACTORY
from pipeline.config.sinks.base import SinkSettings

Factory = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{FACTORY.pattern}$"})]


class PluginSink(SinkSettings):
    """A sink that a function of the user's makes."""

    factory: Factory = Field(
        alias="kind",
        exclude=True,
        description="package.module:factory, a function that gets these settings and a place, and gives a sink.",
    )
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="What the sink documents; it finds them in `settings.options`."
    )

    @property
    def named(self) -> str:
        """The function's name."""
        return self.factory

    @property
    def required(self) -> tuple[str, ...]:
        """The package that the function is in; what is below is imported by the sink's process alone."""
        return (self.factory.partition(":")[0].partition(".")[0],)
