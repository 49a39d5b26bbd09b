"""How a camera is."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from pipeline.wire.base import CameraMessage, published
from pipeline.wire.values import SCHEMA, AlignedBy, Assembly, Count, Number, State


class EvidenceState(msgspec.Struct, frozen=True, kw_only=True):
    """How the stream is that is kept and not detected.

    Attributes:
        state: `connecting`, `live`, or `retrying`: it broke and will be tried again.
        detail: Why, in one sentence, credentials masked.
        seconds: How much of it is kept.
        size: Of that, bytes.
        codec: As FFmpeg names it; empty until known.
        frame_wh: Width and height, px; (0, 0) until known.
        aligned_by: What makes its time one with that of the stream that is detected.
        offset_ms: What has to be added to its time for that.
        error_ms: How far that may be off, nineteen times of twenty; None where that is not known.
    """

    state: Literal["connecting", "live", "retrying"]
    detail: str = ""
    seconds: Number = 0.0
    size: Count = 0
    codec: str = ""
    frame_wh: tuple[Count, Count] = (0, 0)
    aligned_by: AlignedBy = "arrival"
    offset_ms: Number = 0.0
    error_ms: Number | None = None


@published
class CameraState(CameraMessage, frozen=True, kw_only=True):
    """How a camera is.

    Attributes:
        session_id: Of the running session; empty where there is none.
        session: Its number; 0 where there is none.
        state: Whether pictures come, and are detected as promised; `State` and wire.md say what each word means.
        detail: Why, and what to do, in one sentence, credentials masked; empty while all is well.
        since_ns: Wall time when it came into this state, ns since 1970-01-01 UTC; 0 where it is not known.
        retry_at_ns: Wall time of the next try, of a camera that is `retrying`; 0 otherwise.
        detection_age_ms: From the capture of its newest detected frame to this message; None before the first.
        loss: Points of HOTA that it loses against detecting every frame at full input, as estimated from its tracks of
            late; None while that is not known.
        reconnects: How often the connection was made again since the camera process began.
        codec: As FFmpeg names it; empty until known.
        frame_wh: Width and height, px; (0, 0) until known.
        assembly: How its pictures are put together.
        decoder: What decodes them: `cpu`, or the kind of a device such as `cuda`; empty until known.
        evidence: How its second stream is; None of a camera that has none.
        at_ns: Wall time of this message, ns since 1970-01-01 UTC.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "cameras"

    session_id: str
    session: Count = 0
    state: State
    detail: str = ""
    since_ns: Count = 0
    retry_at_ns: Count = 0
    detection_age_ms: Number | None = None
    loss: Number | None = None
    reconnects: Count = 0
    codec: str = ""
    frame_wh: tuple[Count, Count] = (0, 0)
    assembly: Assembly = ""
    decoder: str = ""
    evidence: EvidenceState | None = None
    at_ns: Count = 0
    schema: int = SCHEMA
