"""Any kind of sink as a value of a fleet file: `kind` says which, and so which keys may stand beside it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pipeline.config.base import FACTORY, mask_value
from pipeline.config.sinks.base import KINDS, SinkSettings
from pipeline.config.sinks.plugin import PluginSink
from pipeline.extras import is_there, lack

PLUGIN = "plug-in"
"""Stands for every `package.module:factory` among the kinds."""


class _ByKind:
    """Lets pydantic check a sink by the keys of its kind; errors are at (kind, key)."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        own = {
            kind: core_schema.no_info_before_validator_function(_without_kind, handler.generate_schema(settings))
            for kind, settings in sorted(KINDS.items())
        }
        return core_schema.tagged_union_schema({**own, PLUGIN: handler.generate_schema(PluginSink)}, _choice)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler(schema)
        return {"oneOf": made["oneOf"]}


AnySink = Annotated[SinkSettings, _ByKind]


def _choice(value: object) -> str | None:
    """Which of the kinds a value is to be checked as."""
    if isinstance(value, PluginSink):
        return PLUGIN
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return PLUGIN if isinstance(kind, str) and FACTORY.fullmatch(kind) else kind


def _without_kind(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if key != "kind"}
    return value


def sink_of(kind: str, settings: Mapping[str, Any]) -> SinkSettings:
    """The settings of a sink that is in no fleet file.

    Raises:
        pydantic.ValidationError: A setting is wrong, or there is no such kind.
    """
    sink: SinkSettings = TypeAdapter(AnySink).validate_python({**settings, "kind": kind})
    return sink


def wrong_kind(found: object) -> str:
    """What to say of a `kind` that is none; None for one that is missing."""
    kinds = f"{', '.join(sorted(KINDS))} or package.module:factory"
    if found is None:
        return f"is missing; expected {kinds}"
    close = difflib.get_close_matches(str(found), KINDS, 1)
    hint = f"; did you mean “{close[0]}”?" if close else ""
    return f"found “{mask_value(str(found))}”, expected {kinds}{hint}"


def what_is_missing(settings: SinkSettings) -> str:
    """What has to be installed for a sink, and how; empty where all is there. Nothing is imported."""
    if not isinstance(settings, PluginSink):
        return lack(settings.extra, f"“{settings.kind}”", *settings.required) if settings.required else ""
    missing = [module for module in settings.required if not is_there(module)]
    return f"there is no module “{missing[0]}”; is it installed, or its folder in PYTHONPATH?" if missing else ""
