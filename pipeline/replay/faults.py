"""What may go wrong with a camera, each by a name, and which of it goes wrong at this moment.

A fault belongs to one camera and lasts for some seconds; several may overlap. What follows from it is done where it
happens: pictures in `camera`, the network in `link`, connections in `connection` and `server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import msgspec

from pipeline.errors import ReplayError
from pipeline.foreign import UNREADABLE

FaultName = Literal[
    "silence",
    "refuse",
    "freeze",
    "disconnect",
    "reset",
    "wrong_password",
    "delay",
    "bandwidth",
    "loss",
    "corrupt",
    "no_key_frame",
    "resolution",
    "frame_rate",
    "time_jump",
    "key_frame_pause",
    "slow",
]

FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)
# At their beginning all clients are disconnected, as a fleet that is connected already would notice nothing of them.
DISCONNECTING: frozenset[FaultName] = frozenset({"refuse", "disconnect", "reset", "wrong_password", "no_key_frame"})
# These are over as soon as they have happened, whatever `seconds` says.
MOMENTARY: frozenset[FaultName] = frozenset({"disconnect", "reset"})
SLOW_FPS = 2.0

_MAX_DELAY_MS = 60_000.0
_MAX_FPS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameters:
    """What some faults need besides their name; the others do not look at it.

    Attributes:
        answers: silence: RTSP requests are answered; only pictures and reports stay away.
        delay_ms: delay: how much later everything arrives.
        jitter_ms: delay: how much more than `delay_ms` at most, evenly distributed; the order is kept.
        kbit_s: bandwidth: what the camera's line carries; more than two seconds' worth is not queued but lost.
        loss_share: loss: share of RTP packets that vanish, 0 to 1.
        reorder_share: loss: share of RTP packets that change places with the following one, 0 to 1.
        corrupt_share: corrupt: share of RTP packets with one wrong byte in the payload, 0 to 1.
        file: resolution: the recording of another size, in the same codec, that is shown instead.
        fps: frame_rate: pictures a second; every picture of the recording is shown, so motion is slower or faster.
        jump_s: time_jump: how far the camera's clock jumps, RTP timestamps and sender reports alike; may be negative.
        pause_ms: key_frame_pause: how long the line stalls at a key frame; what has waited comes in a burst, and the
            line flows for half a second at least.
    """

    answers: bool = False
    delay_ms: float = 300.0
    jitter_ms: float = 0.0
    kbit_s: float = 500.0
    loss_share: float = 0.05
    reorder_share: float = 0.0
    corrupt_share: float = 0.05
    file: str = ""
    fps: float = 10.0
    jump_s: float = 3600.0
    pause_ms: float = 450.0


@dataclass(frozen=True, slots=True)
class Fault(_Parameters):
    """One thing that goes wrong with one camera for `seconds`, and is mended then.

    - silence: connections are accepted, and requests taken, but nothing is ever sent.
    - refuse: nobody is let in: the connection is closed at the first request; with ports of their own, the port is.
    - freeze: the last key frame is shown over and over, with time going on.
    - disconnect, reset: all connections are closed, by FIN or by RST; clients may come back at once.
    - wrong_password: every request is answered with 401.
    - delay, bandwidth, loss, corrupt: the line is bad. Lost packets are lost over TCP, too.
    - no_key_frame: clients come in at any picture, and key frames are withheld; of Motion JPEG, all pictures.
    - resolution: pictures of another recording come instead, of another size.
    - frame_rate, slow: fewer or more pictures a second; slow is 2.
    - time_jump: the camera's clock is wrong by `jump_s`; with `seconds` 0, for ever.
    - key_frame_pause: each key frame takes long; of Motion JPEG, one or two pictures a second.

    Raises:
        ReplayError: there is no such fault, or a parameter is out of range.

    Example:
        >>> Fault("delay", 10, delay_ms=200, jitter_ms=50).name
        'delay'
    """

    name: FaultName
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in FAULT_NAMES:
            raise ReplayError(f"there is no fault {self.name!r}; choose one of {', '.join(FAULT_NAMES)}")
        if not 0 <= self.seconds < float("inf"):
            raise ReplayError(f"{self.name}: seconds must be 0 or more, not {self.seconds}")
        for parameter, low, high in _RANGES:
            value = getattr(self, parameter)
            if not low <= value <= high:
                raise ReplayError(f"{self.name}: {parameter} must be {low:g} to {high:g}, not {value}")
        if self.name == "resolution" and not self.file:
            raise ReplayError("resolution: needs `file`, a recording of another size in the same codec")


_RANGES = (
    ("delay_ms", 0, _MAX_DELAY_MS),
    ("jitter_ms", 0, _MAX_DELAY_MS),
    ("kbit_s", 1, 1e9),
    ("loss_share", 0, 1),
    ("reorder_share", 0, 1),
    ("corrupt_share", 0, 1),
    ("fps", 0.1, _MAX_FPS),
    ("jump_s", -1e9, 1e9),
    ("pause_ms", 0, _MAX_DELAY_MS),
)


@dataclass(frozen=True, slots=True)
class Order:
    """A fault for one camera on its way to the server's process; `to_line` and `from_line` belong together."""

    camera: str
    fault: Fault

    def to_line(self) -> bytes:
        """One line of JSON."""
        return msgspec.json.encode(self) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Order:
        """The order that `to_line` wrote.

        Raises:
            ReplayError: the line is none.
        """
        try:
            return msgspec.json.decode(line, type=cls)
        except UNREADABLE as error:
            raise ReplayError(f"no order to a replay server: {error}") from error


def check_fault(fault: Fault, cameras: tuple[str, ...], camera: str) -> None:
    """Whether `camera` can have this fault.

    Raises:
        ReplayError: there is no such camera, or the fault's file is not there.
    """
    if camera not in cameras:
        raise ReplayError(f"no camera {camera!r} is served; there are {', '.join(cameras)}")
    if fault.name == "resolution" and not Path(fault.file).is_file():
        raise ReplayError(f"resolution: {fault.file}: no such file; give a recording of another size")


class ActiveFaults:
    """The faults of one camera that last at this moment; each ends by itself. Belongs to the running asyncio loop."""

    def __init__(self) -> None:
        self._active: dict[FaultName, Fault] = {}
        self._ends: dict[FaultName, asyncio.TimerHandle] = {}

    def get(self, name: FaultName) -> Fault | None:
        """The fault of that name, while it lasts."""
        return self._active.get(name)

    def begin(self, fault: Fault, on_end: Callable[[Fault], None]) -> None:
        """Let `fault` last for its seconds, in place of one of the same name; `on_end` is called when it is over."""
        self.end(fault.name)
        self._active[fault.name] = fault
        if fault.name == "time_jump" and not fault.seconds:
            return
        seconds = 0.0 if fault.name in MOMENTARY else fault.seconds
        self._ends[fault.name] = asyncio.get_running_loop().call_later(seconds, self._end, fault, on_end)

    def end(self, name: FaultName) -> None:
        """End a fault before its time; nothing is called. Harmless when there is none."""
        if (ending := self._ends.pop(name, None)) is not None:
            ending.cancel()
        self._active.pop(name, None)

    def clear(self) -> None:
        """Forget all of them; nothing more is called."""
        for ending in self._ends.values():
            ending.cancel()
        self._ends.clear()
        self._active.clear()

    def _end(self, fault: Fault, on_end: Callable[[Fault], None]) -> None:
        self.end(fault.name)
        on_end(fault)
