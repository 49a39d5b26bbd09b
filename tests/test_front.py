"""A fleet over several machines that are all this one: real shards, in threads instead of Ray's actors."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from pipeline.errors import ClusterError, ControlError, DetectorError, PipelineError
from pipeline.scale import claim
from pipeline.scale.front import Front
from pipeline.scale.mark import HELD_S
from pipeline.scale.proxy.teller import GONE
from pipeline.scale.standby import Standby
from pipeline.supervise.requests import Requests
from pipeline.web.snapshot import snapshot
from tests.clusters import ThreadCluster
from tests.fleet_books import FleetBooks
from tests.waiting import DEADLINE_S, wait_until

NAMES = [f"cam{number}" for number in range(4)]


@pytest.fixture
def fleet(fleet_file: Callable[..., Path], recording: Path) -> Fleet:
    return load_fleet(fleet_file({name: {"url": str(recording), "loop": True} for name in NAMES}))


class Running:
    """A front that runs in a thread, and what a subscriber of it hears."""

    def __init__(self, fleet: Fleet, cluster: ThreadCluster) -> None:
        self.cluster, self.front = cluster, Front(fleet, cluster)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        try:
            self.ready = self.front.open()
            self.books = FleetBooks(self.ready.endpoint)
            self._thread.start()
        except BaseException:
            self.front.close()
            raise

    def _run(self) -> None:
        try:
            self.front.run()
        except PipelineError as error:
            self.error = error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    @property
    def on(self) -> dict[str, set[str]]:
        """The cameras of each machine's shard."""
        return {shard.machine.split()[0]: set(shard.cameras) for shard in self.front.shards}

    def more_of(self, names: list[str], within: Callable) -> None:
        """Wait for ten frames more of each of these cameras."""
        wanted = {name: self.books.count(name) + 10 for name in names}
        wait_until(within, lambda: all(self.books.count(name) >= count for name, count in wanted.items()))

    def close(self, leave: bool = False) -> None:
        self.front.stop()
        self._thread.join(DEADLINE_S)
        (self.front.leave if leave else self.front.close)()
        with self.books:
            pass


@contextmanager
def running(fleet: Fleet, *machines: str) -> Iterator[Running]:
    it = Running(fleet, ThreadCluster(*machines))
    try:
        yield it
    finally:
        it.close()


def test_front_gives_one_subscriber_the_cameras_of_all_machines(fleet: Fleet, runtime: Path, within: Callable):
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        assert sorted(map(len, it.on.values())) == [2, 2]
    assert it.books.unbalanced() == []
    assert list((runtime / "camfleet").glob("[!.]*")) == []


def test_front_whose_machine_dies_has_its_cameras_elsewhere_and_the_others_lose_no_frame(
    fleet: Fleet, runtime: Path, within: Callable
):
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        lost, kept = sorted(it.on["a"]), sorted(it.on["b"])
        it.cluster.lose("a")
        wait_until(within, lambda: all(len(it.books.sessions(name)) == 2 for name in lost))
        it.more_of(NAMES, within)
        assert it.on == {"b": set(NAMES)}
    assert it.books.unbalanced() == []
    assert [it.books.unheard(name) for name in kept] == [0, 0]
    assert [len(it.books.sessions(name)) for name in kept] == [1, 1]


def test_front_says_of_cameras_whose_machine_is_gone_what_becomes_of_them(
    fleet: Fleet, runtime: Path, within: Callable
):
    with running(fleet, "a") as it:
        it.more_of(NAMES, within)
        it.cluster.lose("a")
        wait_until(within, lambda: any(state.detail == "there is no machine for it" for state in it.books.states))
    assert {state.state for state in it.books.states if state.detail in (GONE, "there is no machine for it")} == {
        "retrying"
    }


def test_front_told_to_drain_moves_cameras_without_a_gap(fleet: Fleet, runtime: Path, within: Callable):
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        moving = sorted(it.on["a"])
        Requests(it.front).drain("a")
        wait_until(within, lambda: it.on == {"b": set(NAMES)})
        it.more_of(NAMES, within)
    assert it.books.unbalanced() == []
    for name in NAMES:
        assert len(it.books.sessions(name)) == 1 + (name in moving)
        assert it.books.unheard(name) == 0
    assert "removed" not in {state.state for state in it.books.states if state.camera_id in moving}


def test_front_whose_proxy_is_killed_serves_its_subscribers_again(fleet: Fleet, runtime: Path, within: Callable):
    with running(fleet, "a") as it:
        it.more_of(NAMES, within)
        (proxy,) = [one for one in it.front.status() if one.name == "proxy"]
        assert proxy.pid is not None
        os.kill(proxy.pid, signal.SIGKILL)
        wait_until(within, lambda: it.books.subscriber.statistics().reconnects)
        it.more_of(NAMES, within)
    assert it.books.unbalanced() == []
    assert [len(it.books.sessions(name)) for name in NAMES] == [1] * 4


