"""The proxy's loop, between its inlets and its outlets."""

from __future__ import annotations

import os
from ctypes import c_int64

import structlog
import zmq

from pipeline.clock import NS_PER_MS, NS_PER_S, Clock
from pipeline.errors import WireError
from pipeline.foreign import UNREADABLE
from pipeline.publish import FAREWELL_MS, Roster
from pipeline.relay.doors import Doors, RelayReady
from pipeline.relay.overview import Overview
from pipeline.relay.process import COME_BACK_MS
from pipeline.scale.proxy.hearers import Hearers
from pipeline.scale.proxy.inlet import Inlet
from pipeline.scale.proxy.orders import Feed, Orders, read_orders
from pipeline.scale.proxy.passed import Passed
from pipeline.scale.proxy.spec import ProxySpec
from pipeline.scale.proxy.teller import Teller, silences
from pipeline.scale.proxy.voices import Voices, is_removed
from pipeline.wire import CameraState, FleetState, FrameResult, Message, camera_of, decode, topic

log = structlog.get_logger()

LOOK_S = 0.02
"""How often it is looked who comes and goes, and what else waits, if nothing calls for it sooner."""
QUIET_MS = 20
"""When it ends: no message for so long means that the shards, which end before, have said all."""
_UNREADABLE: tuple[type[Exception], ...] = (WireError, *UNREADABLE)
_FLEET, _FRAMES, _STATES = topic(FleetState.kind), topic(FrameResult.kind), topic(CameraState.kind)


