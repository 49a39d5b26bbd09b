"""Cameras' pictures for those who look: one subscription to each camera that is watched, whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import structlog
import zmq

from pipeline.errors import WireError
from pipeline.viewing import STILLS, UNITS, Shown, Still, Unit, Word, unpack, way_to
from pipeline.web.inlet import Inlets, subscriber
from pipeline.web.records import of_result, of_shown, of_still, of_unit
from pipeline.web.viewer import Viewer
from pipeline.wire import FrameResult, Message

log = structlog.get_logger()

Mode = Literal["units", "stills"]

QUEUE = 500
"""Pictures and words of one camera that may wait for the page: ten seconds."""
MOST_GROUP = 8 << 20
"""Bytes since the last key picture that are kept, so that who comes in their midst begins at once."""


class CameraView:
    """One camera and those who look at it. Not thread-safe; belongs to an event loop."""

    def __init__(self, directory: Path, camera_id: str, inlets: Inlets) -> None:
        """Connect; the camera makes nothing before somebody looks."""
        self._camera_id = camera_id
        self._viewers: dict[Viewer, Mode] = {}
        self._wanted: set[bytes] = set()
        self._last_unit = -1
        self._group: list[bytes] = []
        self._group_bytes = 0
        where, self._prefix = way_to(directory, camera_id)
        self._socket, self._inlets = subscriber(where, QUEUE), inlets
        inlets.add(self._socket, self._hear)

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return bool(self._viewers)

    def join(self, viewer: Viewer, mode: Mode) -> None:
        """Show it to this browser, from the last key picture on, or else by stills until there is one."""
        if self._viewers.get(viewer) == mode:
            return
        self._viewers[viewer] = mode
        if mode == "units":
            viewer.begin(self._camera_id)
            for number, record in enumerate(self._group):
                viewer.show(self._camera_id, record, key=number == 0)
        self._want()

    def leave(self, viewer: Viewer) -> None:
        """Show it no more."""
        self._viewers.pop(viewer, None)
        self._want()

    def tell(self, result: FrameResult) -> None:
        """What is known of one of its frames."""
        record = of_result(result)
        for viewer in self._viewers:
            viewer.show_alone(record)

    def close(self) -> None:
        """Let go of the camera."""
        self._inlets.remove(self._socket)

    def _want(self) -> None:
        """Ask the camera for what those who look need, and for nothing else."""
        modes = set(self._viewers.values())
        wanted = {UNITS} if "units" in modes else set()
        if "stills" in modes or ("units" in modes and not self._group):
            wanted.add(STILLS)
        for topic in wanted - self._wanted:
            self._socket.setsockopt(zmq.SUBSCRIBE, self._prefix + topic)
        for topic in self._wanted - wanted:
            self._socket.setsockopt(zmq.UNSUBSCRIBE, self._prefix + topic)
        self._wanted = wanted
        if UNITS not in wanted:
            self._forget_group()

    def _hear(self, batch: list[list[bytes]]) -> None:
        for parts in batch:
            try:
                self._take(unpack(parts[1]), parts[2])
            except (WireError, IndexError) as error:
                log.error("a camera's picture cannot be read and is passed over", why=str(error))

    def _take(self, word: Word, data: bytes) -> None:
        if isinstance(word, Unit):
            self._take_unit(word, data)
        elif isinstance(word, Shown):
            self._send_unit(of_shown(self._camera_id, word), key=False)
        else:
            self._take_still(word, data)

    def _take_unit(self, unit: Unit, data: bytes) -> None:
        follows, self._last_unit = unit.unit == self._last_unit + 1, unit.unit
        if unit.key:
            began = not self._group
            self._forget_group()
            self._send_unit(of_unit(self._camera_id, unit, data), key=True)
            if began:
                self._want()
        elif self._group and follows:
            self._send_unit(of_unit(self._camera_id, unit, data), key=False)
        else:
            self._forget_group()
            self._want()

    def _send_unit(self, record: bytes, *, key: bool) -> None:
        if not key and not self._group:
            return
        if self._group_bytes + len(record) <= MOST_GROUP:
            self._group.append(record)
            self._group_bytes += len(record)
        for viewer, mode in self._viewers.items():
            if mode == "units":
                viewer.show(self._camera_id, record, key=key)

    def _take_still(self, still: Still, jpeg: bytes) -> None:
        record = of_still(self._camera_id, still, jpeg)
        for viewer, mode in self._viewers.items():
            if mode == "stills" or not self._group:
                viewer.show_alone(record)

    def _forget_group(self) -> None:
        self._group, self._group_bytes = [], 0


class Watch:
    """All cameras that somebody looks at. Not thread-safe; belongs to an event loop."""

    def __init__(self, directory: Path, inlets: Inlets) -> None:
        """Nobody looks yet."""
        self._directory, self._inlets = directory, inlets
        self._views: dict[str, CameraView] = {}
        self._seen: dict[Viewer, frozenset[str]] = {}

    def look(self, viewer: Viewer, wants: Mapping[str, Mode]) -> None:
        """Show a browser these cameras from now on, and no others."""
        for camera_id in self._seen.get(viewer, frozenset()) - wants.keys():
            self._leave(viewer, camera_id)
        self._seen[viewer] = frozenset(wants)
        for camera_id, mode in wants.items():
            if camera_id not in self._views:
                self._views[camera_id] = CameraView(self._directory, camera_id, self._inlets)
            self._views[camera_id].join(viewer, mode)

    def leave(self, viewer: Viewer) -> None:
        """A browser looks at nothing any more."""
        self.look(viewer, {})
        self._seen.pop(viewer, None)

    def hear(self, message: Message) -> None:
        """What the fleet says; results of cameras that somebody looks at go to the browsers."""
        if isinstance(message, FrameResult) and (view := self._views.get(message.camera_id)) is not None:
            view.tell(message)

    def cameras_of(self, viewer: Viewer) -> set[str]:
        """What a browser is shown."""
        return set(self._seen.get(viewer, ()))

    def close(self) -> None:
        """Let go of all cameras."""
        for view in self._views.values():
            view.close()
        self._views.clear()

    def _leave(self, viewer: Viewer, camera_id: str) -> None:
        view = self._views[camera_id]
        view.leave(viewer)
        if not view.watched:
            view.close()
            del self._views[camera_id]
