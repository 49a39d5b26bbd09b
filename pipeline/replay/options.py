"""What a replay is to serve, and under which names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import msgspec

from pipeline.errors import ReplayError
from pipeline.redact import printable
from pipeline.rtsp.auth import Login

Pacing = Literal["recorded", "even"]

SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".avi", ".ts", ".webm", ".m4v"})
"""How files in a folder are called that are taken for recordings."""
KEY_FRAMES_WITHIN_S = 1.0
_GOLDEN = 0.618034
"""Multiples of the golden ratio fill an interval evenly, however many there are."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Playback:
    """How recordings are played.

    Attributes:
        loop: Begin again at the end, and run whether anybody watches. Without it each recording starts with its first
            client, and the server ends when all have been played.
        speed: How many times faster than recorded.
        fps: Pictures a second, whatever the recording has; every picture is shown, so motion changes its speed. Not
            together with `speed`.
        paced: As recorded, with all its irregularities, or evenly by the mean frame rate.
        offset_s: How much later in the recording each camera begins than the one before; None spreads those that share
            a file over it.
    """

    loop: bool = True
    speed: float = 1.0
    fps: float | None = None
    paced: Pacing = "recorded"
    offset_s: float | None = None
    together: bool = False

    def __post_init__(self) -> None:
        if not 0.01 <= self.speed <= 100:
            raise ReplayError(f"speed {self.speed:g} cannot be played: give 0.01 to 100")
        if self.fps is not None and not 0.1 <= self.fps <= 1000:
            raise ReplayError(f"{self.fps:g} pictures a second cannot be played: give 0.1 to 1000")
        if self.fps is not None and self.speed != 1:
            raise ReplayError("fps and speed contradict each other: give one of them")
        if self.paced not in get_args(Pacing):
            raise ReplayError(f"there is no pacing {self.paced!r}: choose recorded or even")
        if self.offset_s is not None and not 0 <= self.offset_s <= 1e6:
            raise ReplayError(f"an offset of {self.offset_s:g} s cannot be: give 0 or more")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """The recordings to serve, where and how.

    Attributes:
        files: Recordings in H.264, HEVC, MPEG-4 part 2 or MJPEG; audio is left out.
        cameras: How many cameras; files repeat under other names (`gate`, `gate-2`) and from other places. None means
            one per recording.
        names: What the cameras are called, the first ones if there are more; else by their recordings.
        port: TCP port; 0 means any free one.
        bind: Address to listen on.
        playback: How they are played.
        login: Who may watch.
        own_ports: A TCP port for each camera, `port` and those after it, so that one of them can be closed.
        departures: File for `pipeline.replay.departures`; None for none.
    """

    files: tuple[Path, ...]
    cameras: int | None = None
    port: int = 0
    bind: str = "127.0.0.1"
    playback: Playback = Playback()
    login: Login = field(default_factory=Login)
    own_ports: bool = False
    departures: Path | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.files:
            raise ReplayError("nothing to replay: give at least one recording")
        if self.cameras is not None and self.cameras < 1:
            raise ReplayError(f"{self.cameras} cameras cannot be served: give 1 or more")
        if not 0 <= self.port <= 65535:
            raise ReplayError(f"port {self.port} does not exist: give 1 to 65535, or 0 for any free one")
        _check_names(self.names, self.cameras or len(self.files))

    def plan(self) -> tuple[CameraPlan, ...]:
        """The cameras to be."""
        return plan_cameras(self.files, self.cameras, self.names)

    def to_json(self) -> bytes:
        """These options as one line of text, password included, for a child process; `from_json` is the way back."""
        return msgspec.json.encode(self, enc_hook=str)

    @classmethod
    def from_json(cls, text: bytes) -> ReplayOptions:
        """The options that `to_json` wrote."""
        return msgspec.json.decode(text, type=cls, dec_hook=_from_text)


def _from_text(kind: type, value: object) -> object:
    return kind(value)


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera to be: its name, its recording, and where in it to begin, as a share of its length (0 to below 1)."""

    name: str
    file: Path
    start_share: float


def _check_names(names: Sequence[str], cameras: int) -> None:
    if len(names) > cameras:
        raise ReplayError(f"there are {len(names)} names for {cameras} cameras: leave some out, or give --cameras")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ReplayError(f"a camera cannot be called {printable(name)!r}: expected letters, digits, “_”, “.”, “-”")
        if names.count(name) > 1:
            raise ReplayError(f"two cameras cannot both be called {name!r}")


def plan_cameras(files: Sequence[Path], cameras: int | None, names: Sequence[str] = ()) -> tuple[CameraPlan, ...]:
    """Cameras over files in turn; those that share a file begin evenly spread over it.

    Those that have no name of `names` are called by their files.

    Example:
        >>> [(plan.name, plan.start_share) for plan in plan_cameras([Path("gate.mp4"), Path("yard.mp4")], 3)]
        [('gate', 0.0), ('yard', 0.0), ('gate-2', 0.5)]
    """
    count = len(files) if cameras is None else cameras
    plans: list[CameraPlan] = []
    taken = set(names)
    for index in range(count):
        round_, position = divmod(index, len(files))
        sharing = len(range(position, count, len(files)))
        name = names[index] if index < len(names) else _free_name(camera_name(files[position]), taken)
        taken.add(name)
        plans.append(CameraPlan(name, files[position], round_ / sharing))
    return tuple(plans)


def camera_name(file: Path) -> str:
    """The file's name without its ending, with what would need quoting in a URL replaced by `-`."""
    return _NOT_IN_A_NAME.sub("-", file.stem).strip("-.") or "camera"


def _free_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def phase_s(index: int, count: int, fps: float) -> float:
    """How much later than the first the camera `index` of `count` starts, s.

    Frame times are spread evenly over one frame interval. Key frames, which cost most to decode, are spread over
    `KEY_FRAMES_WITHIN_S`: real cameras do not send theirs in the same instant.
    """
    whole_frames = int(index * _GOLDEN % 1 * KEY_FRAMES_WITHIN_S * fps)
    return (whole_frames + index / count) / fps
