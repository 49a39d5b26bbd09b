"""What is to be planned for: what comes in, what it costs, and what is promised."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.capacity.service import ServiceTimes
from pipeline.plan import CameraPlan, StrideBounds


@dataclass(frozen=True, slots=True)
class Source:
    """Where frames come from.

    Attributes:
        camera_id: Its name.
        fps: Frames a second.
        bounds: Between which its stride may lie.
        regular: Whether frames come at even intervals, as a camera's do; requests come at random (a Poisson process).
        plan: How a camera of a fleet file is served otherwise; None: as the defaults have it.
    """

    camera_id: str
    fps: float
    bounds: StrideBounds
    regular: bool = True
    plan: CameraPlan | None = None

    def stride(self, wished: int) -> int:
        """The allowed stride that is nearest."""
        return min(max(wished, self.bounds.floor(self.fps)), self.bounds.ceiling(self.fps))

    def offers_hz(self, wished: int) -> float:
        """Frames a second that the detector is offered at the allowed stride nearest to this."""
        return self.fps / self.stride(wished)


def cameras(count: int, fps: float, bounds: StrideBounds) -> tuple[Source, ...]:
    """So many equal cameras."""
    return tuple(Source(f"camera-{number:02}", fps, bounds) for number in range(1, count + 1))


def callers(rate_hz: float) -> tuple[Source, ...]:
    """Requests from everywhere: about one caller for each request a second, so that none has to wait for itself."""
    count = max(1, round(rate_hz))
    bounds = StrideBounds(1, 1)
    return tuple(Source(f"caller-{number:03}", rate_hz / count, bounds, regular=False) for number in range(count))


@dataclass(frozen=True, slots=True)
class Overheads:
    """What a frame needs beside the detector, ms, and others do not wait for.

    Attributes:
        pre_ms: Before it can be detected: decoding, scaling.
        post_ms: Between its boxes and their publication: boxes, tracking.
        network_ms: On its way here and back.
    """

    pre_ms: float = 0.0
    post_ms: float = 0.0
    network_ms: float = 0.0

    @property
    def total_ms(self) -> float:
        """All together."""
        return self.pre_ms + self.post_ms + self.network_ms


@dataclass(frozen=True, slots=True)
class Task:
    """A question to the planner.

    Attributes:
        sources: What comes in; empty: as much as the instances carry.
        service: Of one instance.
        p95_ms: The promise.
        overheads: Beside the detector.
        instances: How many there are; None: to be found.
        batch: The largest batch; None: to be found.
        wait_ms: How long a frame waits for others; None: to be found.
    """

    sources: tuple[Source, ...]
    service: ServiceTimes
    p95_ms: float
    overheads: Overheads = Overheads()
    instances: int | None = None
    batch: int | None = None
    wait_ms: float | None = None

    @property
    def regular(self) -> bool:
        """Whether cameras come in, not requests."""
        return bool(self.sources) and self.sources[0].regular

    @property
    def most_stride(self) -> int:
        """The largest stride that any source allows."""
        return max((source.bounds.ceiling(source.fps) for source in self.sources), default=1)

    def offered_hz(self, stride: int) -> float:
        """Frames a second that the detector is offered at this stride, or the nearest that each source allows."""
        return sum(source.offers_hz(stride) for source in self.sources)
