"""The WebSocket of the page: one for each browser, for everything that moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from pipeline.web import control
from pipeline.web.happened import Happened
from pipeline.web.hearing import Heard
from pipeline.web.history import History
from pipeline.web.inlet import Inlets
from pipeline.web.notices import Notice, Notices
from pipeline.web.records import record
from pipeline.web.rules import AskedRules
from pipeline.web.viewer import Viewer
from pipeline.web.watch import Mode, Watch
from pipeline.wire import CameraState, FleetState, Message

MOST_VIEWERS = 32
MOST_CAMERAS = 256
"""That one browser may watch at once."""
TRY_LATER = 1013
"""WebSocket close codes of RFC 6455's registry: too many, or what was said is not understood."""
UNREADABLE = 1007

Name = Annotated[str, msgspec.Meta(max_length=63)]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser says: how many messages it has read, or what it shows from now on."""

    ack: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    watch: Annotated[dict[Name, Mode], msgspec.Meta(max_length=MOST_CAMERAS)] | None = None


_said = msgspec.json.Decoder(Said)
_encode = msgspec.json.encode


class Live:
    """All browsers of a page. Not thread-safe; belongs to an event loop.

    Attributes:
        history: The last minutes of every camera.
    """

    def __init__(self, heard: Heard, inlets: Inlets, directory: Path, *, may_change: bool) -> None:
        """Nobody looks yet.

        Args:
            heard: What is known of the fleet.
            inlets: Read the cameras' pictures, while somebody looks.
            directory: The run's.
            may_change: Whether browsers may pause cameras and apply the fleet file.
        """
        self.history = History()
        self._heard, self._directory, self._may_change = heard, directory, may_change
        self._notices, self._happened, self._rules = Notices(), Happened(), AskedRules(directory)
        self._asking: asyncio.Task[None] | None = None
        self._inlets, self._watch = inlets, Watch(directory, inlets)
        self._viewers: set[Viewer] = set()
        self._wishes: dict[Viewer, Mapping[str, Mode]] = {}

    def open(self) -> None:
        """Listen to the fleet."""
        self._heard.listeners.append(self._hear)

    def close(self) -> None:
        """Let go of all cameras."""
        self._watch.close()
        if self._asking is not None:
            self._asking.cancel()

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one browser until it leaves, or reads no more."""
        await websocket.accept()
        if len(self._viewers) >= MOST_VIEWERS:
            await websocket.close(TRY_LATER, "too many look at this page")
            return
        viewer = Viewer(self._watch.cameras_of)
        self._viewers.add(viewer)
        self._inlets.hurry(wanted=True)
        try:
            self._greet(viewer)
            self._ask_rules()
            await self._exchange(websocket, viewer)
        finally:
            self._viewers.discard(viewer)
            self._inlets.hurry(wanted=bool(self._viewers))
            self._wishes.pop(viewer, None)
            self._watch.leave(viewer)

    async def _exchange(self, websocket: WebSocket, viewer: Viewer) -> None:
        """Send and receive until either ends."""
        sending = asyncio.create_task(viewer.run(websocket.send_bytes))
        receiving = asyncio.create_task(self._listen(websocket, viewer))
        try:
            await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, receiving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                    await task
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(TRY_LATER)

    async def _listen(self, websocket: WebSocket, viewer: Viewer) -> None:
        while True:
            try:
                said = _said.decode(await websocket.receive_text())
            except (msgspec.MsgspecError, KeyError):
                await websocket.close(UNREADABLE)
                return
            viewer.acknowledge(said.ack)
            if said.watch is not None:
                self._wishes[viewer] = said.watch
                self._look(viewer)

    def _look(self, viewer: Viewer) -> None:
        """Show a browser what it wishes, as far as the fleet has it; the rest as soon as that joins."""
        wishes = self._wishes.get(viewer, {})
        self._watch.look(viewer, {name: mode for name, mode in wishes.items() if self._heard.knows(name)})

    def _greet(self, viewer: Viewer) -> None:
        """All that is known, to one who has just come."""
        may_change = self._may_change and control.can_be_asked(self._directory)
        viewer.tell(record({"t": "hello", "fleet": self._heard.fleet, "controls": may_change}))
        for state in self._heard.cameras.values():
            viewer.tell(_of_camera(state))
        if self._heard.state is not None:
            viewer.tell(_of_fleet(self._heard.state, {}, {}))
        for notice in self._notices.newest:
            viewer.tell(_of_notice(notice))
        viewer.tell(record({"t": "events", "counts": self._happened.counts}, _encode(self._happened.events)))
        if self._rules.cameras is not None:
            viewer.tell(self._of_rules())

    def _hear(self, message: Message) -> None:
        self._watch.hear(message)
        self.history.hear(message)
        told = [_of_notice(notice) for notice in self._notices.hear(message)]
        if (event := self._happened.hear(message)) is not None:
            told.append(record({"t": "event"}, _encode(event)))
        if self._viewers and isinstance(message, CameraState):
            told.append(_of_camera(message))
        elif self._viewers and isinstance(message, FleetState):
            told.append(_of_fleet(message, self.history.newest_drops(), self.history.newest_begun()))
            self._ask_rules()
        for viewer in self._viewers:
            for one in told:
                viewer.tell(one)
            if told and self._wishes.get(viewer, {}).keys() != self._watch.cameras_of(viewer):
                self._look(viewer)

    def _ask_rules(self) -> None:
        """Ask the fleet for its zones and lines, and tell all browsers if they are others."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._tell_rules())

    async def _tell_rules(self) -> None:
        if await self._rules.ask():
            for viewer in self._viewers:
                viewer.tell(self._of_rules())

    def _of_rules(self) -> bytes:
        return record({"t": "rules"}, _encode(self._rules.cameras))


def _of_camera(state: CameraState) -> bytes:
    return record({"t": "camera"}, _encode(state))


def _of_fleet(state: FleetState, drops: dict[str, dict[str, int]], begun: dict[str, dict[str, int]]) -> bytes:
    return record({"t": "fleet", "drops": drops, "begun": begun}, _encode(state))


def _of_notice(notice: Notice) -> bytes:
    return record({"t": "notice"}, _encode(notice))
