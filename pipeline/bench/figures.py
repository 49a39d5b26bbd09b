"""What a bench measures and concludes; also the JSON that it prints. Rates in Hz, times in ms, use in cores."""

from __future__ import annotations

from typing import Literal

import msgspec

Bottleneck = Literal["cameras", "decode", "detector", "deadline", "pipeline"]
"""What holds detections back: there are no more frames to detect; decoding takes the cores; the detector is at the
limit of what it is left; a detection takes so long that few can be back within the latency goal; none of them, so the
time goes into the pipeline itself or is not used."""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Of times in ms; 0 without any."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


class BareDetector(msgspec.Struct, frozen=True, kw_only=True):
    """The detector alone, every lane of every device busy.

    Attributes:
        images_hz: Images a second, all lanes of all devices together.
        ms_per_image: Time between two images: 1000 / `images_hz`.
        cpu_ms_per_image: CPU time of all threads for one image.
        cores: CPU time a second; the cores it took.
        other_cores: What the rest of the machine took meanwhile; it is missing in `images_hz`.
        lanes: Inferences in flight at once, on all devices.
        batch: Images in each.
        input_wh: The model's input, px.
        devices: On how many devices.
        memory_mb: What the processes of all devices take (PSS), the detector's libraries included.
    """

    images_hz: float
    ms_per_image: float
    cpu_ms_per_image: float
    cores: float
    other_cores: float
    lanes: int
    batch: int
    input_wh: tuple[int, int]
    devices: int = 1
    memory_mb: float = 0.0


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """How long one lane needs for a batch.

    Attributes:
        batch: Pictures in it.
        alone_ms: While no other lane computes, median: what a neighbour on the machine disturbs does not count.
        together_ms: While every lane does, median.
        together_p95_ms: The same, 95th percentile.
        cores: That one lane keeps busy while it computes alone.
    """

    batch: int
    alone_ms: float
    together_ms: float
    together_p95_ms: float
    cores: float


class MeasuredService(msgspec.Struct, frozen=True, kw_only=True):
    """The service times of a detector on one device, by batch size, ascending; its lanes, and the input it had, px."""

    lanes: int
    max_batch: int
    input_wh: tuple[int, int]
    batches: list[Service]


class CameraCost(msgspec.Struct, frozen=True, kw_only=True):
    """One camera, received and decoded with nothing else to do.

    Attributes:
        camera_id: The camera.
        codec: FFmpeg's name; empty where it did not answer.
        frame_wh: Source picture, px.
        fps: By its own time stamps.
        frames: How many were measured.
        decode_ms: CPU time to receive and decode one.
        receive_ms: Of it, what receiving takes: the network or the file, RTP, and putting pictures together.
        scale_ms: CPU time to scale one to the model's input, which only admitted frames need.
        decode_cores: `decode_ms` at its frame rate.
        error: Why nothing is known of it; empty if it is.
    """

    camera_id: str
    codec: str = ""
    frame_wh: tuple[int, int] = (0, 0)
    fps: float = 0.0
    frames: int = 0
    decode_ms: float = 0.0
    receive_ms: float = 0.0
    scale_ms: float = 0.0
    decode_cores: float = 0.0
    error: str = ""


class ProcessUse(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the fleet: CPU time a second, and memory it adds to the machine (PSS; shared pages by shares)."""

    name: str
    cores: float
    memory_mb: float


class FleetRun(msgspec.Struct, frozen=True, kw_only=True):
    """The whole fleet for a while.

    Attributes:
        seconds: How long.
        published_hz: Messages a second.
        detected_hz: Frames detected a second.
        wanted_hz: Frames a second at the smallest strides that the fleet file allows: all there is to detect.
        age: Of all published frames.
        detected_age: Of detected frames.
        detected_stages: By stage, of detected frames; the stages follow each other and add up to the age.
        filled_stages: The same of the others.
        lost: Frames that were never published, by cause.
        filled: Frames that were not detected, by reason.
        processes: The worker first, or the workers and what publishes for them, then the cameras.
        observer_cores: What this measurement itself took.
        other_cores: What the rest of the machine took meanwhile; None where that cannot be known (a share of a host).
        restarts: Processes that died meanwhile.
        stride: Mean of all published frames.
    """

    seconds: float
    published_hz: float
    detected_hz: float
    wanted_hz: float
    age: Percentiles
    detected_age: Percentiles
    detected_stages: dict[str, Percentiles]
    filled_stages: dict[str, Percentiles]
    lost: dict[str, int]
    filled: dict[str, int]
    processes: list[ProcessUse]
    observer_cores: float
    other_cores: float | None
    restarts: int
    stride: float = 0.0


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Where the cores went while the fleet ran; everything but `cores` adds up to `cores`, as well as it can be known.

    Attributes:
        cores: That this process may use.
        decode: Receiving and decoding: measured camera by camera, at the frame rates of the run.
        hand_over: The rest of the camera processes: scaling, shared memory, messages to the worker.
        detector: Detections of the run at the bare detector's CPU time.
        worker_rest: The rest of the workers: batching, tracking, filling, publishing.
        others: Other processes of the machine, and this measurement.
        idle: Nobody.
    """

    cores: float
    decode: float
    hand_over: float
    detector: float
    worker_rest: float
    others: float
    idle: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from the measurements.

    Attributes:
        budget: Where the cores went.
        left_cores: For the detector, once cameras are decoded and other programs have had theirs.
        ceiling_hz: Detections a second that the bare detector reaches on these.
        share: `detected_hz` as a share of the smaller of `ceiling_hz` and `wanted_hz`.
        overhead_ms: CPU time beyond decoding and detecting, for one published frame.
        bottleneck: What holds detections back.
        words: The same for people, a sentence each.
    """

    budget: Budget
    left_cores: float
    ceiling_hz: float
    share: float
    overhead_ms: float
    bottleneck: Bottleneck
    words: list[str]


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Everything: the JSON of `camfleet bench --json`."""

    fleet: str
    machine: str
    cores: float
    slo_p95_ms: float
    bare: BareDetector
    cameras: list[CameraCost]
    run: FleetRun
    verdict: Verdict
