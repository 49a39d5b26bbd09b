"""What the control socket can be asked, carried out on a running fleet."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import msgspec

from pipeline.camera.evidence.clip import SUFFIXES
from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder
from pipeline.config import Fleet, load_fleet
from pipeline.config.edit import with_camera, without_camera
from pipeline.errors import ControlError
from pipeline.supervise.changes import Changes
from pipeline.supervise.control import ANSWER_S
from pipeline.supervise.rulebook import RuleBook
from pipeline.supervise.running import Running
from pipeline.supervise.supervisor import unknown_camera

A = TypeVar("A")


class Requests:
    """Carries out requests; every method may be called from any thread but the one that runs the fleet, and blocks."""

    def __init__(
        self, supervisor: Running, file: Path | None = None, load: Callable[[Path], Fleet] = load_fleet
    ) -> None:
        """Serve this fleet.

        Args:
            supervisor: Runs it.
            file: The fleet file, for `reload`; None where there is none.
            load: Reads it, as it was read at the start.
        """
        self._supervisor, self._file, self._load = supervisor, file, load
        self._began_ns = time.time_ns()
        self._rules = RuleBook()
        self._commands: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "status": lambda request: self.status(),
            "rules": lambda request: self._rules.answer(self._supervisor.fleet, request.get("known")),
            "reload": lambda request: msgspec.to_builtins(self.reload()),
            "camera-add": lambda request: msgspec.to_builtins(self.add(_name(request), _settings(request))),
            "camera-remove": lambda request: msgspec.to_builtins(self.remove(_name(request))),
            "camera-pause": lambda request: self.pause(_name(request)),
            "camera-resume": lambda request: self.resume(_name(request)),
            "drain": lambda request: self.drain(_name(request)),
            "clip": lambda request: msgspec.to_builtins(self.clip(_name(request), *_clip_of(request))),
        }

    def answer(self, request: Mapping[str, Any]) -> Any:
        """What JSON can say of the outcome.

        Raises:
            PipelineError: It is refused, and why.
        """
        command = self._commands.get(request["command"])
        if command is None:
            raise ControlError(f"unknown command “{request['command']}”; there is {', '.join(self._commands)}")
        return command(request)

    def status(self) -> dict[str, Any]:
        """The fleet and its processes; how its cameras are, they say themselves to every subscriber."""
        running, ready = self._supervisor, self._supervisor.ready
        return {
            "fleet": running.fleet.name,
            "file": None if self._file is None else str(self._file),
            "pid": os.getpid(),
            "began_ns": self._began_ns,
            "endpoint": None if ready is None else ready.endpoint,
            "json_endpoint": ready.json_endpoint or None if ready is not None else None,
            "page": running.page or None,
            "inside": None if ready is None else ready.inside,
            "limited": {} if ready is None else ready.limited,
            "workers": {} if ready is None else msgspec.to_builtins(ready.workers),
            "slo_p95_ms": running.fleet.slo.p95_ms,
            "max_loss": running.fleet.slo.max_loss,
            "cameras": list(running.fleet.cameras),
            "paused": sorted(running.paused),
            "boxes_live_ms": {name: camera.track.max_fill_ms for name, camera in running.fleet.cameras.items()},
            "shards": [msgspec.to_builtins(shard) for shard in running.shards],
            "scaling": running.scaling,
            "processes": [msgspec.to_builtins(process) for process in running.status()],
        }

    def reload(self, file: Path | None = None) -> Changes:
        """Run as the fleet file says now, or another one.

        Raises:
            ConfigError: The file has mistakes; the fleet stays as it is.
            ControlError: There is no file.
        """
        file = file or self._file
        if file is None:
            raise ControlError("this fleet was started without a file; add, remove or pause its cameras by name")
        fleet = self._load(file)
        return self._make(lambda running: running.apply(fleet))

    def add(self, camera_id: str, settings: Mapping[str, Any]) -> Changes:
        """Let a camera join; `settings` are the keys of a fleet file.

        Raises:
            ConfigError: There is one of that name, or a setting is wrong.
        """
        return self._make(lambda running: running.apply(with_camera(running.fleet, camera_id, settings)))

    def remove(self, camera_id: str) -> Changes:
        """Let a camera leave for good.

        Raises:
            ControlError: There is none of that name.
            ConfigError: It is the only one.
        """
        if camera_id not in self._supervisor.fleet.cameras:
            raise ControlError(unknown_camera(camera_id, self._supervisor.fleet))
        return self._make(lambda running: running.apply(without_camera(running.fleet, camera_id)))

    def pause(self, camera_id: str) -> None:
        """Let go of a camera and keep its settings.

        Raises:
            ControlError: There is none of that name.
        """
        self._make(lambda running: running.pause(camera_id))

    def resume(self, camera_id: str) -> None:
        """Take up a camera that was paused.

        Raises:
            ControlError: There is none of that name.
        """
        self._make(lambda running: running.resume(camera_id))

    def drain(self, node: str) -> str:
        """Empty a machine of a fleet over several: its cameras move to others without a gap; its id.

        Raises:
            ControlError: There is no such machine, or the fleet is on this one alone.
        """
        return self._make(lambda running: running.drain(node))

    def clip(self, camera_id: str, out: Path, from_ns: int, to_ns: int) -> Clip:
        """Write what is kept of a camera's `evidence_url`; blocks until it is on disk.

        Args:
            camera_id: Which camera.
            out: A new file, `.mp4` or `.mkv`.
            from_ns: Wall time of the beginning, ns since 1970-01-01 UTC; the clip begins with the key frame before.
            to_ns: And of the end; in the past.

        Raises:
            ControlError: There is none of that name, it keeps nothing of that time, or `out` cannot be written.
        """
        if out.suffix not in SUFFIXES:
            raise ControlError(f"{out}: a clip is a {' or '.join(SUFFIXES)} file; give it such a name")
        if out.exists():
            raise ControlError(f"{out} exists already; give another name, or remove it")
        with TemporaryDirectory(prefix="clip-", dir=self._supervisor.directory) as folder:
            order = ClipOrder(Path(folder) / f"clip{out.suffix}", from_ns, to_ns)
            clip = self._make(lambda running: running.order_clip(camera_id, order))()
            try:
                shutil.move(order.path, out)
            except OSError as error:
                raise ControlError(f"{out} cannot be written: {error.strerror}") from None
        return replace(clip, path=str(out))

    def _make(self, change: Callable[[Running], Future[A]]) -> A:
        """Have it made in the thread that runs the fleet; what came of it."""
        return self._supervisor.submit(change).result(ANSWER_S)


def _clip_of(request: Mapping[str, Any]) -> tuple[Path, int, int]:
    out, from_ns, to_ns = request.get("out"), request.get("from_ns"), request.get("to_ns")
    if not isinstance(out, str) or not isinstance(from_ns, int) or not isinstance(to_ns, int):
        raise ControlError("“out”, “from_ns” and “to_ns” say which file, and from when to when: ns since 1970, UTC")
    return Path(out), from_ns, to_ns


def _name(request: Mapping[str, Any]) -> str:
    name = request.get("name")
    if not isinstance(name, str):
        raise ControlError("“name” is missing: which camera?")
    return name


def _settings(request: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = request.get("settings")
    if not isinstance(settings, dict):
        raise ControlError('“settings” is missing: the camera\'s keys as in a fleet file, such as {"url": …}')
    return settings
