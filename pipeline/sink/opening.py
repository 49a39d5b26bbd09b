"""A sink by its settings: its adapter is imported here, when it is wanted, and with it the library that it needs."""

from __future__ import annotations

import importlib

from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.choice import what_is_missing
from pipeline.config.sinks.plugin import PluginSink
from pipeline.errors import SinkError
from pipeline.plugins import PluginError, function_at, require_members
from pipeline.sink.protocol import Place, Sink


def open_sink(settings: SinkSettings, place: Place) -> Sink:
    """The sink that these settings ask for, connected or not, as its kind does it.

    Raises:
        SinkError: Its library is not installed, or its place is away.
    """
    if missing := what_is_missing(settings):
        raise SinkError(missing)
    if isinstance(settings, PluginSink):
        return _plugged_in(settings, place)
    adapter = importlib.import_module(f"pipeline.sink.{settings.kind}")
    sink: Sink = adapter.open_sink(settings, place)
    return sink


def _plugged_in(settings: PluginSink, place: Place) -> Sink:
    try:
        sink: Sink = function_at(settings.factory)(settings, place)
        require_members(sink, ("write", "tick", "close"), settings.factory, "pipeline.sink.protocol.Sink")
    except PluginError as error:
        raise SinkError(str(error)) from error
    return sink