def test_front_told_of_a_changed_file_touches_only_what_changed(fleet: Fleet, runtime: Path, within: Callable):
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        requests = Requests(it.front)
        changes = requests.add("new", {"url": str(fleet.cameras["cam0"].url), "loop": True})
        assert changes.added == ("new",)
        it.more_of([*NAMES, "new"], within)
        assert requests.remove("cam1").removed == ("cam1",)
        assert requests.status()["cameras"] == ["cam0", "cam2", "cam3", "new"]
        it.more_of(["cam0", "cam2", "cam3", "new"], within)
    assert [len(it.books.sessions(name)) for name in (*NAMES, "new")] == [1] * 5
    assert [it.books.unheard(name) for name in (*NAMES, "new")] == [0] * 5
    assert "removed" in {state.state for state in it.books.states if state.camera_id == "cam1"}


def test_front_that_is_scaled_has_as_many_shards_as_are_wanted_and_says_why(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable
):
    cameras = {name: {"url": str(recording), "loop": True} for name in NAMES}
    fleet = load_fleet(fleet_file(cameras, scale={"autoscale": {"least": 1, "most": 2}}))
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        assert list(it.on.values()) == [set(NAMES)]
        assert it.cluster.requested == 1
        wait_until(within, lambda: "1 of 1 shards serve" in it.front.scaling)
        assert Requests(it.front).status()["scaling"] == "1 of 1 shards serve; 1 shard to begin with"
    assert it.cluster.requested == 0


def test_front_has_several_shards_on_a_machine_that_has_room_for_them(
    fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable
):
    cameras = {name: {"url": str(recording), "loop": True} for name in NAMES}
    fleet = load_fleet(fleet_file(cameras, scale={"cpus": 0.5, "per_machine": 4}))
    with running(fleet, "a") as it:
        it.more_of(NAMES, within)
        wait_until(within, lambda: it.front.settled)
        assert [len(shard.cameras) for shard in it.front.shards] == [2, 2]
    assert it.books.unbalanced() == []


def test_front_that_comes_after_another_takes_up_the_cameras_in_their_sessions(
    fleet: Fleet, runtime: Path, within: Callable
):
    cluster = ThreadCluster("a", "b")
    first = Running(fleet, cluster)
    try:
        first.more_of(NAMES, within)
    finally:
        first.close(leave=True)
    second = Running(fleet, cluster)
    try:
        second.more_of(NAMES, within)
    finally:
        second.close()
    for name in NAMES:
        assert first.books.sessions(name) == second.books.sessions(name)
    assert cluster.kept == {}


def test_front_that_comes_after_another_has_its_own_model_take_over_on_all_machines_or_on_none(
    fleet: Fleet, runtime: Path, within: Callable, monkeypatch: pytest.MonkeyPatch
):
    cluster = ThreadCluster("a", "b")
    first = Running(fleet, cluster)
    try:
        first.more_of(NAMES, within)
    finally:
        first.close(leave=True)
    with monkeypatch.context() as patched:
        patched.setattr(cluster.on["b"].shard, "prepare", refusing)
        second = Running(with_boxes(fleet, 5), cluster)
        try:
            wait_until(within, lambda: not second.front.changing)
            second.more_of(NAMES, within)
            wait_until(within, lambda: {len(second.books.frames[name][-1].tracks) for name in NAMES} == {3})
            assert second.front.fleet.model == fleet.model
        finally:
            second.close(leave=True)
    third = Running(with_boxes(fleet, 5), cluster)
    try:
        third.more_of(NAMES, within)
        wait_until(within, lambda: all(len(third.books.frames[name][-1].tracks) == 5 for name in NAMES))
    finally:
        third.close()
    for name in NAMES:
        assert first.books.sessions(name) == second.books.sessions(name) == third.books.sessions(name)


def with_boxes(fleet: Fleet, count: int) -> Fleet:
    """With a model that sees so many."""
    options = {"a_ms": 3, "boxes": count}
    return fleet.model_copy(update={"model": fleet.model.model_copy(update={"options": options})})


def test_second_proxy_is_another_endpoint_and_what_comes_by_both_is_heard_once(
    fleet: Fleet, runtime: Path, within: Callable
):
    with running(fleet, "a", "b") as it, Standby(fleet, it.cluster) as standby:
        endpoints = [standby.open().endpoint, it.ready.endpoint]
        thread = threading.Thread(target=standby.run)
        thread.start()
        with FleetBooks(endpoints) as both:
            wait_until(within, lambda: all(both.count(name) > 20 for name in NAMES))
            proxy = next(one for one in it.front.status() if one.name == "proxy")
            assert proxy.pid is not None
            os.kill(proxy.pid, signal.SIGKILL)
            wanted = {name: both.count(name) + 20 for name in NAMES}
            wait_until(within, lambda: all(both.count(name) >= count for name, count in wanted.items()))
            assert both.subscriber.statistics().repeated > 0
            assert both.subscriber.statistics().missed == {}
        standby.stop()
        thread.join(DEADLINE_S)
    assert [both.unheard(name) for name in NAMES] == [0] * 4
    assert both.unbalanced() == []


