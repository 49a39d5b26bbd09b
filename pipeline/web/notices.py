"""What has happened to the fleet itself, in words: cameras that came and went, promises broken, processes.

What happens in its pictures, in zones and at lines, is an `Event` of `pipeline.wire.event`.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

from pipeline.wire import CameraState, FleetState, Message, State

MOST = 300
"""That are kept for browsers that come later."""
SURE_S = 3
"""Words of the fleet, one a second, that agree before a promise counts as broken, or as kept again."""
_GOOD: frozenset[State] = frozenset({"live"})
_BAD: frozenset[State] = frozenset({"blind", "failed", "retrying"})

Level = Literal["good", "warn", "bad", "plain"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a camera, a process, or the promise.

    Attributes:
        at_ns: Wall time, ns since 1970-01-01 UTC.
        about: `camera`, `promise` or `process`.
        name: Of the camera or process.
        level: How good or bad it is.
        what: In a few words.
        detail: Why, and what to do; may be empty.
    """

    at_ns: int
    about: Literal["camera", "promise", "process"]
    name: str
    level: Level
    what: str
    detail: str = ""


class Notices:
    """Pure: messages in, notices out. Not thread-safe.

    Attributes:
        newest: The last of them, oldest first.
    """

    def __init__(self) -> None:
        """Nothing has happened."""
        self.newest: deque[Notice] = deque(maxlen=MOST)
        self._states: dict[str, State] = {}
        self._broken: dict[str, int] = {}
        self._restarts: dict[str, tuple[int, str]] = {}

    def hear(self, message: Message) -> list[Notice]:
        """What has happened, by what this message says."""
        found: list[Notice] = []
        if isinstance(message, CameraState):
            found = self._of_camera(message)
        elif isinstance(message, FleetState):
            found = [*self._of_promise(message), *self._of_processes(message)]
        self.newest.extend(found)
        return found

    def _of_camera(self, state: CameraState) -> list[Notice]:
        before = self._states.get(state.camera_id)
        self._states[state.camera_id] = state.state
        if before == state.state or (before is None and state.state == "connecting"):
            return []
        level: Level = "good" if state.state in _GOOD else "bad" if state.state in _BAD else "plain"
        if state.state == "degraded":
            level = "warn"
        what = f"is {state.state}" if state.state != "removed" else "was removed"
        notice = Notice(
            at_ns=state.at_ns or state.since_ns,
            about="camera",
            name=state.camera_id,
            level=level,
            what=what,
            detail=state.detail,
        )
        return [notice]

    def _of_promise(self, state: FleetState) -> list[Notice]:
        found = []
        for name in {*self._broken, *state.broken_by}:
            before = self._broken.get(name, 0)
            after = self._broken[name] = max(0, before) + 1 if name in state.broken_by else min(0, before) - 1
            if after == SURE_S:
                found.append(self._promise(state, name, "warn", "does not keep the promise", state.broken_by[name]))
            elif after == -SURE_S:
                found.append(self._promise(state, name, "good", "keeps the promise again", ""))
                del self._broken[name]
        return found

    @staticmethod
    def _promise(state: FleetState, name: str, level: Level, what: str, why: str) -> Notice:
        return Notice(at_ns=state.at_ns, about="promise", name=name, level=level, what=what, detail=why)

    def _of_processes(self, state: FleetState) -> list[Notice]:
        found = []
        for process in state.processes:
            before = self._restarts.get(process.name)
            now = self._restarts[process.name] = (process.restarts, process.condition)
            if before is None or before == now:
                continue
            if process.condition == "given up":
                found.append(self._process(state, process.name, "bad", "is given up", process.detail))
            elif now[0] > before[0]:
                found.append(self._process(state, process.name, "warn", "was started again", process.detail))
        return found

    @staticmethod
    def _process(state: FleetState, name: str, level: Level, what: str, why: str) -> Notice:
        return Notice(at_ns=state.at_ns, about="process", name=name, level=level, what=what, detail=why)
