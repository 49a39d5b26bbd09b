"""A shard: a part of a fleet on one machine, called by methods."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import Subscriber, keys
from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder
from pipeline.client import Key
from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from pipeline.errors import ControlError, DetectorError, PipelineError, SubscriberTimeout
from pipeline.scale import clips
from pipeline.scale import shard as shards
from pipeline.scale.headroom import Load
from pipeline.scale.shard import LEASE_S, Shard, ShardKeys, ShardSpec
from tests.waiting import DEADLINE_S, wait_until

NAMES = ("gate", "yard")


@pytest.fixture
def fleet(fleet_file: Callable[..., Path], recording: Path) -> Fleet:
    return load_fleet(fleet_file({name: {"url": str(recording), "loop": True} for name in NAMES}))


@pytest.fixture
def pairs(tmp_path: Path) -> dict[str, keys.Pair]:
    return {name: keys.make_pair(name, tmp_path / "pairs") for name in ("shard", "proxy", "other")}


@pytest.fixture
def shard(runtime: Path) -> Iterator[Shard]:
    it = Shard(leave=lambda: None)
    it.stay()
    try:
        yield it
    finally:
        it.end()


def part(fleet: Fleet, *names: str) -> Fleet:
    return fleet.model_copy(update={"cameras": {name: fleet.cameras[name] for name in names}})


def spec(fleet: Fleet, pairs: dict[str, keys.Pair]) -> ShardSpec:
    known = ShardKeys(pairs["shard"].secret.read_bytes(), pairs["proxy"].public.read_bytes())
    return ShardSpec("s1", "127.0.0.1", fleet, 1, known)


def test_shard_publishes_its_cameras_for_the_proxys_key_alone(shard: Shard, fleet: Fleet, pairs, within: Callable):
    ready = shard.begin(spec(part(fleet, "gate"), pairs))
    assert ready.cameras == {"gate"}
    own, other = (Key(pairs[name].secret, pairs["shard"].public) for name in ("proxy", "other"))
    with (
        Subscriber(ready.endpoint, key=own, timeout_s=DEADLINE_S) as results,
        Subscriber(ready.endpoint, key=other, timeout_s=0.1) as nothing,
    ):
        assert results.receive().camera_id == "gate"
        with pytest.raises(SubscriberTimeout):
            nothing.receive()
    wait_until(within, lambda: shard.ping().seeing == {"gate"})


def test_shard_that_begins_warm_takes_up_cameras_later_and_gives_them_back(
    shard: Shard, fleet: Fleet, pairs, within: Callable
):
    assert shard.begin(spec(part(fleet), pairs)).cameras == frozenset()
    assert shard.apply(fleet, 2).cameras == set(NAMES)
    wait_until(within, lambda: shard.ping().seeing == set(NAMES))
    ready = shard.apply(part(fleet), 3)
    assert (ready.version, ready.cameras) == (3, frozenset())


def test_shard_says_how_full_it_is_and_what_each_camera_wants(shard: Shard, fleet: Fleet, pairs, within: Callable):
    shard.begin(spec(part(fleet), pairs))
    wait_until(within, lambda: shard.ping().load == Load(0.0, 0.0, 0.0))
    shard.apply(fleet, 2)
    wait_until(within, lambda: set(shard.ping().wanted_hz) == set(NAMES))
    wait_until(within, lambda: (load := shard.ping().load) is not None and load.wanted_hz > 0 and load.detected_hz > 0)
    state = shard.ping()
    assert state.load is not None
    assert state.load.wanted_hz == pytest.approx(sum(state.wanted_hz.values()))


def test_shard_told_to_begin_again_says_how_it_is(shard: Shard, fleet: Fleet, pairs):
    first = shard.begin(spec(part(fleet), pairs))
    shard.apply(part(fleet, "gate"), 2)
    again = shard.begin(spec(part(fleet), pairs))
    assert (again.endpoint, again.version, again.cameras) == (first.endpoint, 2, {"gate"})


def test_shard_keeps_cameras_paused_that_come_later(shard: Shard, fleet: Fleet, pairs, within: Callable):
    shard.begin(spec(part(fleet), pairs))
    shard.rest(frozenset({"yard"}))
    shard.apply(fleet, 2)
    wait_until(within, lambda: shard.ping().seeing == {"gate"})
    shard.rest(frozenset())
    wait_until(within, lambda: shard.ping().seeing == set(NAMES))


def test_shard_uses_a_model_that_it_prepared_when_the_fleet_names_it(shard: Shard, fleet: Fleet, pairs):
    other = fleet.model_copy(update={"model": fleet.model.model_copy(update={"options": {"boxes": 5}})})
    shard.begin(spec(part(fleet, "gate"), pairs))
    shard.prepare(other)
    shard.apply(part(fleet), 2)
    assert shard.apply(part(other, "gate"), 3).version == 3
    nowhere = fleet.model.model_copy(update={"backend": "tests.nowhere:detector", "path": "-"})
    with pytest.raises(DetectorError, match="the model stays as it was"):
        shard.prepare(fleet.model_copy(update={"model": nowhere}))
    shard.unprepare()


def test_shard_whose_clip_is_too_large_says_so(
    shard: Shard, fleet: Fleet, pairs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def clip(it: object, camera_id: str, out: Path, *, from_ns: int, to_ns: int) -> Clip:
        out.write_bytes(b"12345")
        return Clip(str(out), 2, from_ns, to_ns, "rtcp", None)

    monkeypatch.setattr(shards.Fleet, "clip", clip)
    order = ClipOrder(tmp_path / "clip.mkv", 1, 2)
    shard.begin(spec(part(fleet, "gate"), pairs))
    assert shard.clip("gate", order).body == b"12345"
    monkeypatch.setattr(clips, "MOST_BYTES", 4)
    with pytest.raises(ControlError, match="between machines; ask for fewer seconds"):
        shard.clip("gate", order)
    monkeypatch.setattr(shard._cutter, "_room", threading.Semaphore(0))
    with pytest.raises(ControlError, match="2 clips are being written on that machine"):
        shard.clip("gate", order)


@pytest.mark.parametrize(
    "asked",
    [
        lambda shard: shard.rest(frozenset()),
        lambda shard: shard.clip("gate", ClipOrder(Path("clip.mp4"), 1, 2)),
        lambda shard: shard.unprepare(),
    ],
    ids=["pause", "clip", "unprepare"],
)
def test_shard_that_has_not_begun_says_so(shard: Shard, asked: Callable):
    with pytest.raises(PipelineError, match="serves nothing"):
        asked(shard)


def test_shard_whose_model_cannot_be_loaded_says_so(shard: Shard, fleet: Fleet, pairs):
    broken = fleet.model_copy(update={"model": fleet.model.model_copy(update={"backend": "tests.nowhere:detector"})})
    with pytest.raises(DetectorError):
        shard.begin(spec(broken, pairs))


def test_shard_that_has_not_begun_follows_nothing(shard: Shard, fleet: Fleet):
    with pytest.raises(PipelineError, match="serves nothing"):
        shard.apply(fleet, 2)


def test_shard_that_nobody_asks_for_ends_by_itself(runtime: Path, fleet: Fleet, pairs):
    left = threading.Event()
    it = Shard(leave=left.set, lease_s=0.1)
    try:
        it.begin(spec(part(fleet), pairs))
        assert left.wait(DEADLINE_S)
        assert list((runtime / "camfleet").glob("[!.]*")) == []
    finally:
        it.end()


def test_shard_that_was_ended_still_leaves_with_its_lease(runtime: Path):
    left = threading.Event()
    it = Shard(leave=left.set, lease_s=0.1)
    it.end()
    assert left.wait(DEADLINE_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_shard_that_cannot_be_ended_still_leaves_with_its_lease(runtime: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(it: Shard) -> None:
        raise PipelineError("a process does not end")

    left, before = threading.Event(), set(threading.enumerate())
    with monkeypatch.context() as patched:
        patched.setattr(Shard, "end", broken)
        it = Shard(leave=left.set, lease_s=0.1)
        (lease,) = (thread for thread in threading.enumerate() if thread.name == "lease" and thread not in before)
        lease.join(DEADLINE_S)
    it.end()
    assert left.is_set()


class Clock:
    """A clock that is told; it knows how often it was looked at."""

    def __init__(self) -> None:
        self.now_s, self.looks = 0.0, 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now_s

    def let_look(self, within: Callable) -> None:
        """Wait until the lease was looked at."""
        wanted = self.looks + 3
        wait_until(within, lambda: self.looks >= wanted)


def test_shard_that_begins_slowly_is_wanted_from_then_on(
    runtime: Path, fleet: Fleet, pairs, within: Callable, monkeypatch: pytest.MonkeyPatch
):
    clock, left = Clock(), threading.Event()

    def slow(*arguments: object, **settings: object) -> object:
        clock.now_s += 2 * LEASE_S
        clock.let_look(within)
        return whole(*arguments, **settings)

    whole = shards.Fleet
    monkeypatch.setattr(shards, "Fleet", slow)
    monkeypatch.setattr(shards, "_LOOK_S", 0.01)
    it = Shard(leave=left.set, now_s=clock)
    try:
        it.begin(spec(part(fleet), pairs))
        clock.let_look(within)
        assert not left.is_set()
        assert it.apply(part(fleet, "gate"), 2).cameras == {"gate"}
        clock.now_s += 2 * LEASE_S
        assert left.wait(DEADLINE_S)
    finally:
        it.end()
