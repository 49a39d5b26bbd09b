"""camfleet: multi-camera video analytics that keeps the latency you state and accounts for every frame.

    from pipeline import Subscriber

    for result in Subscriber("tcp://127.0.0.1:5555", cameras=["gate"]):
        for box in result.tracks:
            print(result.frame_id, box.track_id, box.class_name, box.xyxy, box.origin)

`Fleet` starts a fleet, changes it while it runs, and ends it. `__version__` is the installed version.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.client import AsyncSubscriber, Key, Statistics, Subscriber
    from pipeline.config import load_fleet
    from pipeline.errors import (
        BurstError,
        ClusterError,
        ConfigError,
        ControlError,
        DetectorError,
        EvaluationError,
        PageError,
        PipelineError,
        PrivacyError,
        ProfileError,
        PublishError,
        RehearsalError,
        RenderError,
        ReplayError,
        RtspError,
        RuleError,
        SinkError,
        SlotError,
        SourceError,
        SourceLost,
        SubscriberClosed,
        SubscriberTimeout,
        WireError,
    )
    from pipeline.fleet import Fleet
    from pipeline.overlay import Trails, draw
    from pipeline.supervise.changes import Changes
    from pipeline.wire import Attribute, CameraState, Counts, Event, Evidence, FleetState, FrameResult, TrackedBox

    __version__: str

__all__ = [
    "AsyncSubscriber",
    "Attribute",
    "BurstError",
    "CameraState",
    "Changes",
    "ClusterError",
    "ConfigError",
    "ControlError",
    "Counts",
    "DetectorError",
    "EvaluationError",
    "Event",
    "Evidence",
    "Fleet",
    "FleetState",
    "FrameResult",
    "Key",
    "PageError",
    "PipelineError",
    "PrivacyError",
    "ProfileError",
    "PublishError",
    "RehearsalError",
    "RenderError",
    "ReplayError",
    "RtspError",
    "RuleError",
    "SinkError",
    "SlotError",
    "SourceError",
    "SourceLost",
    "Statistics",
    "Subscriber",
    "SubscriberClosed",
    "SubscriberTimeout",
    "TrackedBox",
    "Trails",
    "WireError",
    "draw",
    "load_fleet",
]

_HOMES = {
    "Changes": "supervise.changes",
    "Fleet": "fleet",
    **dict.fromkeys(("AsyncSubscriber", "Key", "Statistics", "Subscriber"), "client"),
    "load_fleet": "config",
    **dict.fromkeys(("Trails", "draw"), "overlay"),
    **dict.fromkeys(
        ("Attribute", "CameraState", "Counts", "Event", "Evidence", "FleetState", "FrameResult", "TrackedBox"), "wire"
    ),
}
"""The module of each public name; errors are the rest."""


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("pipeline.installed").version()
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
