"""The rules of a running fleet: one process that judges all cameras. It may stall or die and costs a camera nothing."""

from __future__ import annotations

from typing import Any

from pipeline.config.rules import Rules
from pipeline.config.values import Fleet
from pipeline.events.process import run_events
from pipeline.events.spec import EventsSpec
from pipeline.runscope import RunScope
from pipeline.statefolder import state_folder
from pipeline.supervise.child import Child, ProcessHost
from pipeline.supervise.members import Member, Members

NAME = "events"
SILENT_S = 20.0
"""Its loop turns ten times a second, or waits for a disk."""
ENDS = 2
"""Behind the workers, which end as number 1, and before the publisher: the last frames are judged, too."""
ENDS_WITHIN_S = 1.0


class RulesAtWork:
    """The process, as long as there are rules. Not thread-safe."""

    def __init__(self, fleet: Fleet, scope: RunScope, inbox: str, members: Members, host: ProcessHost) -> None:
        """Note them; nothing runs before `start`.

        Args:
            fleet: The whole fleet.
            scope: The run, where the publisher is asked for what was missed.
            inbox: Where events go to be published.
            members: Gets the process.
            host: How processes are made.
        """
        self._fleet_name, self._scope, self._inbox = fleet.name, scope, inbox
        self._members, self._host = members, host
        self._rules = rules_of(fleet)
        self._endpoint = ""

    def start(self, endpoint: str) -> None:
        """Judge what is published there, if there are rules."""
        self._endpoint = endpoint
        if self._rules:
            self._begin()

    def change(self, fleet: Fleet) -> None:
        """Judge by this fleet file; where its rules are the same, nothing is touched."""
        before, self._rules = self._rules, rules_of(fleet)
        if not self._endpoint or before == self._rules:
            return
        # What it remembers is on disk, and rules that are the same go on by that.
        self._members.remove(NAME)
        if self._rules:
            self._begin()

    def _begin(self) -> None:
        child = Child(NAME, run_events, self._arguments, SILENT_S, self._host)
        member = Member("events", child, ends=ENDS, ends_within_s=ENDS_WITHIN_S)
        self._members.add(member)
        child.start()

    def _arguments(self) -> tuple[Any, ...]:
        spec = EventsSpec(
            rules=self._rules,
            endpoint=self._endpoint,
            folder=self._scope.directory,
            inbox=self._inbox,
            memory=state_folder(self._fleet_name, "events", "memory"),
        )
        return (spec,)


def rules_of(fleet: Fleet) -> dict[str, Rules]:
    """The rules of each camera that has some."""
    return {camera_id: camera.rules for camera_id, camera in fleet.cameras.items() if camera.rules.any}
