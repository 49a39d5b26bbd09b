"""camfleet: multi-camera video analytics that keeps the latency you state and accounts for every frame.

from pipeline import Subscriber

for result in Subscriber("tcp://127.0.0.1:5555", cameras=["gate"]):
    for box in result.tracks:
        print(result.frame_id, box.track_id, box.class_name, box.xyxy, box.origin)
"""

from pipeline.client import Subscriber
from pipeline.errors import (
    ConfigError,
    DetectorError,
    EvaluationError,
    PipelineError,
    PublishError,
    ReplayError,
    SlotError,
    SourceError,
    SourceLost,
    SubscriberTimeout,
    WireError,
)
from pipeline.wire import CameraState, Counts, FrameResult, TrackedBox

__all__ = [
    "CameraState",
    "ConfigError",
    "Counts",
    "DetectorError",
    "EvaluationError",
    "FrameResult",
    "PipelineError",
    "PublishError",
    "ReplayError",
    "SlotError",
    "SourceError",
    "SourceLost",
    "Subscriber",
    "SubscriberTimeout",
    "TrackedBox",
    "WireError",
]
