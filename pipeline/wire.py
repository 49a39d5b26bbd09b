"""The messages on the wire, and their only encoder and decoder.

Each kind of message is one struct here, which carries its kind: the first part of its topic. Publishing, decoding and
subscribing derive from the structs, so another kind is one more struct and nothing else. Today there are three, each
one msgpack map behind its topic:

- `detections/<camera_id>/`: one `FrameResult` for every frame that was decoded, in frame order.
- `cameras/<camera_id>/`: one `CameraState` when a camera's state changes, and once a second.
- `fleet/`: one `FleetState` once a second, so that silence can be told from a fleet that is gone.

Workers and supervisor make messages; the publisher numbers them (`stamp`).

Topics end in `/`, so that a subscription to `detections/cam1/` never matches `cam10`. `schema` goes up when a field
changes its meaning or goes away; new fields may come at any time, and readers skip what they do not know.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeVar

import msgspec

from pipeline.errors import WireError
from pipeline.foreign import UNREADABLE

SCHEMA = 1

Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
"""A finite number, so that whoever reads it may add, round and print it; the bounds are far beyond any real one."""
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""A whole number from 0 that arrays and other languages have; as a wall time in ns it reaches to the year 2262."""

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")]
"""What a fleet or a camera is called, by the rule of fleet files: part of topics, file names and lines of terminals."""

PublisherId = Annotated[str, msgspec.Meta(max_length=64)]
"""Names one life of a publisher; nothing else can be read from it."""

FrameOrigin = Literal["detected", "predicted", "interpolated", "skipped"]
BoxOrigin = Literal["detected", "predicted", "interpolated"]
CaptureClock = Literal["rtcp", "arrival", "file"]
"""Where a capture time comes from: the camera's RTCP sender reports (RFC 3550 §6.4.1), the moment the packet was
received here, or the moment a recording's frame was due."""
State = Literal["connecting", "live", "degraded", "blind", "retrying", "paused", "ended", "failed", "removed"]
"""How a camera is. `connecting`: opened for the first time. `live`: pictures come and are detected as promised.
`degraded`: pictures, but late, left out, or detected less often than its floor. `blind`: no detection for longer than
its boxes may live, or pictures that do not change. `retrying`: it broke and will be tried again. `paused`: by a user.
`ended`: a recording came to its end. `failed`: given up, a mistake that trying again cannot mend. `removed`: it does
not belong to the fleet any more, and this is its last message."""
Assembly = Literal["", "early", "next"]
"""How a camera's pictures are put together. `early`: each is there with its last packet. `next`: with the first packet
of the next one, a picture later. Empty: the source gives whole pictures, or it is not known yet."""
AlignedBy = Literal["rtcp", "content", "arrival"]
"""What makes one time of a camera's two streams: its RTCP sender reports on both; the pictures themselves; or nothing
but the moments at which they are received."""
SEEING: frozenset[State] = frozenset({"live", "degraded"})
"""States in which a camera's frames have boxes that a detection stands behind."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that is published.

    Attributes:
        kind: The first part of its topic; each kind of message has its own.
        publisher: Which life of the fleet's publisher has numbered it; empty before one has.
        number: Counts the messages of this topic by this publisher, from 1. One that is not above the last is a repeat,
            for those who have just come; one that leaves numbers out says how many messages were missed.
        fleet: The fleet's name.
    """

    kind: ClassVar[str]

    # First of all fields, so that the publisher finds them without reading the rest: see `stamp`.
    publisher: PublisherId = ""
    number: Count = 0
    fleet: Name

    @property
    def topic(self) -> bytes:
        """What subscribers subscribe to, such as b"fleet/"."""
        return topic(self.kind)


class CameraMessage(Message, frozen=True, kw_only=True):
    """Anything that is published about a camera.

    Attributes:
        camera_id: The camera's name in the fleet file.
    """

    camera_id: Name

    @property
    def topic(self) -> bytes:
        """What subscribers subscribe to, such as b"detections/gate/"."""
        return topic(self.kind, self.camera_id)


M = TypeVar("M", bound=type[Message])

_kinds: dict[str, type[Message]] = {}
_decoders: dict[str, msgspec.msgpack.Decoder[Message]] = {}


def published(message: M) -> M:
    """Register a kind of message, so that every subscriber can read it."""
    _kinds[message.kind] = message
    _decoders[message.kind] = msgspec.msgpack.Decoder(message)
    return message