class Proxy:
    """Inlets, outlets, and the loop between them. `stop` may come from anywhere, the rest from one thread."""

    def __init__(self, spec: ProxySpec, clock: Clock) -> None:
        """Bind where subscribers look.

        Raises:
            PublishError: The address is in use, not of this machine, or not allowed.
        """
        self._spec, self._clock = spec, clock
        self._poller = zmq.Poller()
        self._doors = Doors(spec, self._poller, clock)
        limited = {} if spec.keys is None else spec.keys.limited
        self._all = Hearers(self._doors.whole)
        self._some = [
            (Hearers([one], limited[name].cameras), Overview(spec.fleet, 150.0, self._now_s(), clock.wall_ns()))
            for name, one in self._doors.limited.items()
        ]
        self._orders, self._inlets, self._inbox = Orders(), dict[str, Inlet](), self._bind_inbox()
        self._voices, self._teller = Voices(), Teller(spec.fleet, clock)
        self._passed = Passed(spec.history_mb << 20)
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._looked_s = self._now_s()
        self._poller.register(self._stop_fd, zmq.POLLIN)

    @property
    def ready(self) -> RelayReady:
        """Where subscribers connect."""
        return self._doors.ready

    def stop(self) -> None:
        """End the loop soon; safe from a signal handler and from any thread."""
        self._stopping = True
        os.eventfd_write(self._stop_fd, 1)

    def run(self, beat: c_int64) -> None:
        """Hand on until `stop`, then what is left, and leave.

        Raises:
            PublishError: The address was taken by another program meanwhile.
        """
        self._await_subscribers(beat, COME_BACK_MS if self._spec.returns else 0)
        self._follow(self._spec.orders)
        while not self._stopping:
            came = {at for at, _ in self._poller.poll(self._doors.due_ms(self._teller.due_ms()))}
            beat.value = self._clock.monotonic_ns()
            self._hand_on(came)
            self._tell()
            # To look at who comes and goes takes longer than to hand a message on.
            if came and came <= self._heard and self._now_s() - self._looked_s < LOOK_S:
                continue
            self._take_orders()
            self._looked_s = self._now_s()
            if not self._look():
                self._await_subscribers(beat, COME_BACK_MS)
        self._hand_on_the_rest()
        self._close()

    @property
    def _heard(self) -> set[object]:
        return {inlet.socket for inlet in self._inlets.values()}

    @property
    def _hearers(self) -> list[Hearers]:
        return [self._all, *(hearers for hearers, _ in self._some)]

    def _bind_inbox(self) -> zmq.Socket[bytes] | None:
        if not self._spec.inbox:
            return None
        inbox: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        inbox.set(zmq.LINGER, 0)
        inbox.bind(self._spec.inbox)
        self._poller.register(inbox, zmq.POLLIN)
        return inbox

    def _take_orders(self) -> None:
        """Follow the newest orders, if there are new ones."""
        newest = None
        while self._inbox is not None and self._inbox.poll(0):
            newest = self._inbox.recv()
        if newest is not None:
            self._follow(read_orders(newest))

    def _follow(self, orders: Orders) -> None:
        """Hear these shards and no other; a shard whose address has not changed is not touched."""
        feeds = {feed.shard: feed for feed in orders.feeds}
        for shard, inlet in list(self._inlets.items()):
            if feeds.get(shard) != inlet.feed:
                self._inlets.pop(shard).close()
        self._voices.know(orders.where, self._inlets, orders.leaving, orders.homeless)
        for farewell in self._voices.take_farewells():
            self._pass_on(*farewell)
        self._teller.whole.know(feeds)
        self._orders = orders
        for shard, feed in feeds.items():
            if shard not in self._inlets:
                self._open(feed)
        roster = Roster(p95_ms=orders.p95_ms, max_loss=orders.max_loss)
        for _, overview in self._some:
            overview.know(roster)

    def _open(self, feed: Feed) -> None:
        try:
            self._inlets[feed.shard] = Inlet(feed, self._spec.own_key, self._poller)
        except zmq.ZMQError as error:
            log.error(f"shard {feed.shard} cannot be heard at {feed.endpoint}: {error.strerror}")

    def _hand_on(self, came: set[object]) -> int:
        """What has come from each shard, up to a bound; how many messages. Never blocks."""
        wanted = any(hearers.want_compact for hearers in self._hearers)
        count = 0
        for shard, inlet in self._inlets.items():
            inlet.ask_for_compact(wanted)
            if inlet.socket in came:
                for topic_bytes, body in inlet.receive():
                    count += 1
                    try:
                        self._take(shard, topic_bytes, body)
                    except _UNREADABLE:
                        log.warning(f"shard {shard} said what cannot be read; is it of another version?")
        return count

    def _hand_on_the_rest(self) -> None:
        """What shards still say, until they are quiet; whatever else the loop waits for, `stop` first, is over."""
        rest = zmq.Poller()
        for inlet in self._inlets.values():
            rest.register(inlet.socket, zmq.POLLIN)
        give_up_ns = self._clock.monotonic_ns() + FAREWELL_MS * NS_PER_MS
        while (came := {at for at, _ in rest.poll(QUIET_MS)}) and self._clock.monotonic_ns() < give_up_ns:
            self._hand_on(came)

    def _take(self, shard: str, topic_bytes: bytes, body: bytes) -> None:
        """A message of a shard."""
        if topic_bytes == _FLEET:
            state = decode(topic_bytes, body)
            assert isinstance(state, FleetState)
            self._teller.whole.hear(shard, state, self._now_s())
            return
        camera_id = camera_of(topic_bytes)
        if self._voices.hears(shard, topic_bytes, camera_id, body):
            self._pass_on(camera_id, topic_bytes, body)

    def _pass_on(self, camera_id: str, topic_bytes: bytes, body: bytes) -> None:
        """A message that is for subscribers."""
        if not self._all.hand_on(topic_bytes, body):
            return
        if self._doors.inside is not None:
            self._passed.add(topic_bytes, body, self._now_s())
        for hearers, overview in self._some:
            if hearers.may_hear(camera_id) and hearers.hand_on(topic_bytes, body):
                self._note(overview, topic_bytes, body)
        if topic_bytes.startswith(_STATES) and is_removed(body):
            self._forget(camera_id)

    def _forget(self, camera_id: str) -> None:
        """It was said that a camera has left."""
        self._voices.forget(camera_id)
        for hearers in self._hearers:
            hearers.forget(camera_id)

    def _note(self, overview: Overview, topic_bytes: bytes, body: bytes) -> None:
        """Those who may not hear everything are told of their own cameras; the shards' figures are of all."""
        if topic_bytes.startswith(_FRAMES):
            overview.hear_frame(body, self._now_s())
        elif topic_bytes.startswith(_STATES):
            overview.hear_state(body)

    def _tell(self) -> None:
        """Once in each second: how the fleet is, and how cameras are for which nobody speaks."""
        if self._teller.due_ms() > 0:
            return
        self._teller.begin()
        silent = silences(self._orders, self._voices.silent())
        self._say(self._all, self._teller.fleet(self._orders, silent))
        for hearers, overview in self._some:
            self._say(hearers, overview.tell(self._now_s(), self._clock.wall_ns()))
        for state in self._teller.cameras(silent):
            self._say_of_camera(state)
        for camera_id in self._voices.departed():
            self._say_of_camera(self._teller.farewell(camera_id))
            self._forget(camera_id)

    def _say_of_camera(self, state: CameraState) -> None:
        """Say how a camera is, for whom nobody else does, to all who may hear of it."""
        self._say(self._all, state)
        for hearers, overview in self._some:
            if hearers.may_hear(state.camera_id):
                self._note(overview, state.topic, self._say(hearers, state))

    def _say(self, hearers: Hearers, message: Message) -> bytes:
        """Say something of its own; what was sent."""
        body = self._teller.number(message)
        hearers.hand_on(message.topic, body)
        if hearers is self._all and self._doors.inside is not None:
            self._passed.add(message.topic, body, self._now_s())
        return body

    def _look(self) -> bool:
        """Read who came and what members have missed; False if everybody has just been sent away."""
        stay = self._doors.look()
        for hearers in self._hearers:
            hearers.repeat(self._now_s())
        if self._doors.inside is not None:
            self._doors.inside.answer(self._passed)
        return stay

    def _await_subscribers(self, beat: c_int64, for_ms: int) -> None:
        """Let messages wait until subscribers that were here before are back."""
        heard: list[zmq.Socket[bytes]] = [inlet.socket for inlet in self._inlets.values()]
        heard += [] if self._inbox is None else [self._inbox]
        for one in heard:
            self._poller.unregister(one)
        self._doors.await_subscribers(beat, for_ms, lambda: self._stopping)
        for one in heard:
            self._poller.register(one, zmq.POLLIN)

    def _close(self) -> None:
        for inlet in self._inlets.values():
            inlet.close()
        if self._inbox is not None:
            self._inbox.close(linger=0)
        self._doors.close()
        os.close(self._stop_fd)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
