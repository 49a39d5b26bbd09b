"""A camera of the fleet file: its address and everything that can be set for one camera or, by `defaults`, for all."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticKnownError

from pipeline.config.base import Name, Number, Value, Whole, mistake
from pipeline.config.privacy import Privacy
from pipeline.config.rules import Rules
from pipeline.config.url import CameraUrl


def _live(url: CameraUrl) -> CameraUrl:
    if url.kind != "network":
        raise mistake("expected the address of a camera's other stream, with a scheme such as rtsp://")
    return url


EvidenceUrl = Annotated[CameraUrl, AfterValidator(_live)]

LARGEST_PICTURE_PX = 35_651_584
"""MaxLumaPs of HEVC's level 6.2 (H.265, table A.8) and MaxFS of H.264's (table A-1): no picture of theirs is larger."""

Decode = Literal["cpu", "auto", "cuda", "vaapi", "qsv", "v4l2m2m", "videotoolbox"]

SEGMENT_S = 30.0
"""Three times as long as the longest segments of HLS in use (RFC 8216bis §6.2.1 has a server keep three)."""


class Reconnect(Value):
    """How a lost camera is tried again: forever, each time after a longer pause."""

    initial_s: Number = Field(
        default=0.5,
        gt=0,
        le=3600,
        description="Pause before the first new try, seconds. Raise it for cameras that reboot slowly.",
    )
    max_s: Number = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Longest pause, seconds. Lower it where a returning camera must be seen at once, "
        "raise it where many tries disturb the camera.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Reconnect:
        if self.max_s < self.initial_s:
            raise mistake(f"max_s ({self.max_s:g}) is smaller than initial_s ({self.initial_s:g})")
        return self


class Track(Value):
    """How boxes come to frames that the detector did not see."""

    fill: Literal["predict", "interpolate", "none"] = Field(
        default="predict",
        description="`predict` carries boxes on at once and suits live use; `interpolate` waits for the next detection "
        "and draws between the two, for recordings and smooth pictures; `none` publishes such frames without boxes.",
    )
    max_fill_ms: Number = Field(
        default=1000.0,
        ge=0,
        le=60_000,
        description="How long an object lives on without being detected, milliseconds. "
        "Raise it for long occlusions, lower it where a ghost box does harm.",
    )
    max_delay_ms: Number = Field(
        default=300.0,
        ge=0,
        le=10_000,
        description="The longest that `interpolate` may hold a frame back, milliseconds. "
        "Set it to what the reader of the boxes can wait.",
    )
    birth_score: Number = Field(
        0.5,
        ge=0,
        le=1,
        description="A detection from this score on begins an object. Lower it where small objects are missed, "
        "raise it where things are seen that are not there.",
    )
    high_score: Number = Field(
        0.4,
        ge=0,
        le=1,
        description="A detection from this score on may continue any object; weaker ones only those just seen. "
        "Keep it a little below birth_score.",
    )
    gmc: Annotated[
        Literal["off", "sparse"],
        BeforeValidator(lambda value: "off" if value is False else value),
        WithJsonSchema({"enum": ["off", "sparse", False]}),
    ] = Field(
        default="off",
        description="Compensation of camera motion. Use `sparse` for cameras that pan, shake or drive. Programs that "
        "write YAML 1.1 make `false` of a bare `off`, which is the same here.",
    )


def _range(value: object) -> object:
    """`stride: 2` stands for `stride: {min: 2, max: 2}`."""
    if isinstance(value, dict | Stride):
        return value
    try:
        fixed = _WHOLE_STRIDE.validate_python(value)
    except ValidationError:
        raise PydanticKnownError("int_type") from None
    return {"min": fixed, "max": fixed}


WholeStride = Annotated[Whole, Field(ge=1, le=100)]
_WHOLE_STRIDE: TypeAdapter[int] = TypeAdapter(WholeStride)


class Stride(Value):
    """Between which bounds the system chooses how often the detector is offered a frame."""

    min: WholeStride = Field(
        1, description="The stride while there is room. Raise it where every frame is not worth it."
    )
    max: WholeStride = Field(
        8, description="The stride that is never exceeded, whatever the load. Lower it for fast or small objects."
    )
    policy: Literal["equal", "content"] = Field(
        "equal",
        description="How cameras share a detector that is short. `equal` gives all the same; `content` gives more "
        "where boxes go wrong sooner and lets empty or still scenes wait, for fleets in which some cameras see much "
        "and others little.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Stride:
        if self.max < self.min:
            raise mistake(f"max ({self.max}) is smaller than min ({self.min})")
        return self


class Evidence(Value):
    """How much of `evidence_url` is kept, in memory; whichever bound is reached first."""

    keep_s: Number = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Seconds. Raise it where clips shall begin longer before what they show.",
    )
    keep_mb: Whole = Field(
        default=32,
        ge=1,
        le=4096,
        description="Megabytes. Raise it for 4K: ten seconds of 16 Mbit/s are 20. It counts towards memory_mb.",
    )


class CameraSettings(Value):
    """What can be set for one camera under its name, or for all of them under `defaults`."""

    stride: Annotated[
        Stride,
        BeforeValidator(_range),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": 100},
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": Stride.model_json_schema()["properties"],
                    },
                ]
            }
        ),
    ] = Field(
        default_factory=Stride,
        description="The detector is offered every n-th frame, the tracker fills the others. {min: 1, max: 8} lets the "
        "system choose, so that the promised latency is kept; a number fixes it.",
    )
    priority: Literal["high", "normal", "low"] = Field(
        "normal",
        description="Who gives way when the detector is short: low first, high only when the others have given all.",
    )
    weight: Number = Field(
        1.0,
        gt=0,
        le=100,
        description="A camera of weight 2 keeps twice the detections of its equals. For scenes that matter more.",
    )
    min_detect_hz: Number = Field(
        0.0,
        ge=0,
        le=1000,
        description="Detections a second that are never given up. For cameras that must not go blind under load.",
    )
    max_detect_hz: Number | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Detections a second at most, even where there is room, and before stride.max; boxes are filled "
        "in between. For slow scenes, to save power, on a CPU that others need, too; archives (`pace: fastest`) do not "
        "know it.",
    )
    needs: tuple[Name, ...] = Field(
        default=(),
        description="What a machine must have to serve this camera, of a fleet over several: names of the cluster's "
        "resources, such as site-north where its network ends. On a single machine it says nothing.",
    )
    loop: bool = Field(
        default=False,
        description="Begin a recording again when it ends. For demonstrations; cameras ignore it.",
    )
    pace: Literal["realtime", "fastest"] = Field(
        default="realtime",
        description="How a recording is played. `realtime` behaves like a camera, `fastest` works through archives.",
    )
    rotate: Literal[0, 90, 180, 270] = Field(
        default=0,
        description="Degrees clockwise that make its pictures upright. For cameras mounted on their side or head; "
        "recordings that say themselves which side is up need nothing.",
    )
    mirror: bool = Field(
        default=False, description="Left and right are exchanged before turning. For cameras that look into a mirror."
    )
    transport: Literal["tcp", "udp", "auto"] = Field(
        default="tcp",
        description="How RTSP carries its packets. Use `udp` where the camera offers nothing else or a late frame is "
        "worse than a damaged one; `auto` takes TCP, and UDP where the camera refuses that.",
    )
    open_timeout_s: Number = Field(
        default=10.0,
        gt=0,
        le=300,
        description="How long opening may take, seconds. Raise it for cameras that wake slowly.",
    )
    read_timeout_s: Number = Field(
        default=5.0,
        gt=0,
        le=300,
        description="How long a stream may be silent before it counts as lost, seconds. "
        "Raise it for cameras below one frame a second.",
    )
    reconnect: Reconnect = Field(default=Reconnect(), description="How a lost camera is tried again.")
    format: str | None = Field(
        default=None,
        min_length=1,
        description="FFmpeg's name of the input format, such as `v4l2` or `mjpeg`. For devices mostly.",
    )
    fps: Number = Field(
        default=25.0,
        gt=0,
        le=1000,
        description="Pictures a second of a folder of pictures, and of a function that tells no times.",
    )
    decode: Decode = Field(
        default="cpu",
        description="What decodes its pictures. `auto` takes the first device that this machine has and that can, and "
        "the CPU where there is none or it fails; a name asks for that one. The CPU is the default, because with small "
        "pictures, and where the detector needs the device, it is the faster choice more often than not: measure it.",
    )
    max_pixels: Whole = Field(
        default=LARGEST_PICTURE_PX,
        ge=1,
        le=2**31 - 1,
        description="Pictures of more pixels, their width rounded up to 64, are refused, because a few bytes can "
        "unfold to gigabytes. The default is the most that H.264 and HEVC know, such as 8192x4352.",
    )
    memory_mb: Whole = Field(
        default=1024,
        ge=64,
        le=1 << 20,
        description="Memory that the camera's process may take beyond what it starts with, megabytes; at the limit the "
        "camera is disconnected, and tried again. 4K HEVC takes 130, with 10 bits 230, 8K 540. Raise it for larger.",
    )
    allow_redirects: bool = Field(
        default=False,
        description="Let the camera send this machine to other addresses: by a redirection to another host or port, or "
        "by a playlist (HLS, DASH). Needed for HLS; only for cameras you trust, since they may name any address.",
    )
    sandbox: bool = Field(
        default=True,
        description="Take from the camera's process what it does not need: it may read libraries and its own "
        "recording, write to the run's folder and /dev/shm, connect to its camera's port. Turn it off for a "
        "recording that names other files, such as a playlist.",
    )
    evidence: Evidence = Field(default=Evidence(), description="How much of `evidence_url` is kept.")
    track: Track = Field(default=Track(), description="How boxes come to frames that the detector did not see.")
    privacy: Privacy = Field(default=Privacy(), description="What of its pictures nobody gets to see.")

    @model_validator(mode="after")
    def _rates_ordered(self) -> Self:
        if self.max_detect_hz is not None and self.max_detect_hz < self.min_detect_hz:
            raise mistake(
                f"found “{self.max_detect_hz:g}”, which is below min_detect_hz ({self.min_detect_hz:g}); a camera "
                "cannot be detected at most so often and more often than that",
                at=("max_detect_hz",),
            )
        return self


class Camera(Rules, CameraSettings):
    """One camera with all its settings, its own before those of `defaults`, and its rules.

    Attributes:
        camera_id: Its name, the key under `cameras`.
    """

    camera_id: Name
    url: CameraUrl = Field(
        description="Where it is: rtsp://, rtsps://, http://, https://, srt://, file://, the path of a recording or "
        "of a folder of pictures (beside this file, or in the current directory), /dev/videoN, or "
        "python:package.module:function, which gives NumPy pictures. "
        "Keep passwords out of the file: rtsp://user:${GATE_PASSWORD}@host/."
    )

    evidence_url: EvidenceUrl | None = Field(
        default=None,
        description="A second stream of the same camera, larger than the first: its latest seconds are kept as they "
        "come, not decoded, and `camfleet clip` writes them. Set it to the main stream where `url` is the sub-stream.",
    )

    @model_validator(mode="after")
    def _masks_fit_both_streams(self) -> Self:
        # The other stream has pictures of another size, and nobody knows of which before it is there.
        if self.evidence_url is not None and self.privacy.clips == "covered" and self.privacy.in_pixels:
            number, (x, y) = self.privacy.in_pixels
            raise mistake(
                f"[{x:g}, {y:g}] is in pixels of `url`, and the pictures of `evidence_url`, which are masked, too, are "
                "of another size; give its corners as shares of the picture, 0 to 1",
                at=("privacy", "masks", number),
            )
        return self

    @property
    def rules(self) -> Rules:
        """What in its picture is an event."""
        return Rules(zones=self.zones, lines=self.lines)

    @property
    def silence_s(self) -> float:
        """How long reading may take, s; over HTTP, a segment may have to be written before it can be read."""
        segments = self.url.kind == "network" and self.url.reveal().lower().startswith(("http://", "https://"))
        return max(self.read_timeout_s, SEGMENT_S) if segments else self.read_timeout_s

    @property
    def waits_for_worker(self) -> bool:
        """Whether it is no camera and played as fast as it goes: then nothing is late and no frame is given up."""
        return self.pace == "fastest" and self.url.kind in ("file", "python")

    @property
    def plays_pictures(self) -> bool:
        """Whether it is a folder of pictures, and no recording."""
        return self.url.kind == "file" and self.url.path is not None and self.url.path.is_dir()