class TrackedBox(msgspec.Struct, frozen=True, kw_only=True):
    """One object on one frame.

    Attributes:
        track_id: From 1; means something within (camera_id, session_id) only.
        class_id: Index into the model's class names.
        class_name: The model's name of the class.
        score: 0..1, of the last detection.
        xyxy: Left, top, right, bottom in pixels of the source picture.
        origin: How this box came to be.
        since_detected_ms: Milliseconds since the detector last saw the object; 0 where it did in this frame.
        uncertainty_px: One standard deviation of the box centre.
    """

    track_id: Count
    class_id: Count
    class_name: str
    score: Number
    xyxy: tuple[Number, Number, Number, Number]
    origin: BoxOrigin
    since_detected_ms: Number
    uncertainty_px: Number


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a session's frames so far: decoded = detected + filled + the sum of lost.

    Attributes:
        decoded: Frames decoded, this one included.
        detected: Frames the detector ran on.
        filled: Frames it did not run on, by reason: `stride`, `replaced`, `stale`, `corrupt`, ….
        lost: Frames that were never published, by cause.
    """

    decoded: Count
    detected: Count
    filled: dict[str, Count]
    lost: dict[str, Count]


@published
class FrameResult(CameraMessage, frozen=True, kw_only=True):
    """What is known of one decoded frame.

    Attributes:
        session_id: One unbroken stream of a camera; a reconnect opens a new one.
        session: The camera's own number of that stream; a worker that was started again in its midst goes on with the
            same number and another `session_id`.
        frame_id: Counts a session's decoded frames, from 0.
        pts_s: The stream's own time of the frame, seconds.
        captured_at_ns: Wall time of the capture, ns since 1970-01-01 UTC.
        capture_clock: Where `captured_at_ns` comes from.
        published_at_ns: Wall time of the publication, ns since 1970-01-01 UTC.
        age_ms: From capture to publication by the monotonic clock: what the latency goal speaks of.
        frame_wh: Width and height of the source picture, px.
        origin: `detected`: the detector ran on this frame. `predicted`, `interpolated`: it did not and the tracker
            filled in. `skipped`: it did not, and there is no detection young enough to fill in from.
        filled_because: Why the detector did not run; None where it did.
        detection_age_ms: From the capture of the newest detected frame of this session to the publication of this one;
            None before the first.
        stride: Every how many frames the detector is offered one.
        lost: Frames lost since the last message of this camera, by cause.
        counts: Totals of the session.
        latency_ms: Milliseconds by stage, which add up to the age: `capture`, `decode`, `slot`, `detect`, `publish`;
            a frame without a detection has no `slot` and no `detect`.
        tracks: The objects in the frame.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "detections"

    session_id: str
    session: Count = 0
    frame_id: Count
    pts_s: Number
    captured_at_ns: Count
    capture_clock: CaptureClock
    published_at_ns: Count
    age_ms: Number
    frame_wh: tuple[Count, Count]
    origin: FrameOrigin
    filled_because: str | None
    detection_age_ms: Number | None = None
    stride: Count
    lost: dict[str, Count]
    counts: Counts
    latency_ms: dict[str, Number]
    tracks: tuple[TrackedBox, ...]
    schema: int = SCHEMA


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
        state: See `State`.
        detail: Why, and what to do, in one sentence, credentials masked; empty while all is well.
        since_ns: Wall time when it came into this state, ns since 1970-01-01 UTC; 0 where it is not known.
        retry_at_ns: Wall time of the next try, of a camera that is `retrying`; 0 otherwise.
        detection_age_ms: From the capture of its newest detected frame to this message; None before the first.
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
    reconnects: Count = 0
    codec: str = ""
    frame_wh: tuple[Count, Count] = (0, 0)
    assembly: Assembly = ""
    decoder: str = ""
    evidence: EvidenceState | None = None
    at_ns: Count = 0
    schema: int = SCHEMA


class CameraFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How one camera did of late.

    Attributes:
        state: How it is; None while nothing is known.
        frame_hz: Frames published a second.
        detect_hz: Frames detected a second.
        age_p50_ms: Median age of its frames; None without one.
        age_p95_ms: The age that 95 of 100 stay below; None without one.
        detection_age_ms: From the capture of its newest detected frame to this message; None before the first.
        kept_percent: Share of frames within the stated age that a detection stands behind; None without a frame.
        objects: In its newest frame.
        stride: Every how many frames the detector is offered one.
    """

    state: State | None
    frame_hz: Number
    detect_hz: Number
    age_p50_ms: Number | None
    age_p95_ms: Number | None
    detection_age_ms: Number | None
    kept_percent: Number | None
    objects: Count
    stride: Count


class ProcessFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the fleet.

    Attributes:
        name: For people: `worker`, `camera gate`, `sink archive`.
        role: What it does.
        condition: `running`, `waiting` to be started again, `done`, or `given up`.
        restarts: How often it was started again.
        detail: What it says of itself, in one sentence; empty where it has nothing to say.
    """

    name: str
    role: str
    condition: str
    restarts: Count
    detail: str = ""


