"""What results hold, as values: how many, when, how old, and what is missing. None stands for what is not known."""

from __future__ import annotations

from typing import Protocol

import msgspec


class OfCamera(Protocol):
    """Anything that is told of a camera."""

    @property
    def fleet(self) -> str:
        """The fleet it belongs to."""
        ...

    @property
    def camera_id(self) -> str:
        """Its name."""
        ...


class Ages(msgspec.Struct, frozen=True):
    """How old frames were when they were published, ms, to a tenth.

    Attributes:
        p50: The age that half of them stay below.
        p95: The age that 95 of 100 stay below.
        p99: The age that 99 of 100 stay below.
    """

    p50: float
    p95: float
    p99: float


class ClassCount(msgspec.Struct, frozen=True, kw_only=True):
    """Objects of one class.

    Attributes:
        class_name: The model's name of the class.
        boxes: On all frames together.
        objects: By track id: an object that was lost and found again counts twice.
    """

    class_name: str
    boxes: int
    objects: int


class CameraAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What is there of one camera.

    Attributes:
        fleet: The fleet it belongs to.
        camera_id: Its name.
        frames: How many.
        origins: Of these, by how their boxes came to be: detected, predicted, interpolated, skipped.
        sessions: Unbroken streams.
        first_ns: Wall time of the first frame, ns since 1970-01-01 UTC.
        last_ns: That of the last.
        boxes: On all frames together.
        classes: The same by class, most first.
        missing: Numbers of frames that are left out between the first and the last of each session.
        gaps: Places where they are.
        silent_s: Time without a frame, in the silences.
        silences: How often no frame came for long.
        ages: How old its frames were.
    """

    fleet: str
    camera_id: str
    frames: int
    origins: dict[str, int]
    sessions: int
    first_ns: int | None
    last_ns: int | None
    boxes: int
    classes: list[ClassCount]
    missing: int
    gaps: int
    silent_s: float
    silences: int
    ages: Ages | None

    @property
    def frame_hz(self) -> float | None:
        """Frames a second from the first to the last."""
        if self.first_ns is None or self.last_ns is None or self.last_ns <= self.first_ns:
            return None
        return (self.frames - 1) * 1e9 / (self.last_ns - self.first_ns)


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of a session that are not there.

    Attributes:
        fleet: The fleet.
        camera_id: The camera.
        session_id: The session.
        first_frame_id: The first that is missing.
        frames: How many are, from there on.
        at_ns: When the frame after them was captured.
    """

    fleet: str
    camera_id: str
    session_id: str
    first_frame_id: int
    frames: int
    at_ns: int | None


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A time without a frame of a camera.

    Attributes:
        fleet: The fleet.
        camera_id: The camera.
        from_ns: When the last frame before it was captured.
        seconds: How long it was until the next.
    """

    fleet: str
    camera_id: str
    from_ns: int
    seconds: float


class HourCount(msgspec.Struct, frozen=True, kw_only=True):
    """One camera in one hour.

    Attributes:
        hour_ns: When the hour begins, ns since 1970-01-01 UTC.
        fleet: The fleet.
        camera_id: The camera.
        frames: How many there were.
        boxes: Boxes by class.
    """

    hour_ns: int
    fleet: str
    camera_id: str
    frames: int
    boxes: dict[str, int]


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How it went in time, in steps of equal length.

    Attributes:
        step_ns: How long a step is.
        at_ns: Where each step begins.
        frames: Frames in each step, by camera as `CameraAccount` names it, with the fleet where there are several.
        boxes: Boxes in each step, by class, most first.
        ages: How old the frames of each step were; None in one without a frame.
    """

    step_ns: int
    at_ns: list[int]
    frames: dict[str, list[int]]
    boxes: dict[str, list[int]]
    ages: list[Ages | None]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Everything.

    Attributes:
        source: Where it was read, credentials masked.
        notes: What was left out, in a sentence each.
        frames: How many.
        boxes: On all frames together.
        first_ns: Wall time of the first frame, ns since 1970-01-01 UTC.
        last_ns: That of the last.
        ages: How old frames were.
        cameras: By fleet and name.
        classes: Of all cameras, most first.
        hours: By hour and camera.
        gaps: The largest.
        silences: The longest.
        silence_s: From which length on a time without a frame is one.
        course: How it went; None where times are not known.
    """

    source: str
    notes: list[str]
    frames: int
    boxes: int
    first_ns: int | None
    last_ns: int | None
    ages: Ages | None
    cameras: list[CameraAccount]
    classes: list[ClassCount]
    hours: list[HourCount]
    gaps: list[Gap]
    silences: list[Silence]
    silence_s: float
    course: Course | None

    def name_of(self, camera: OfCamera) -> str:
        """What a camera is called here: with its fleet where there are several."""
        several = len({one.fleet for one in self.cameras}) > 1
        return f"{camera.fleet}/{camera.camera_id}" if several else camera.camera_id
