"""Every process of a fleet in one list: what each is, how it is looked after, and in which order they end.

A new kind of process is a new member: a child, the role it plays, the exit codes that mean it has done its work, its
place in the order of ending, and, where others depend on it, the word that it is ready (`service.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from itertools import groupby
from multiprocessing.connection import Connection
from typing import Any

import structlog

from pipeline.clock import NS_PER_S, Clock
from pipeline.supervise.child import Child
from pipeline.supervise.status import ProcessStatus, Role

log = structlog.get_logger()

PAUSE_S = 2.0
"""A supervisor that has not tended its members for so long did not run: it does so twice a second."""
LEAVING_S = 1.0
"""How long a member that was removed may take to end by itself."""


class Member:
    """One process and what it is to the fleet. Not thread-safe.

    Attributes:
        role: What it does.
        child: The process.
        ends: Its place in the order of ending: members of a lower number end before others are asked to.
        ends_within_s: How long it may take to end by itself, s.
    """

    def __init__(
        self, role: Role, child: Child, *, finished: Container[int] = (), ends: int = 0, ends_within_s: float = 1.0
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            role: What it does.
            child: The process.
            finished: Exit codes that mean that it has done its work.
            ends: Its place in the order of ending.
            ends_within_s: How long it may take to end by itself, s.
        """
        self.role, self.child = role, child
        self.ends, self.ends_within_s = ends, ends_within_s
        self._finished = finished

    @property
    def name(self) -> str:
        """For people, and unique: `camera gate`, `worker`."""
        return self.child.name

    @property
    def awaited(self) -> Connection | None:
        """Becomes readable when it says its word; None if there is nothing to wait for."""
        return None

    @property
    def status(self) -> ProcessStatus:
        """How its process is."""
        child = self.child
        return ProcessStatus(child.name, child.condition, child.pid, child.restarts, self.role)

    def tend(self, free: Callable[[], None]) -> None:
        """Look after it once; `free` frees what dead processes held."""
        if self.child.hung:
            log.warning(f"{self.name} hangs and is ended", pid=self.child.pid)
            self.child.kill()
        self.child.look_after(free, self._finished)

    def close(self) -> None:
        """Let go of what its process was given; it has ended."""


class Members:
    """Those of a running fleet, in the order in which they joined. Not thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._members: dict[str, Member] = {}
        self._leaving: dict[str, tuple[Member, float]] = {}
        self._tended_s = self._now_s()

    def add(self, member: Member) -> None:
        """Tend it from now on; it is started by whoever adds it."""
        self._members[member.name] = member

    def remove(self, name: str) -> None:
        """Ask it to end, and tend it no more; does not wait. Without effect on one that is not there."""
        member = self._members.pop(name, None)
        if member is None:
            return
        member.child.terminate()
        # A name that comes again at once (a camera that is started anew) must not lose sight of the one that leaves.
        self._leaving[f"{name} {self._clock.monotonic_ns()}"] = (member, self._now_s() + LEAVING_S)

    def get(self, name: str) -> Member | None:
        """The member of that name."""
        return self._members.get(name)

    def of(self, role: Role) -> list[Member]:
        """All of one role."""
        return [member for member in self._members.values() if member.role == role]

    @property
    def status(self) -> list[ProcessStatus]:
        """How every process is."""
        return [member.status for member in self._members.values()]

    def awaited(self) -> list[Any]:
        """What becomes readable when a member needs attention."""
        everyone = [*self._members.values(), *(member for member, _ in self._leaving.values())]
        sentinels = [member.child.sentinel for member in everyone if member.child.sentinel is not None]
        return [*sentinels, *(member.awaited for member in self._members.values() if member.awaited is not None)]

    def due_s(self) -> list[float]:
        """When members are to be started again, monotonic s."""
        due = [member.child.restart_due_s for member in self._members.values()]
        return [at_s for at_s in due if at_s is not None]

    def tend(self, free: Callable[[], None]) -> None:
        """Look after every member once, and after those that leave."""
        self._note_pause()
        for member in list(self._members.values()):
            member.tend(free)
        for key, (member, until_s) in list(self._leaving.items()):
            if member.child.pid is not None and self._now_s() > until_s:
                member.child.kill()
            if member.child.pid is None or member.child.reap() is not None:
                member.close()
                del self._leaving[key]
                free()

    def end(self) -> None:
        """Ask everyone to end, in their order, and wait; who takes too long is killed. May be called again."""
        everyone = [*self._members.values(), *(member for member, _ in self._leaving.values())]
        for _, group in groupby(sorted(everyone, key=lambda member: member.ends), lambda member: member.ends):
            self._end(list(group))
        self._leaving.clear()

    def _note_pause(self) -> None:
        """A machine that slept, or a supervisor that was stopped, has not heard hearts that may well have beaten."""
        before_s, self._tended_s = self._tended_s, self._now_s()
        if self._tended_s - before_s > PAUSE_S:
            for member in self._members.values():
                member.child.forgive()

    def _end(self, members: Iterable[Member]) -> None:
        members = list(members)
        for member in members:
            member.child.terminate()
        until_s = self._now_s() + max(member.ends_within_s for member in members)
        for member in members:
            if not member.child.join(until_s - self._now_s()):
                member.child.kill()
                member.child.join(member.ends_within_s)
            member.child.reap()
            member.close()

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