@published
class FleetState(Message, frozen=True, kw_only=True):
    """How the fleet is, once a second: the publisher's heartbeat.

    Attributes:
        at_ns: Wall time of this message, ns since 1970-01-01 UTC.
        since_ns: Wall time since which `counts` counts: when this publisher began.
        window_s: How far back the figures of the cameras look, s.
        p95_ms: The age that is promised for 95 of 100 frames.
        kept: Whether the promise was kept of late by every camera that should deliver; None where nothing is known.
        broken_by: The cameras that do not keep it, and why, in one sentence each.
        counts: Frames of all cameras since `since_ns`: decoded = detected + filled + lost.
        cameras: Figures by camera.
        processes: Every process of the fleet.
        schema: Version of this message.
    """

    kind: ClassVar[str] = "fleet"

    at_ns: Count
    since_ns: Count
    window_s: Number
    p95_ms: Number
    kept: bool | None
    broken_by: dict[str, str] = {}
    counts: Counts
    cameras: dict[str, CameraFigures]
    processes: tuple[ProcessFigures, ...] = ()
    schema: int = SCHEMA


_encoder = msgspec.msgpack.Encoder()
_MAP_16 = b"\xde"
"""How a msgpack map of more than fifteen keys begins; two bytes follow that count them."""
_UNNUMBERED = b"\xa9publisher\xa0\xa6number\x00"
"""How `Message` begins behind that: two keys, an empty text and 0."""
_NUMBER = b"\xa6number\xcf"
"""The key, and that eight bytes follow."""
_version_decoder = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


def topic(kind: str, camera_id: str | None = None) -> bytes:
    """The topic of a kind of messages, such as b"fleet/", or of a camera's, such as b"detections/gate/"."""
    return f"{kind}/".encode() if camera_id is None else f"{kind}/{camera_id}/".encode()


def name_session(session: int, first_frame: int = 0) -> str:
    """The `session_id` of a camera's session; of its rest, where another worker goes on with it at `first_frame`."""
    return f"{session:012x}.{first_frame}" if first_frame else f"{session:012x}"


def first_frame_of(session_id: str) -> int:
    """The camera's own number of the frame that is frame 0 of this session on the wire."""
    return int(session_id.partition(".")[2] or 0)


def camera_of(topic_bytes: bytes) -> str:
    """The camera that a message of this topic is about."""
    return topic_bytes.split(b"/")[1].decode()


def prefixes(camera_id: str | None) -> list[bytes]:
    """What to subscribe to for every message about a camera, or about all; the fleet's own come with either."""
    return [topic(kind, camera_id if issubclass(message, CameraMessage) else None) for kind, message in _kinds.items()]


def encode(message: Message) -> bytes:
    """One msgpack map; its number is still missing."""
    return _encoder.encode(message)


def stamp(body: bytes, publisher: bytes, number: int) -> bytes:
    """An encoded message with its number, without decoding it.

    The publisher's fields are the first of every message, so that they can be exchanged for longer ones.

    Args:
        body: What `encode` gave.
        publisher: Which life of the publisher this is, as `publisher_id` gives it.
        number: Of this topic's messages, from 1.

    Raises:
        WireError: The body does not begin as `encode` begins it.
    """
    keys = 3 if body[:1] == _MAP_16 else 1
    if not body.startswith(_UNNUMBERED, keys):
        raise WireError("a message to be numbered has a number already, or was encoded by another version of camfleet")
    return b"".join((body[:keys], publisher, _NUMBER, number.to_bytes(8, "big"), body[keys + len(_UNNUMBERED) :]))


def publisher_id(name: str) -> bytes:
    """What `stamp` writes for a publisher of that name."""
    return _encoder.encode("publisher") + _encoder.encode(name)


def decode(topic_bytes: bytes, body: bytes) -> Message:
    """The message behind a topic.

    Raises:
        WireError: The topic is none of ours, or the body is no message of a version this client knows.
    """
    decoder = _decoders.get(topic_bytes.partition(b"/")[0].decode("utf-8", "replace"))
    if decoder is None:
        expected = " or ".join(f"{kind}/…" for kind in _decoders)
        raise WireError(f"topic {topic_bytes!r} is none of camfleet's; expected {expected}")
    try:
        message = decoder.decode(body)
    except UNREADABLE as error:
        raise WireError(f"a message on {topic_bytes!r} cannot be read{_version_hint(body)}: {error}") from error
    if getattr(message, "schema", SCHEMA) != SCHEMA:
        raise WireError(f"a message on {topic_bytes!r} cannot be read{_version_hint(body)}")
    return message


def _version_hint(body: bytes) -> str:
    """Words about the version a sender used, where it can be told and is not ours."""
    try:
        version = _version_decoder.decode(body).get("schema")
    except UNREADABLE:
        return ": it is no msgpack map"
    found = bytes(version) if version is not None else b""
    if found == msgspec.msgpack.encode(SCHEMA):
        return ""
    return f": this client knows schema {SCHEMA}, the sender uses another; install the sender's version of camfleet"