def test_second_proxy_of_a_fleet_that_does_not_run_says_so(fleet: Fleet, runtime: Path):
    with pytest.raises(ClusterError, match="no fleet “test” runs in this cluster"):
        Standby(fleet, ThreadCluster("a"))


def test_front_of_a_cluster_without_machines_says_so(fleet: Fleet, runtime: Path):
    with Front(fleet, ThreadCluster()) as front, pytest.raises(PipelineError, match="no machine of the cluster"):
        front.open()


def test_front_pauses_a_camera_wherever_it_is_and_over_a_move_and_a_reload(
    fleet: Fleet, runtime: Path, within: Callable
):
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        paused = min(it.on["a"])
        requests = Requests(it.front)
        requests.pause(paused)
        assert requests.status()["paused"] == [paused]
        wait_until(within, lambda: it.books.state(paused) == "paused")
        requests.drain("a")
        wait_until(within, lambda: it.on == {"b": set(NAMES)})
        requests.add("new", {"url": str(fleet.cameras["cam0"].url), "loop": True})
        others = [*(name for name in NAMES if name != paused), "new"]
        it.more_of(others, within)
        heard = it.books.count(paused)
        it.more_of(others, within)
        assert requests.status()["paused"] == [paused]
        assert it.books.count(paused) == heard
        assert it.books.state(paused) == "paused"
        requests.resume(paused)
        it.more_of([paused], within)
        assert requests.status()["paused"] == []
    assert len(it.books.sessions(paused)) == 2
    assert it.books.unbalanced() == []


def test_front_has_another_model_take_over_on_all_machines(fleet: Fleet, runtime: Path, within: Callable):
    other = with_boxes(fleet, 5)
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        assert it.front.submit(lambda front: front.apply(other)).result(DEADLINE_S).model
        assert it.front.fleet.model == other.model
        wait_until(within, lambda: all(len(it.books.frames[name][-1].tracks) == 5 for name in NAMES))
        it.more_of(NAMES, within)
    assert [len(it.books.sessions(name)) for name in NAMES] == [1] * 4
    assert [it.books.unheard(name) for name in NAMES] == [0] * 4
    assert it.books.unbalanced() == []


def test_front_of_which_one_machine_cannot_load_another_model_leaves_it_on_all(
    fleet: Fleet, runtime: Path, within: Callable, monkeypatch: pytest.MonkeyPatch
):
    other = with_boxes(fleet, 5)
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        monkeypatch.setattr(it.cluster.on["b"].shard, "prepare", refusing)
        answer = it.front.submit(lambda front: front.apply(other))
        words = r"on every machine: 127\.0\.0\.1 \(b\): there is no such file"
        with pytest.raises(ControlError, match=words):
            answer.result(DEADLINE_S)
        assert it.front.fleet.model == fleet.model
        it.more_of(NAMES, within)
        wait_until(within, lambda: {len(it.books.frames[name][-1].tracks) for name in NAMES} == {3})
        assert it.front.settled


def refusing(fleet: Fleet) -> None:
    raise DetectorError("the model stays as it was: there is no such file")


def test_front_takes_a_snapshot_of_a_camera_on_another_machine_with_the_boxes_of_that_frame(
    fleet: Fleet, runtime: Path, within: Callable, monkeypatch: pytest.MonkeyPatch
):
    for patience in ("PICTURE_S", "RESULT_S", "HEARD_S"):
        monkeypatch.setattr(f"pipeline.web.snapshot.{patience}", DEADLINE_S)
    with running(fleet, "a", "b") as it:
        it.more_of(NAMES, within)
        for name in NAMES:
            jpeg = snapshot(it.front.directory, it.ready.inside, name, boxes=True)
            assert jpeg.startswith(b"\xff\xd8")


def test_front_asked_for_a_clip_of_a_camera_that_keeps_nothing_says_so(
    fleet: Fleet, runtime: Path, within: Callable, tmp_path: Path
):
    with running(fleet, "a") as it:
        it.more_of(NAMES, within)
        with pytest.raises(ControlError, match="camera “cam0” keeps nothing; give it an evidence_url"):
            Requests(it.front).clip("cam0", tmp_path / "clip.mp4", 1, 2)


def test_second_front_of_one_fleet_is_refused_and_follows_when_the_first_was_killed(
    fleet: Fleet, runtime: Path, within: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(claim, "CLAIM_S", 0.2)
    with running(fleet, "a") as it:
        it.more_of(NAMES, within)
        with pytest.raises(ClusterError, match="the fleet “test” is run from elsewhere already"):
            Front(fleet, it.cluster)

        def follows() -> bool:
            it.cluster.mark().now_s += HELD_S  # as if the first had been silent for so long; it may still speak first
            with suppress(ClusterError):
                fronts.append(Front(fleet, it.cluster))
            return bool(fronts)

        fronts: list[Front] = []
        wait_until(within, follows)
        with fronts[0] as second:
            wait_until(within, lambda: it.ended)
            assert isinstance(it.error, ClusterError)
            it.front.close()
            assert second.open()
            assert it.books.unbalanced() == []
