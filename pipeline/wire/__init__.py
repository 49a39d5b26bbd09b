"""The messages on the wire, and their only encoder and decoder.

Each kind of message is one struct here, which carries its kind: the first part of its topic. Publishing, decoding and
subscribing derive from the structs, so another kind is one more struct and nothing else. Each is one map of
msgpack, or of JSON, behind its topic:

- `detections/<camera_id>/`: one `FrameResult` for every frame that was decoded, in frame order.
- `cameras/<camera_id>/`: one `CameraState` when a camera's state changes, and once a second.
- `compact/<camera_id>/`: the frames again as `CompactFrame`, while somebody subscribes to them.
- `events/<camera_id>/`: one `Event` when something happens in a zone or at a line, and while it lasts.
- `evidence/<camera_id>/`: one `Evidence` when clip and picture of an event are on disk.
- `fleet/`: one `FleetState` once a second, so that silence can be told from a fleet that is gone.

Workers and supervisor make messages; the publisher numbers them (`stamp`).

Topics end in `/`, so that a subscription to `detections/cam1/` never matches `cam10`. `schema` goes up when a field
changes its meaning or goes away; new fields may come at any time, and readers skip what they do not know. What readers
in other languages may rely on is written down in `pipeline/wire.md`, and tested against these structs.
"""

from pipeline.wire.base import (
    KINDS,
    ON_REQUEST,
    CameraMessage,
    Message,
    camera_of,
    on_request,
    prefixes,
    published,
    topic,
)
from pipeline.wire.box import Attribute, TrackedBox
from pipeline.wire.camera import CameraState, EvidenceState
from pipeline.wire.codec import decode, encode, publisher_id, stamp, stamp_of, to_json
from pipeline.wire.compact import Columns, CompactFrame, compact
from pipeline.wire.event import Direction, Event, Happening, Phase
from pipeline.wire.evidence import Evidence
from pipeline.wire.fleet import CameraFigures, FleetState, LookFigures, ProcessFigures, SinkState
from pipeline.wire.frame import Counts, FrameHeader, FrameResult
from pipeline.wire.session import first_frame_of, name_session
from pipeline.wire.values import (
    SCHEMA,
    SEEING,
    AlignedBy,
    Assembly,
    BoxOrigin,
    CaptureClock,
    Count,
    FrameOrigin,
    Name,
    Number,
    State,
)

__all__ = [
    "KINDS",
    "ON_REQUEST",
    "SCHEMA",
    "SEEING",
    "AlignedBy",
    "Assembly",
    "Attribute",
    "BoxOrigin",
    "CameraFigures",
    "CameraMessage",
    "CameraState",
    "CaptureClock",
    "Columns",
    "CompactFrame",
    "Count",
    "Counts",
    "Direction",
    "Event",
    "Evidence",
    "EvidenceState",
    "FleetState",
    "FrameHeader",
    "FrameOrigin",
    "FrameResult",
    "Happening",
    "LookFigures",
    "Message",
    "Name",
    "Number",
    "Phase",
    "ProcessFigures",
    "SinkState",
    "State",
    "TrackedBox",
    "camera_of",
    "compact",
    "decode",
    "encode",
    "first_frame_of",
    "name_session",
    "on_request",
    "prefixes",
    "published",
    "publisher_id",
    "stamp",
    "stamp_of",
    "to_json",
    "topic",
]
