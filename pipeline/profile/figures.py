"""What a profile finds; also the JSON that it prints. Rates in Hz, times in ms, use in cores."""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.bench.figures import Percentiles

Stage = Literal[
    "receive", "decode", "resize", "slot", "decide", "inference", "after", "track", "encode", "publish", "sinks",
    "page", "supervisor",
]  # fmt: skip
"""What cores are spent on, in the order in which a frame meets it."""

Step = Literal[
    "capture", "decode", "resize", "core", "wait", "inference", "after", "track", "turn", "encode", "publish"
]
"""What a frame's milliseconds are spent on, in order; `encode` and `publish` come after its age was taken."""

BEYOND_AGE: tuple[Step, ...] = ("encode", "publish")

STAGE_WORDS: dict[Stage, str] = {
    "receive": "receiving",
    "decode": "decoding",
    "resize": "resizing",
    "slot": "slot and ticks",
    "decide": "deciding",
    "inference": "inference",
    "after": "after-work",
    "track": "tracking",
    "encode": "encoding",
    "publish": "publishing",
    "sinks": "sinks",
    "page": "page",
    "supervisor": "supervisor",
}
STEP_WORDS: dict[Step, str] = {
    "capture": "from the camera",
    "decode": "decoding",
    "resize": "resizing",
    "core": "waiting for a core",
    "wait": "waiting in the slot",
    "inference": "inference",
    "after": "after-work",
    "track": "tracking",
    "turn": "waiting its turn",
    "encode": "encoding",
    "publish": "publishing",
}

Kind = Literal["none", "decode", "detector", "deadline", "wait", "pipeline", "camera", "sink", "network", "others"]
"""What holds a fleet back: nothing; decoding takes the cores; the detector is at its limit; a detection takes most of
the latency goal; frames wait although something is free; the pipeline's own work; one camera; a sink; the way from the
cameras; other programs."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage takes of the machine.

    Attributes:
        stage: Which.
        cores: CPU time a second, of all processes.
        how: How it was obtained, in a sentence.
    """

    stage: Stage
    cores: float
    how: str


class ProcessCores(msgspec.Struct, frozen=True, kw_only=True):
    """One process.

    Attributes:
        name: `worker`, `camera gate`; `supervisor` with the fork server.
        cores: CPU time a second, as the system counts it for the process.
        memory_mb: What it adds to the machine's memory (PSS).
        stages: What the cores went into; adds up to them but for threads that have ended.
        detail: What it says of itself; of a sink, what waits and is lost.
    """

    name: str
    cores: float
    memory_mb: float
    stages: dict[Stage, float]
    detail: str = ""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of frames like these went: a mean, so that the steps add up to the age.

    Attributes:
        frames: Whether the detector saw them.
        rank: Typical ones (ages around the median), or late ones (around the 95th percentile).
        count: How many there were.
        age_ms: From capture to publication: all steps but those beyond the age.
        steps: By step.
    """

    frames: Literal["detected", "filled"]
    rank: Literal["p50", "p95"]
    count: int
    age_ms: float
    steps: dict[Step, float]


class CameraSteps(msgspec.Struct, frozen=True, kw_only=True):
    """What a camera costs.

    Attributes:
        camera_id: Which.
        codec: FFmpeg's name; empty where it is not known.
        frame_wh: Source picture, px.
        frame_hz: Pictures published a second.
        cores: Of its process.
        receive_ms: CPU time to receive a picture; 0 where it is not known.
        decode_ms: And to decode it.
        resize_ms: And to scale it, which only admitted ones need.
        like: Why these are not its own but the mean of others like it, or unknown; empty where they are its own.
    """

    camera_id: str
    codec: str = ""
    frame_wh: tuple[int, int] = (0, 0)
    frame_hz: float = 0.0
    cores: float = 0.0
    receive_ms: float = 0.0
    decode_ms: float = 0.0
    resize_ms: float = 0.0
    like: str = ""


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """Single steps of the worker, done again with the messages that were heard; CPU ms each.

    Attributes:
        boxes: Mean number of boxes in a message.
        update_ms: The tracker, with a detection.
        predict_ms: The tracker, without one.
        encode_ms: A message into bytes.
        lay_ms: A picture from the slot into a lane.
    """

    boxes: float
    update_ms: float
    predict_ms: float
    encode_ms: float
    lay_ms: float


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that holds the fleet back, and what to do about it.

    Attributes:
        kind: What.
        words: The same with its figures.
        lever: What to pull; empty where nothing is to be done.
    """

    kind: Kind
    words: str
    lever: str


class HotFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function that a sampling profiler found on top of the stack.

    Attributes:
        name: Of the function.
        where: Its file and line.
        percent: Of the process's samples.
    """

    name: str
    where: str
    percent: float


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """What a sampling profiler saw of one process.

    Attributes:
        name: The process.
        samples: How many of them were taken while it worked, all threads together.
        hottest: The functions that were on top most often.
        file: Where everything is, for https://speedscope.app or `speedscope FILE`; empty where nothing was written.
        error: Why there is none; empty if there is.
    """

    name: str
    samples: int = 0
    hottest: tuple[HotFunction, ...] = ()
    file: str = ""
    error: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything: the JSON of `camfleet profile --json`.

    Attributes:
        fleet: Its name.
        machine: The processor.
        cores: That may be used.
        at: When, UTC.
        ours: Whether the fleet was started for this.
        slo_p95_ms: The promise.
        seconds: How long was measured.
        published_hz: Messages a second.
        detected_hz: Detections a second.
        wanted_hz: What there was to detect at the smallest strides allowed.
        filled: Frames that were not detected, by reason.
        lost: Frames that were never published, by cause.
        age: Of all published frames.
        ways: Where the time went, of detected and of filled frames, typical and late ones.
        steps: Percentiles by step, over all frames that have it.
        shares: Where the cores went, by stage.
        fleet_cores: All processes of the fleet, as the system counts them.
        observer_cores: What this profile took meanwhile.
        other_cores: What the rest of the machine took; None where that cannot be known.
        idle_cores: What nobody took; likewise.
        lanes: Detections that may run at once.
        lanes_busy: How many did, on average; None where it was not told.
        processes: Each process.
        cameras: Each camera.
        alone: Steps of the worker, one at a time.
        findings: What holds the fleet back, the first lever first; `none` if nothing does.
        sampled: What a sampling profiler saw; empty without `--sample`.
        notes: What a reader must know of how this was measured.
    """

    fleet: str
    machine: str
    cores: float
    at: str
    ours: bool
    slo_p95_ms: float
    seconds: float
    published_hz: float
    detected_hz: float
    wanted_hz: float
    filled: dict[str, int]
    lost: dict[str, int]
    age: Percentiles
    ways: list[Way]
    steps: dict[Step, Percentiles]
    shares: list[Share]
    fleet_cores: float
    observer_cores: float
    other_cores: float | None
    idle_cores: float | None
    lanes: int
    lanes_busy: float | None
    processes: list[ProcessCores]
    cameras: list[CameraSteps]
    alone: Alone
    findings: list[Finding]
    sampled: list[Sampled]
    notes: list[str]
