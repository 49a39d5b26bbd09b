"""What a plan says; also the JSON that `camfleet plan --json` prints. Rates in Hz, times in ms."""

from __future__ import annotations

import msgspec

from pipeline.bench.figures import MeasuredService, Percentiles


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the arithmetic: what it is about, and the sum in words and numbers."""

    name: str
    words: str


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """What to set, and what follows by arithmetic alone.

    Attributes:
        batch: Frames in one batch at most.
        wait_ms: How long a frame waits for others.
        instances: Detectors at work at once.
        stride: Every how many frames of a camera one is detected.
        most_stride: How far strides may give way.
        offered_hz: Frames a second that are to be detected.
        capacity_hz: Frames a second that the instances carry.
        utilisation: The first as a share of the second.
        typical_ms: Age of a frame that no other batch stands in the way of.
        worst_ms: Of one that comes just when a batch has begun.
        in_flight: Frames on their way at the typical age, by Little's law.
        most_in_flight: Frames that may be on their way before some are too old: bounds of all queues together.
        slot: Frames that wait for each source: the newest.
        bears: How many times this load is carried at `stride`.
        bears_at_most_stride: The same at `most_stride`.
        fits: Whether the load is carried and the typical and the worst age are within the promise.
        problem: Why not; empty if it is.
    """

    batch: int
    wait_ms: float
    instances: int
    stride: int
    most_stride: int
    offered_hz: float
    capacity_hz: float
    utilisation: float
    typical_ms: float
    worst_ms: float
    in_flight: float
    most_in_flight: int
    slot: int
    bears: float
    bears_at_most_stride: float
    fits: bool
    problem: str = ""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker's own core made of it on a virtual clock.

    Attributes:
        seconds: Of virtual time that were counted, all draws together.
        draws: How often the cameras' phases were drawn anew.
        age: Of all published frames; medians of the draws.
        detected_age: Of detected frames, likewise.
        p95_least_ms: The smallest p95 of all frames of a draw.
        p95_most_ms: The largest.
        published_hz: Frames a second.
        detected_hz: Frames detected a second, in time.
        detected_share: Of the frames offered to the detector: how many were detected in time.
        stride: Mean.
        utilisation: Share of the lanes' time that they computed.
        batch: Mean.
        in_flight: Frames on their way, by Little's law: published a second × mean age.
        kept: Whether 95 of 100 frames are within the promise in every draw, and about as many are detected as were
            planned for (`rehearse.DETECTED`).
    """

    seconds: float
    draws: int
    age: Percentiles
    detected_age: Percentiles
    p95_least_ms: float
    p95_most_ms: float
    published_hz: float
    detected_hz: float
    detected_share: float
    stride: float
    utilisation: float
    batch: float
    in_flight: float
    kept: bool


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the plan with more cameras: as it is set, and what would be needed."""

    cameras: int
    as_it_is: Sizing
    rehearsal: Rehearsal
    needed: Sizing
    words: str


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of machine would cost.

    Attributes:
        machine: Its name in the price table.
        region: Where.
        machines: How many are needed.
        utilisation: Of all of them together.
        hour: Price of all an hour.
        used: The part of `hour` that is work: utilisation × price.
        million: Price of a million detections.
        month: 730 hours.
        archive_hours: Machine hours for the archive's work; 0 without any.
        archive: Their price, at the spot price where there is one.
        archive_is_spot: Whether it is.
        cheapest: Whether it is the cheapest that fits.
        problem: Why it does not do; empty if it does.
    """

    machine: str
    region: str
    machines: int = 0
    utilisation: float = 0.0
    hour: float = 0.0
    used: float = 0.0
    million: float = 0.0
    month: float = 0.0
    archive_hours: float = 0.0
    archive: float = 0.0
    archive_is_spot: bool = False
    cheapest: bool = False
    problem: str = ""


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine adds to a frame's way, and takes for it, measured with a detector that only waits.

    Attributes:
        decode: From a detected frame's capture to its picture in the slot.
        link: Until the worker has taken it, with a lane free.
        lane: What a detection takes beyond the detector's own time.
        publish: From its boxes to its message.
        hand_over_cpu_ms: CPU time of a camera's process for a frame beyond decoding it.
        worker_cpu_ms: CPU time of worker and publisher for a frame.
        cores: That this process may use.
        machine: Which.
    """

    decode: Percentiles
    link: Percentiles
    lane: Percentiles
    publish: Percentiles
    hand_over_cpu_ms: float
    worker_cpu_ms: float
    cores: float
    machine: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything: the JSON of `camfleet plan --json`.

    Attributes:
        title: What was asked.
        p95_ms: The promise.
        load: What comes in, in words.
        steps: The arithmetic.
        sizing: What to set.
        rehearsal: What the worker's core makes of it.
        more: With more cameras, where that was asked.
        costs: By machine and region, where prices are known.
        currency: Of the prices.
        measured: The service times that were measured here; None where they were given.
        machine: Where, and on how many cores; empty where nothing was measured.
    """

    title: str
    p95_ms: float
    load: str
    steps: list[Step]
    sizing: Sizing
    rehearsal: Rehearsal
    more: More | None = None
    costs: list[Cost] = []
    currency: str = ""
    measured: MeasuredService | None = None
    machine: str = ""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure as predicted and as measured, and how far the prediction is off, percent of what was measured."""

    name: str
    predicted: float
    measured: float
    error_percent: float | None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A plan of a fleet as it is, and a run of that fleet: the JSON of `camfleet plan --check --json`.

    Attributes:
        fleet: Its name.
        machine: Which.
        cores: That this process may use.
        seconds: How long the run was measured.
        constants: Of the machine.
        service: Of the detector alone.
        in_place: How many times as long it takes in its worker.
        plan: What is predicted.
        figures: Figure by figure.
        other_cores: What other programs took during the run; None where that cannot be known.
    """

    fleet: str
    machine: str
    cores: float
    seconds: float
    constants: Constants
    service: MeasuredService
    in_place: float
    plan: Plan
    figures: list[Compared]
    other_cores: float | None = None
