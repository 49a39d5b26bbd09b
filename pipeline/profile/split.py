"""Where the cores went, by stage.

What a process and its threads took is measured. What a thread's stages share is split by what each step takes alone,
times how often the step was done; what is left is a stage of its own (`slot` in a camera, `decide` in the worker).
Together they never are more than the thread took: where the steps alone would be, they share it in proportion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.bench.figures import CameraCost
from pipeline.bench.fleet import FrameOutcome
from pipeline.profile.figures import Alone, Share, Stage
from pipeline.profile.threads import SUPERVISOR, Part, Use
from pipeline.supervise.status import role_of

ADMITTED = frozenset({"replaced", "stale", "overdue"})
"""Why a frame was not detected although its picture was put into the slot."""
NOT_DECODED = "behind"

ORDER: tuple[Stage, ...] = (
    "receive", "decode", "resize", "slot", "decide", "inference", "after", "track", "encode", "publish", "sinks",
    "page", "supervisor",
)  # fmt: skip

Stages = dict[Stage, float]


@dataclass(frozen=True, slots=True)
class Rates:
    """How often a second something was done, for one camera or for all.

    Attributes:
        published: Messages.
        decoded: Pictures.
        admitted: Pictures resized into the slot.
        detected: Detections, those that came too late for their frame included.
    """

    published: float = 0.0
    decoded: float = 0.0
    admitted: float = 0.0
    detected: float = 0.0

    def times(self, share: float) -> Rates:
        """A part of them."""
        return Rates(*(share * rate for rate in (self.published, self.decoded, self.admitted, self.detected)))

    @classmethod
    def of(cls, frames: Iterable[FrameOutcome], seconds: float) -> Rates:
        """Of these frames, which took `seconds`."""
        because = Counter("detected" if frame.detected else str(frame.filled_because) for frame in frames)
        published, detected = sum(because.values()), because["detected"]
        return cls(
            published / seconds,
            (published - because[NOT_DECODED]) / seconds,
            (detected + sum(because[reason] for reason in ADMITTED)) / seconds,
            (detected + because["overdue"]) / seconds,
        )


def split_camera(use: Use, rates: Rates, cost: CameraCost | None) -> Stages:
    """One camera's process; without its cost all that cannot be told apart is `decode`."""
    main, beside = use.parts.get("main", 0.0), use.parts.get("sockets", 0.0) + use.parts.get("other", 0.0)
    stages: Stages = {"receive": use.parts.get("evidence", 0.0), "slot": beside}
    if cost is None:
        stages["decode"] = main
        return stages
    alone: Stages = {
        "receive": cost.receive_ms * rates.decoded / 1000,
        "decode": (cost.decode_ms - cost.receive_ms) * rates.decoded / 1000,
        "resize": cost.scale_ms * rates.admitted / 1000,
    }
    return add(stages, fit(alone, main, "slot"))


def split_worker(use: Use, rates: Rates, alone: Alone) -> Stages:
    """A worker's process; `rates` are those of the cameras together that it serves."""
    steps: Stages = {
        "track": (alone.update_ms * rates.detected + alone.predict_ms * (rates.published - rates.detected)) / 1000,
        "encode": alone.encode_ms * rates.published / 1000,
    }
    lanes = use.parts.get("lane", 0.0)
    laying = min(lanes, alone.lay_ms * rates.detected / 1000)
    lane = lanes - laying
    after = lane if computes_elsewhere(use.parts) else 0.0
    beside: Stages = {
        "slot": laying,
        "inference": use.parts.get("detector", 0.0) + use.parts.get("other", 0.0) + lane - after,
        "after": after,
        "publish": use.parts.get("sockets", 0.0),
    }
    return add(beside, fit(steps, use.parts.get("main", 0.0), "decide"))


def split_other(use: Use) -> Stages:
    """A process that is one stage."""
    role = role_of(use.name)
    stage: Stage = "supervisor"
    if role == "publisher":
        stage = "publish"
    elif role == "sink":
        stage = "sinks"
    elif role == "page":
        stage = "page"
    return {stage: sum(use.parts.values())}


def fit(steps: Stages, whole: float, rest: Stage) -> Stages:
    """The steps as parts of `whole`, and as `rest` what they leave of it."""
    wanted = sum(steps.values())
    scale = min(1.0, whole / wanted) if wanted > 0 else 0.0
    found: Stages = {stage: cores * scale for stage, cores in steps.items()}
    found[rest] = found.get(rest, 0.0) + max(0.0, whole - sum(found.values()))
    return found


def add(*parts: Mapping[Stage, float]) -> Stages:
    """Their sum, stage by stage, in the order of the stages."""
    total: Stages = {}
    for stage in ORDER:
        if any(stage in part for part in parts):
            total[stage] = sum(part.get(stage, 0.0) for part in parts)
    return total


def shares(stages: Mapping[Stage, float], measured: int, cameras: int, *, lanes_wait: bool) -> list[Share]:
    """All stages of a fleet that take anything.

    Args:
        stages: Cores, by stage.
        measured: How many cameras' steps were measured.
        cameras: How many there are.
        lanes_wait: Whether a lane's thread waits while others compute, so that its own time is after-work.
    """
    how = _hows(measured, cameras, lanes_wait)
    return [Share(stage=stage, cores=round(stages[stage], 4), how=how[stage]) for stage in ORDER if stage in stages]


def _hows(measured: int, cameras: int, lanes_wait: bool) -> dict[Stage, str]:
    few = "" if measured == cameras else f" ({measured} of {cameras} cameras; others by those like them)"
    alone = f"CPU time of this step alone, on the camera's own pictures × pictures a second{few}"
    if not measured:
        alone = "receiving, decoding, resizing and the slot as one: no camera could be opened a second time"
    return {
        "receive": alone,
        "decode": alone,
        "resize": f"CPU time of this step alone × admitted pictures a second{few}",
        "slot": "the rest of the cameras' threads, and laying pictures into lanes: shared memory, ticks, waking up",
        "decide": "the rest of the workers' loops: hearing ticks, strides, batches, books, making messages",
        "inference": "threads of the detector's library" if lanes_wait else "the lanes' threads, after-work included",
        "after": "the lanes' own threads: boxes out of the output, suppression",
        "track": "the tracker again, on the boxes that were heard × detections and predictions a second",
        "encode": "the messages encoded again × messages a second",
        "publish": "the publisher's process and the workers' ZeroMQ threads",
        "sinks": "the sinks' processes",
        "page": "the page's process",
        "supervisor": f"the {SUPERVISOR}, its fork server, and what watches for its table",
    }


def computes_elsewhere(parts: Mapping[Part, float]) -> bool:
    """Whether the detector computes in threads of its library, so that a lane's thread has its after-work alone."""
    return parts.get("detector", 0.0) > parts.get("lane", 0.0)
