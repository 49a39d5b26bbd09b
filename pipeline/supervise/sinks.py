"""The sinks of a running fleet: a process for each. One that is away, hung or given up stops nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.choice import what_is_missing
from pipeline.config.values import Fleet
from pipeline.errors import ConfigError
from pipeline.runscope import RunScope
from pipeline.sink.feed import SinkSpec
from pipeline.sink.process import run_sink
from pipeline.sink.protocol import Place
from pipeline.sink.report import read_figures
from pipeline.statefolder import state_folder
from pipeline.supervise.child import Child, ProcessHost
from pipeline.supervise.members import Member, Members
from pipeline.supervise.status import ProcessStatus

SILENT_S = 20.0
"""A sink's loop turns four times a second, or waits for a disk."""
ENDS_WITHIN_S = 1.0
"""How long a sink may take to end by itself, after the publisher's last messages."""
ENDS = 4
"""Behind the publisher, which ends as number 3."""


class SinkMember(Member):
    """A sink's process, and what it says of itself."""

    def __init__(self, spec: SinkSpec, host: ProcessHost) -> None:
        """Prepare; nothing runs yet."""
        self._spec = spec
        child = Child(f"sink {spec.place.name}", run_sink, self._arguments, SILENT_S, host)
        super().__init__("sink", child, ends=ENDS, ends_within_s=ENDS_WITHIN_S)

    @property
    def status(self) -> ProcessStatus:
        """How its process is, and what waits."""
        child, figures = self.child, None if self._spec.report is None else read_figures(self._spec.report)
        words = "" if figures is None else figures.words
        return ProcessStatus(child.name, child.condition, child.pid, child.restarts, self.role, words, figures)

    def _arguments(self) -> tuple[Any, ...]:
        # What the life before has said of itself is over.
        if self._spec.report is not None:
            self._spec.report.unlink(missing_ok=True)
        return (self._spec,)


class Sinks:
    """All sinks of the fleet. Not thread-safe."""

    def __init__(self, fleet: Fleet, scope: RunScope, members: Members, host: ProcessHost, directory: Path) -> None:
        """Note them; they join with `start`.

        Args:
            fleet: The whole fleet.
            scope: The run, where they say how they do.
            members: Gets each sink.
            host: How processes are made.
            directory: Where relative paths in their settings begin.
        """
        self._wanted, self._name = dict(fleet.sinks), fleet.name
        self._scope, self._members, self._host, self._directory = scope, members, host, directory
        self._running: dict[str, SinkSettings] = {}
        self._endpoint = ""

    def start(self, endpoint: str) -> None:
        """Let all of them join and subscribe there."""
        self._endpoint = endpoint
        self._reports.mkdir(exist_ok=True)
        self._follow()

    def change(self, fleet: Fleet) -> None:
        """Be as this fleet file says; a sink whose settings are the same is not touched."""
        self._wanted = dict(fleet.sinks)
        if self._endpoint:
            self._follow()

    def _follow(self) -> None:
        for name, settings in list(self._running.items()):
            if self._wanted.get(name) != settings:
                self._members.remove(f"sink {name}")
                (self._reports / name).unlink(missing_ok=True)
                del self._running[name]
        for name, settings in self._wanted.items():
            if name not in self._running:
                self._running[name] = settings
                self._begin(name, settings)

    def _begin(self, name: str, settings: SinkSettings) -> None:
        spec = SinkSpec(
            settings=settings,
            place=Place(name, self._name, self._directory),
            endpoint=self._endpoint,
            spool=state_folder(self._name, "sinks", name),
            run=self._scope.run_id,
            folder=self._scope.directory,
            report=self._reports / name,
        )
        member = SinkMember(spec, self._host)
        self._members.add(member)
        member.child.start()

    @property
    def _reports(self) -> Path:
        return self._scope.directory / "sinks"


def require_libraries(fleet: Fleet) -> None:
    """Make sure that what the sinks need is installed; the fleet file is not known here, or was made in Python.

    Raises:
        ConfigError: Something is missing; the message says what, and how it is installed.
    """
    missing = {name: words for name, settings in fleet.sinks.items() if (words := what_is_missing(settings))}
    if missing:
        raise ConfigError("; ".join(f"sink “{name}”: {words}" for name, words in missing.items()))
