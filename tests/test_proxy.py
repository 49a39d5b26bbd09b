"""The proxy between publishers and subscribers, over real sockets."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ctypes import c_int64
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline import Subscriber, keys
from pipeline.client.history import missed
from pipeline.clock import SystemClock
from pipeline.config.keys import Keys, Limited
from pipeline.errors import SubscriberTimeout
from pipeline.publish import Publisher
from pipeline.relay.doors import RelayReady
from pipeline.relay.process import Relay, RelaySpec, run_relay
from pipeline.scale.proxy import loop
from pipeline.scale.proxy.loop import Proxy
from pipeline.scale.proxy.orders import Feed, Orderer, Orders
from pipeline.scale.proxy.process import run_proxy
from pipeline.scale.proxy.spec import ProxySpec
from pipeline.scale.proxy.teller import GONE
from pipeline.wire import CameraState, FleetState, FrameResult
from tests.key_files import KeyRing
from tests.test_wire import frame
from tests.waiting import DEADLINE_S
from tests.wire_messages import STATE

SPAWN = multiprocessing.get_context("spawn")


class Shard:
    """A publisher's loop in a thread, and a worker's end."""

    def __init__(self, name: str, folder: Path) -> None:
        inbox = f"ipc://{folder}/shard-{name}"
        spec = RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, 1000, folder, fleet="town")
        self.relay = Relay(spec, SystemClock())
        self.feed = Feed(shard=name, endpoint=self.relay.endpoint)
        self._thread = threading.Thread(target=self.relay.run, args=(c_int64(),))
        self._thread.start()
        self.worker = Publisher(inbox)

    def close(self) -> None:
        self.worker.close()
        self.relay.stop()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


class Running:
    """A proxy's loop in a thread, and the front's end."""

    def __init__(self, folder: Path, orders: Orders, **spec: object) -> None:
        inbox = f"ipc://{folder}/orders"
        settings = {"bind": "tcp://127.0.0.1:0", "queue": 1000, "inbox": inbox, "orders": orders, **spec}
        self.proxy = Proxy(ProxySpec(name="proxy", fleet="town", **settings), SystemClock())
        self.endpoint = self.proxy.ready.endpoint
        self.front = Orderer(inbox)
        self.thread = threading.Thread(target=self.proxy.run, args=(c_int64(),))
        self.thread.start()

    def close(self) -> None:
        self.front.close()
        self.proxy.stop()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()


@contextmanager
def running(folder: Path, orders: Orders, **spec: object) -> Iterator[Running]:
    it = Running(folder, orders, **spec)
    try:
        yield it
    finally:
        it.close()


@pytest.fixture
def shards(short_path: Path) -> Iterator[tuple[Shard, Shard]]:
    with ExitStack() as stack:
        both = Shard("a", short_path), Shard("b", short_path)
        for shard in both:
            stack.callback(shard.close)
        yield both


def orders(*shards: Shard, **where: str) -> Orders:
    return Orders(feeds=tuple(shard.feed for shard in shards), where=where)


def next_state(results: Subscriber, camera_id: str, state: str) -> CameraState:
    while True:
        message = results.receive()
        if isinstance(message, CameraState) and (message.camera_id, message.state) == (camera_id, state):
            return message


def next_fleet(results: Subscriber) -> FleetState:
    while not isinstance(message := results.receive(), FleetState):
        pass
    return message


def publish_until(shard: Shard, heard: threading.Event, camera_id: str) -> threading.Thread:
    """Numbered frames of a camera, until somebody has heard one."""

    def publish() -> None:
        number = 0
        while not heard.wait(0.01):
            shard.worker.publish(frame(camera_id, number, session_id=f"of-{shard.feed.shard}"))
            number += 1

    thread = threading.Thread(target=publish)
    thread.start()
    return thread


def test_proxy_gives_one_subscriber_the_frames_of_all_shards_with_their_numbers(shards, short_path: Path):
    with (
        running(short_path, orders(*shards)) as it,
        Subscriber(it.endpoint, timeout_s=DEADLINE_S) as results,
        Subscriber(shards[0].feed.endpoint, timeout_s=DEADLINE_S) as direct,
    ):
        heard = threading.Event()
        threads = [publish_until(shard, heard, name) for shard, name in zip(shards, ("gate", "yard"), strict=True)]
        found: dict[str, FrameResult] = {}
        while len(found) < 2:
            result = results.receive()
            found[result.camera_id] = result
        same = direct.receive()
        while (same.number, same.camera_id) != (found["gate"].number, "gate") and same.number <= found["gate"].number:
            same = direct.receive()
        heard.set()
        for thread in threads:
            thread.join(DEADLINE_S)
        if same.number == found["gate"].number:
            assert same == found["gate"]
        assert results.statistics().missed == {}


def test_proxy_told_to_stop_hands_on_what_shards_still_say_until_they_are_quiet(
    shards, short_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("QUIET_MS", "FAREWELL_MS"):
        monkeypatch.setattr(loop, name, 3000)
    with (
        running(short_path, orders(shards[0])) as it,
        Subscriber(it.endpoint, states=True, timeout_s=DEADLINE_S) as results,
    ):
        shards[0].worker.publish(replace(STATE, camera_id="gate"))
        next_state(results, "gate", "degraded")
        it.proxy.stop()
        monkeypatch.setattr(it.proxy, "stop", lambda: None)
        it.thread.join(0.3)  # One that does not wait has ended by now.
        shards[0].worker.publish(frame("gate", 7))
        assert results.receive().frame_id == 7


def test_proxy_newcomer_gets_the_newest_of_each_topic_though_nothing_is_published(shards, short_path: Path):
    with running(short_path, orders(*shards)) as it:
        shards[0].worker.publish(frame("gate", 5))
        shards[0].worker.publish(replace(STATE, camera_id="gate"))
        with Subscriber(it.endpoint, states=True, timeout_s=DEADLINE_S) as first:
            next_state(first, "gate", "degraded")
        with Subscriber(it.endpoint, states=True, timeout_s=DEADLINE_S) as late:
            found = {type(message): message for message in (late.receive(), late.receive())}
    assert found[FrameResult].frame_id == 5
    assert found[CameraState].camera_id == "gate"


def test_proxy_that_comes_later_knows_what_was_published_before_it_was_there(shards, short_path: Path):
    shards[0].worker.publish(frame("gate", 5))
    with Subscriber(shards[0].feed.endpoint, timeout_s=DEADLINE_S) as direct:
        assert direct.receive().frame_id == 5
    with (
        running(short_path, orders(*shards)) as it,
        Subscriber(it.endpoint, timeout_s=DEADLINE_S) as results,
    ):
        assert results.receive().frame_id == 5


def test_subscriber_of_two_proxies_gets_everything_once(shards, short_path: Path):
    for name in "12":
        (short_path / name).mkdir()
    with (
        running(short_path / "1", orders(*shards)) as one,
        running(short_path / "2", orders(*shards)) as two,
        Subscriber([one.endpoint, two.endpoint], timeout_s=DEADLINE_S) as results,
    ):
        heard = threading.Event()
        thread = publish_until(shards[0], heard, "gate")
        numbers = [results.receive().number]
        while results.statistics().repeated < 20:
            numbers.append(results.receive().number)
        heard.set()
        thread.join(DEADLINE_S)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_proxy_moves_a_camera_from_shard_to_shard_without_a_gap(shards, short_path: Path):
    old, new = shards
    with (
        running(short_path, orders(old, new, gate="a")) as it,
        Subscriber(it.endpoint, states=True, timeout_s=DEADLINE_S) as results,
    ):
        heard = threading.Event()
        threads = [publish_until(shard, heard, "gate") for shard in shards]
        sessions = [results.receive().session_id for _ in range(5)]
        it.front.send(replace(orders(old, new, gate="b"), leaving={"gate": "a"}))
        while sessions[-1] != "of-b":
            sessions.append(results.receive().session_id)
        sessions += [results.receive().session_id for _ in range(5)]
        old.worker.publish(replace(STATE, state="removed"))
        sessions += [results.receive().session_id for _ in range(5)]
        heard.set()
        for thread in threads:
            thread.join(DEADLINE_S)
    assert sessions == sorted(sessions)
    assert set(sessions) == {"of-a", "of-b"}


def test_proxy_says_of_a_camera_whose_shard_is_gone_what_becomes_of_it(shards, short_path: Path):
    with (
        running(short_path, orders(*shards, gate="a")) as it,
        Subscriber(it.endpoint, states="all", timeout_s=DEADLINE_S) as results,
    ):
        shards[0].worker.publish(replace(STATE, state="live", detail=""))
        next_state(results, "gate", "live")
        it.front.send(orders(shards[1], gate="b"))
        assert next_state(results, "gate", "retrying").detail == GONE
        while not (broken := next_fleet(results).broken_by):
            pass
        assert broken == {"gate": f"retrying: {GONE}"}
        shards[1].worker.publish(replace(STATE, state="live", detail=""))
        next_state(results, "gate", "live")


def test_proxy_says_of_a_camera_that_is_removed_while_its_shard_is_dead_that_it_is_removed(shards, short_path: Path):
    with (
        running(short_path, orders(*shards, gate="a")) as it,
        Subscriber(it.endpoint, states=True, timeout_s=DEADLINE_S) as results,
    ):
        shards[0].worker.publish(replace(STATE, state="live", detail=""))
        next_state(results, "gate", "live")
        it.front.send(orders(shards[1], gate="b"))
        next_state(results, "gate", "retrying")
        it.front.send(orders(shards[1]))
        assert next_state(results, "gate", "removed").detail == "removed from the fleet"
        shards[1].worker.publish(replace(STATE, camera_id="yard", state="live", detail=""))
        next_state(results, "yard", "live")
        with Subscriber(it.endpoint, states=True, timeout_s=DEADLINE_S) as late:
            # What is known of a camera comes at once, and in the order in which it was heard first.
            assert late.receive().camera_id == "yard"


def test_proxy_says_of_a_camera_without_a_home_why(shards, short_path: Path):
    lost = Orders(feeds=(shards[0].feed,), homeless={"gate": "no machine offers north"})
    with (
        running(short_path, lost) as it,
        Subscriber(it.endpoint, states=True, timeout_s=DEADLINE_S) as results,
    ):
        assert next_state(results, "gate", "retrying").detail == "no machine offers north"


def test_proxy_numbers_what_it_says_itself_by_the_second_without_a_gap(shards, short_path: Path):
    with (
        running(short_path, orders(*shards)) as it,
        Subscriber(it.endpoint, states="all", timeout_s=DEADLINE_S) as results,
    ):
        numbers = [next_fleet(results).number for _ in range(4)]
    assert numbers == list(range(numbers[0], numbers[0] + 4))


def test_subscriber_to_compact_frames_of_a_proxy_gets_them_made_by_the_shard(shards, short_path: Path):
    with (
        running(short_path, orders(*shards)) as it,
        Subscriber(it.endpoint, compact=True, timeout_s=DEADLINE_S) as results,
    ):
        heard = threading.Event()
        thread = publish_until(shards[0], heard, "gate")
        assert len(results.receive().tracks) == 1
        assert results.receive().camera_id == "gate"
        heard.set()
        thread.join(DEADLINE_S)


def test_subscriber_to_json_of_a_proxy_gets_the_same_messages(shards, short_path: Path):
    with running(short_path, orders(*shards), json_bind="tcp://127.0.0.1:0") as it:
        shards[0].worker.publish(frame("gate", 5))
        with Subscriber(it.proxy.ready.json_endpoint, timeout_s=DEADLINE_S) as results:
            assert results.receive().frame_id == 5


def test_member_of_the_front_is_given_what_it_missed_of_each_shards_publisher(shards, short_path: Path):
    with (
        running(short_path, orders(*shards), inside=short_path) as it,
        Subscriber(it.endpoint, timeout_s=DEADLINE_S) as results,
    ):
        heard = threading.Event()
        thread = publish_until(shards[0], heard, "gate")
        first = results.receive()
        while (last := results.receive()).number < first.number + 5:
            pass
        heard.set()
        thread.join(DEADLINE_S)
        found = list(missed(short_path, first.publisher, {"detections/gate/": first.number}))
    assert len(found) >= last.number - first.number
    assert all(topic == b"detections/gate/" for topic, _ in found)


@contextmanager
def process(target: Callable[..., None], spec: object) -> Iterator[RelayReady]:
    """A relay or a proxy in a process of its own: only one there may answer for keys."""
    ours, theirs = SPAWN.Pipe(duplex=False)
    it = SPAWN.Process(target=target, args=(spec, theirs, SPAWN.Value(c_int64, lock=False)))
    it.start()
    try:
        assert ours.poll(DEADLINE_S)
        yield ours.recv()
    finally:
        it.terminate()
        it.join(DEADLINE_S)
        assert it.exitcode == 0


@pytest.fixture
def locked(short_path: Path) -> Iterator[tuple[str, RelayReady, KeyRing]]:
    """A shard and a proxy before it, both with keys; the shard's inbox, where the proxy is, and its readers' keys."""
    shard_ring, ring = KeyRing(short_path / "shard"), KeyRing(short_path / "front")
    own = keys.make_pair("proxy", short_path)
    keys.allow(own.public, shard_ring.clients)
    inbox, limited = f"ipc://{short_path}/inbox", ring.folder / "limited"
    shard_keys = Keys(server=str(shard_ring.server.secret), clients=str(shard_ring.clients))
    relay = RelaySpec("publisher", "tcp://127.0.0.1:0", False, inbox, 1000, short_path, fleet="town", keys=shard_keys)
    limited.mkdir()
    front_keys = Keys(
        server=str(ring.server.secret),
        clients=str(ring.clients),
        limited={"porter": Limited(bind="tcp://127.0.0.1:0", clients=str(limited), cameras=("gate",))},
    )
    with process(run_relay, relay) as shard:
        public = keys.read_certificate(shard_ring.server.public).public
        feed = Feed(shard="a", endpoint=shard.endpoint, server_key=public)
        spec = ProxySpec(
            "proxy",
            "town",
            "tcp://127.0.0.1:0",
            1000,
            orders=Orders(feeds=(feed,)),
            keys=front_keys,
            own_key=keys.read_certificate(own.secret),
        )
        with process(run_proxy, spec) as ready:
            yield inbox, ready, ring


def test_proxy_with_keys_on_both_sides_serves_each_reader_its_cameras(
    locked: tuple[str, RelayReady, KeyRing],
):
    inbox, ready, ring = locked
    worker = Publisher(inbox)
    whole, porter, stranger = (
        ring.reader("whole"),
        ring.reader("porter", limit="limited"),
        ring.reader("x", allowed=False),
    )
    with (
        Subscriber(ready.endpoint, states=True, key=whole, timeout_s=DEADLINE_S) as all_of_it,
        Subscriber(ready.limited["porter"], states="all", key=porter, timeout_s=DEADLINE_S) as some,
        Subscriber(ready.endpoint, states="all", key=stranger, timeout_s=0.05) as nothing,
    ):
        for name in ("gate", "yard"):
            worker.publish(frame(name, 5))
        assert {all_of_it.receive().camera_id for _ in range(2)} == {"gate", "yard"}
        while isinstance(first := some.receive(), FleetState):
            pass
        assert first.camera_id == "gate"
        assert set(next_fleet(some).cameras) == {"gate"}
        with pytest.raises(SubscriberTimeout):
            nothing.receive()
    worker.close()
