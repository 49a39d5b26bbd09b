"""A scenario: what its YAML file says once it is read and checked."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from pipeline.config import CameraSettings, Model, Slo, Worker
from pipeline.config.base import Name, Number, Value, Whole, mistake
from pipeline.replay.faults import MOMENTARY, FaultName
from pipeline.wire import State

OurFault = Literal["kill_camera", "stop_camera", "kill_worker", "stop_worker", "slow_subscriber"]
"""Faults of our side: SIGKILL, SIGSTOP, and a subscriber that does not read."""
AnyFault = Literal[FaultName, OurFault]

OUR_FAULTS: tuple[str, ...] = get_args(OurFault)
WHOLE_FLEET = ("kill_worker", "stop_worker", "slow_subscriber")
"""Faults that happen to no camera in particular."""
PARAMETERS: dict[str, tuple[str, ...]] = {
    "silence": ("answers",),
    "delay": ("delay_ms", "jitter_ms"),
    "bandwidth": ("kbit_s",),
    "loss": ("loss_share", "reorder_share"),
    "corrupt": ("corrupt_share",),
    "resolution": ("file",),
    "frame_rate": ("fps",),
    "time_jump": ("jump_s",),
    "key_frame_pause": ("pause_ms",),
}
"""What can be said of each fault beyond when and where; those without an entry have nothing more."""


class FaultPlan(Value):
    """One fault: what, where and when."""

    name: AnyFault = Field(
        description="What goes wrong. Of a camera: silence, refuse, freeze, disconnect, reset, wrong_password, delay, "
        "bandwidth, loss, corrupt, no_key_frame, resolution, frame_rate, time_jump, key_frame_pause, slow. On our "
        "side: kill_camera, stop_camera (SIGSTOP), kill_worker, stop_worker, slow_subscriber (one that does not read)."
    )
    camera: Name | None = Field(default=None, description="The camera it happens to; the first one without it.")
    at_s: Number = Field(default=1.0, ge=0, le=86_400, description="When it begins, seconds after its phase began.")
    seconds: Number = Field(default=2.0, ge=0, le=86_400, description="How long it lasts; a kill takes no time.")
    answers: bool | None = Field(
        default=None, description="`silence`: requests are answered, and only pictures stay away."
    )
    file: str | None = Field(
        default=None,
        description="`resolution`: a recording of another size; without it the camera's own at half its size.",
    )
    delay_ms: Number | None = Field(default=None, ge=0, le=60_000, description="`delay`: how late packets come.")
    jitter_ms: Number | None = Field(default=None, ge=0, le=60_000, description="`delay`: how much that varies.")
    kbit_s: Number | None = Field(default=None, gt=0, le=1e7, description="`bandwidth`: what the network lets through.")
    loss_share: Number | None = Field(default=None, ge=0, le=1, description="`loss`: of packets, over UDP.")
    reorder_share: Number | None = Field(default=None, ge=0, le=1, description="`loss`: packets that come too late.")
    corrupt_share: Number | None = Field(default=None, ge=0, le=1, description="`corrupt`: of packets.")
    fps: Number | None = Field(default=None, gt=0, le=1000, description="`frame_rate`: the new one.")
    jump_s: Number | None = Field(default=None, ge=-86_400, le=86_400, description="`time_jump`: forwards, or back.")
    pause_ms: Number | None = Field(
        default=None, ge=0, le=60_000, description="`key_frame_pause`: before each one, but half a second apart."
    )

    @model_validator(mode="after")
    def _fitting(self) -> FaultPlan:
        allowed = PARAMETERS.get(self.name, ())
        for parameter in self.parameters:
            if parameter not in allowed:
                has = f"it has {' and '.join(allowed)}" if allowed else "it has no parameters"
                raise mistake(f"“{parameter}” is nothing that “{self.name}” has; {has}")
        if self.camera is not None and self.name in WHOLE_FLEET:
            raise mistake(f"“camera” is nothing that “{self.name}” has; it happens to the whole fleet")
        return self

    @property
    def parameters(self) -> dict[str, float | bool | str]:
        """What the file says beyond name, camera and time."""
        every = {name for names in PARAMETERS.values() for name in names}
        return {name: getattr(self, name) for name in sorted(every) if getattr(self, name) is not None}

    @property
    def end_s(self) -> float:
        """When it is over, seconds after its phase began."""
        at_once = self.name.startswith("kill_") or self.name in MOMENTARY
        return self.at_s if at_once else self.at_s + self.seconds


class Burst(Value):
    """More than usual: more cameras, or faster ones."""

    cameras: Whole | None = Field(
        default=None, ge=2, le=1000, description="How many cameras there are in all during this phase."
    )
    speed: Number | None = Field(
        default=None, gt=0, le=16, description="How many times faster the recordings are played during this phase."
    )

    @model_validator(mode="after")
    def _something(self) -> Burst:
        if self.cameras is None and self.speed is None:
            raise mistake("is empty; say “cameras” (how many in all) or “speed” (how many times faster), or both")
        return self


class Expect(Value):
    """What must hold in a phase; what is not said is not judged."""

    p95_ms: Number | None = Field(
        default=None, gt=0, le=60_000, description="95 of 100 frames are younger, from departure to publication."
    )
    p99_ms: Number | None = Field(default=None, gt=0, le=60_000, description="99 of 100 frames are younger.")
    min_published_share: Number | None = Field(
        default=None, ge=0, le=1, description="Published frames of those that the recordings have in that time."
    )
    min_detected_share: Number | None = Field(
        default=None, ge=0, le=1, description="Detected frames of those that were published."
    )
    max_lost: Whole | None = Field(default=None, ge=0, description="Frames decoded and never published.")
    min_cameras: Whole | None = Field(
        default=None, ge=1, description="Cameras that publish at their usual rate at the end of the phase."
    )
    max_recovery_s: Number | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="From the end of the fault until the camera is back at its usual rate and within the fleet's slo.",
    )
    others_unaffected: bool | None = Field(
        default=None, description="The other cameras' p95 is at most 10 % above that of the steady phase before."
    )
    others_p95_ms: Number | None = Field(
        default=None, gt=0, le=60_000, description="95 of 100 frames of the other cameras are younger."
    )
    max_clock_difference_ms: Number | None = Field(
        default=None, gt=0, le=60_000, description="What the fleet's own ages may be off, for 95 of 100 frames."
    )
    states: dict[Name, State] = Field(
        default_factory=dict,
        description="Cameras, and the state that messages must tell of each, with its reason: `gate: blind`. Once "
        "told, it is not called live again before its fault is over.",
    )
    max_state_s: Number = Field(
        default=5.0,
        gt=0,
        le=86_400,
        description="How soon messages must tell `states`, seconds after the camera's fault began; after the phase "
        "began for a camera without one.",
    )


FAULT_ONLY = ("max_recovery_s", "others_unaffected", "others_p95_ms")


class Phase(Value):
    """A stretch of time: steady, a burst, or one with a fault in it."""

    name: str = Field(min_length=1, max_length=60, description="What it is called in the report.")
    seconds: Number = Field(gt=0, le=86_400, description="How long it lasts.")
    settle_s: Number = Field(
        default=0.0, ge=0, le=86_400, description="Its first seconds, which are shown and not judged."
    )
    burst: Burst | None = Field(default=None, description="More cameras, or faster ones, during this phase.")
    fault: FaultPlan | None = Field(default=None, description="What goes wrong during this phase.")
    faults: tuple[FaultPlan, ...] = Field(default=(), description="The same, where several things go wrong.")
    expect: Expect = Field(default=Expect(), description="What must hold.")

    @model_validator(mode="after")
    def _consistent(self) -> Phase:
        if self.fault is not None and self.faults:
            raise mistake("has “fault” and “faults”; give one of them")
        if self.burst is not None and self.every_fault:
            raise mistake("has a burst and a fault; give each its own phase, so that one verdict has one cause")
        if self.settle_s >= self.seconds:
            raise mistake(f"settle_s ({self.settle_s:g}) leaves nothing of its {self.seconds:g} seconds to judge")
        last_s = max((fault.end_s for fault in self.every_fault), default=0.0)
        if last_s >= self.seconds:
            raise mistake(
                f"its fault ends at {last_s:g} s and the phase at {self.seconds:g} s; "
                "make the phase longer, so that the recovery can be seen"
            )
        for key in FAULT_ONLY:
            if not self.every_fault and getattr(self.expect, key) is not None:
                raise mistake(f"expects “{key}” without a fault")
        return self

    @property
    def every_fault(self) -> tuple[FaultPlan, ...]:
        """What goes wrong, in the order in which it begins."""
        faults = self.faults if self.fault is None else (self.fault,)
        return tuple(sorted(faults, key=lambda fault: fault.at_s))

    @property
    def kind(self) -> Literal["steady", "burst", "fault"]:
        """What it is, in one word."""
        return "burst" if self.burst is not None else "fault" if self.every_fault else "steady"


class Scenario(Value):
    """Recordings that become cameras, the fleet to test, what happens to it, and what is expected of it."""

    name: Name = Field(description="What the scenario is called; else its file's name.")
    recordings: tuple[str, ...] = Field(
        min_length=1,
        description="What the cameras show: paths beside this file or in the current directory; * stands for any name.",
    )
    cameras: Whole | None = Field(
        default=None, ge=1, le=1000, description="How many; without it as many as the fleet file has, or recordings."
    )
    fps: Number | None = Field(
        default=None, gt=0, le=240, description="Play the recordings at this rate instead of their own."
    )
    fleet: str | None = Field(
        default=None,
        description="The fleet file to test. Its cameras keep names and settings and show the recordings instead.",
    )
    model: Model | None = Field(default=None, description="As in a fleet file; stands before the fleet file's.")
    worker: Worker = Field(default=Worker(), description="As in a fleet file; its keys go before the fleet file's.")
    slo: Slo = Field(default=Slo(), description="As in a fleet file; its keys go before the fleet file's.")
    defaults: CameraSettings = Field(
        default=CameraSettings(), description="As in a fleet file; its keys go before those of every camera."
    )
    settings: dict[Name, CameraSettings] = Field(
        default_factory=dict, description="By camera: as in a fleet file; its keys go before `defaults`."
    )
    warmup_s: Number = Field(
        default=20.0, gt=0, le=3600, description="How long the cameras may take to come before the first phase begins."
    )
    phases: tuple[Phase, ...] = Field(min_length=1, description="What happens, in order.")

    @model_validator(mode="after")
    def _has_model(self) -> Scenario:
        if self.fleet is None and self.model is None:
            raise mistake("has neither “fleet” (a fleet file to test) nor “model”; give one of them")
        return self
