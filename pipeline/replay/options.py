"""What a replay is to serve, and under which names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import ReplayError

DEFAULT_PORT = 8554

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """The recordings to serve and where; `cameras` None means one per recording, `port` 0 means any free one."""

    files: tuple[Path, ...]
    cameras: int | None = None
    port: int = DEFAULT_PORT
    bind: str = "127.0.0.1"
    loop: bool = False

    def __post_init__(self) -> None:
        if not self.files:
            raise ReplayError("nothing to replay: give at least one recording")
        if self.cameras is not None and self.cameras < 1:
            raise ReplayError(f"{self.cameras} cameras cannot be served: give 1 or more")
        if not 0 <= self.port <= 65535:
            raise ReplayError(f"port {self.port} does not exist: give 1 to 65535, or 0 for any free one")

    def to_json(self) -> str:
        """These options as text, for a child process; `from_json` is the way back."""
        return json.dumps({**asdict(self), "files": [str(file) for file in self.files]})

    @classmethod
    def from_json(cls, text: str) -> ReplayOptions:
        """The options that `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "files": tuple(map(Path, fields["files"]))})


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera to be: its name, its recording, and where in it to begin, as a share of its length (0 to below 1)."""

    name: str
    file: Path
    start_share: float


def plan_cameras(files: Sequence[Path], cameras: int | None) -> tuple[CameraPlan, ...]:
    """Cameras over files in turn; those that share a file begin evenly spread over it.

    Example:
        >>> [(plan.name, plan.start_share) for plan in plan_cameras([Path("gate.mp4"), Path("yard.mp4")], 3)]
        [('gate', 0.0), ('yard', 0.0), ('gate-2', 0.5)]
    """
    count = len(files) if cameras is None else cameras
    plans: list[CameraPlan] = []
    taken: set[str] = set()
    for index in range(count):
        round_, position = divmod(index, len(files))
        sharing = len(range(position, count, len(files)))
        name = _free_name(camera_name(files[position]), taken)
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
