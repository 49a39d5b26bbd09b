"""The words and numbers that messages are made of, with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SCHEMA = 1
"""The version of the messages here: readers of it read everything that has the same."""

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
