"""What is kept of a fleet's events, by one process for all cameras. It may stall or die and costs a camera nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config.camera import Camera
from pipeline.config.evidence import EventEvidence
from pipeline.config.values import Fleet
from pipeline.evidence.process import run_evidence
from pipeline.evidence.spec import EvidenceSpec, Keeps, Watched
from pipeline.runscope import RunScope
from pipeline.supervise.child import Child, ProcessHost
from pipeline.supervise.members import Member, Members
from pipeline.supervise.status import ProcessStatus

NAME = "evidence"
SILENT_S = 20.0
"""Its loop turns ten times a second, or waits for a disk."""
ENDS = 2
"""With the rules, before the publisher: what is on disk at the end is told, too."""
ENDS_WITHIN_S = 1.5


class EvidenceMember(Member):
    """The process, and what it says of itself."""

    def __init__(self, spec: EvidenceSpec, host: ProcessHost) -> None:
        """Prepare; nothing runs yet."""
        self._spec = spec
        child = Child(NAME, run_evidence, self._arguments, SILENT_S, host)
        super().__init__("evidence", child, ends=ENDS, ends_within_s=ENDS_WITHIN_S)

    @property
    def status(self) -> ProcessStatus:
        """How its process is, and what it has kept."""
        child = self.child
        try:
            words = self._spec.report.read_text(encoding="utf-8")
        except OSError:
            words = ""
        return ProcessStatus(child.name, child.condition, child.pid, child.restarts, self.role, words)

    def _arguments(self) -> tuple[Any, ...]:
        return (self._spec,)


class EvidenceAtWork:
    """The process, as long as evidence is wanted. Not thread-safe."""

    def __init__(  # noqa: PLR0917
        self, fleet: Fleet, scope: RunScope, inbox: str, members: Members, host: ProcessHost, directory: Path
    ) -> None:
        """Note what is wanted; nothing runs before `start`.

        Args:
            fleet: The whole fleet.
            scope: The run, where cameras show their pictures.
            inbox: Where messages go to be published.
            members: Gets the process.
            host: How processes are made.
            directory: Where a relative folder begins.
        """
        self._scope, self._inbox, self._members, self._host = scope, inbox, members, host
        self._directory, self._endpoint, self._fleet = directory, "", fleet

    def start(self, endpoint: str) -> None:
        """Keep evidence of what is published there, if it is wanted."""
        self._endpoint = endpoint
        self._begin()

    def change(self, fleet: Fleet) -> None:
        """Be as this fleet file says; where it says the same of evidence, nothing is touched."""
        before, self._fleet = self._fleet, fleet
        if self._endpoint and wanted_of(before) != wanted_of(fleet):
            self._members.remove(NAME)
            self._begin()

    def _begin(self) -> None:
        settings, cameras = wanted_of(self._fleet)
        if settings is None or not cameras:
            return
        spec = EvidenceSpec(
            fleet=self._fleet.name,
            settings=settings,
            folder=(self._directory / settings.folder).absolute(),
            cameras=cameras,
            endpoint=self._endpoint,
            run=self._scope.directory,
            inbox=self._inbox,
            report=self._scope.directory / "evidence-words",
        )
        member = EvidenceMember(spec, self._host)
        self._members.add(member)
        member.child.start()


def wanted_of(fleet: Fleet) -> tuple[EventEvidence | None, dict[str, Watched]]:
    """What the fleet file says, and of which cameras' rules."""
    cameras = {}
    for camera_id, camera in fleet.cameras.items() if fleet.evidence is not None else ():
        rules = {name for name, rule in {**camera.zones, **camera.lines}.items() if rule.evidence}
        if rules:
            second = camera.evidence_url is not None
            cameras[camera_id] = Watched(frozenset(rules), second, keeps(camera), camera.privacy)
    return fleet.evidence, cameras


def keeps(camera: Camera) -> Keeps:
    """What may be kept of a camera's pictures; of what is detected, nothing as it came where anything is covered."""
    privacy = camera.privacy
    if privacy.clips == "none":
        return "nothing"
    return "covered" if privacy.any and (privacy.clips == "covered" or camera.evidence_url is None) else "as it came"
