"""The processes of a fleet as the supervisor sees them, and what each is by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from pipeline.sink.report import SinkFigures
from pipeline.supervise.child import Condition

Role = Literal["worker", "publisher", "camera", "sink", "page", "proxy", "events", "evidence"]


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of the fleet.

    Attributes:
        name: Its role, and which of several it is: `worker` (`worker cuda:0` and `worker cuda:1` where there are two
            devices), `publisher`, `camera gate`, `sink archive`, `page`, `proxy`, `events`,
            `evidence`.
        condition: What is going on with it.
        pid: Its process id while it runs.
        restarts: How often it was started again.
        role: What it does.
        detail: What it says of itself, in one sentence; empty where it has nothing to say.
        sink: How it does, of a sink that has said so.
    """

    name: str
    condition: Condition
    pid: int | None
    restarts: int
    role: Role
    detail: str = ""
    sink: SinkFigures | None = None


def role_of(name: str) -> Role | None:
    """What a process does, by its name; None for one that is not of a fleet."""
    role = name.partition(" ")[0]
    return cast(Role, role) if role in get_args(Role) else None
