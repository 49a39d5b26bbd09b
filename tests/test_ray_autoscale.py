"""A fleet over Ray whose nodes Ray's own autoscaler starts and ends; they are processes of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.runscope import RunLease
from pipeline.scale.cluster import Share
from pipeline.scale.front import Front
from pipeline.scale.on_ray import RayCluster
from pipeline.scale.ray_actors import _forget
from tests.fleet_books import FleetBooks
from tests.ray_machines import WITH_RAY, RayCloud
from tests.waiting import DEADLINE_S, wait_until

if find_spec("ray") is None:
    pytest.skip("Ray is not installed: pip install 'camfleet[ray]'", allow_module_level=True)

pytestmark = [*WITH_RAY, pytest.mark.long]
FEW, MANY = ["cam0"], ["cam0", "cam1", "cam2"]
SOON = {"least": 1, "most": 2, "short_s": 3, "idle_s": 4, "ask_again_s": 4, "give_again_s": 4}


@pytest.fixture(scope="module")
def cloud() -> Iterator[RayCloud]:
    it = RayCloud(most=2, idle_s=2.0)
    try:
        yield it
    finally:
        it.close()


def nodes(cluster: RayCluster) -> int:
    """Those of the cloud: the head has no cores."""
    return sum(one.resources.get("CPU", 0) > 0 for one in cluster.machines())


def test_fleet_whose_load_grows_and_falls_gets_a_node_gives_it_back_and_loses_no_frame(
    cloud: RayCloud, fleet_file: Callable[..., Path], recording: Path, runtime: Path, within: Callable
):
    def fleet_of(names: list[str]) -> Path:
        """Each camera keeps two fifths of a shard busy."""
        return fleet_file(
            {name: {"url": str(recording), "loop": True} for name in names},
            model={"backend": "stub", "options": {"b_ms": 16}},
            scale={"cpus": 1, "autoscale": SOON},
        )

    fleet = load_fleet(fleet_of(FEW))
    with RayCluster(cloud.address, fleet.name) as cluster, Front(fleet, cluster) as front:
        books = FleetBooks(front.open().endpoint)
        running = threading.Thread(target=front.run)
        running.start()
        try:
            wait_until(within, lambda: books.count("cam0") > 50)
            assert nodes(cluster) == 1

            many = load_fleet(fleet_of(MANY))
            front.submit(lambda it: it.apply(many)).result(DEADLINE_S)
            wait_until(within, lambda: "2 needed, 1 there" in front.scaling)
            wait_until(within, lambda: nodes(cluster) == 2)
            wait_until(within, lambda: sum(bool(one.cameras) for one in front.shards) == 2 and front.settled)

            few = load_fleet(fleet_of(FEW))
            front.submit(lambda it: it.apply(few)).result(DEADLINE_S)
            wait_until(within, lambda: nodes(cluster) == 1 and len(front.shards) == 1)
            assert "1 shard given back" in front.scaling
            more = books.count("cam0") + 50
            wait_until(within, lambda: books.count("cam0") > more)
        finally:
            front.stop()
            running.join(DEADLINE_S)
            front.close()
            with books:
                pass
    assert books.unbalanced() == []
    assert [books.unheard(name) for name in MANY] == [0, 0, 0]
    with RunLease():
        pass
    wait_until(within, lambda: not cloud.processes())


def test_requests_of_two_fleets_are_for_both(cloud: RayCloud, within: Callable):
    with RayCluster(cloud.address, "one") as cluster:
        cluster.request(Share(cpus=1), 1)
    with RayCluster(cloud.address, "two") as cluster:
        cluster.request(Share(cpus=1), 1)
        wait_until(within, lambda: nodes(cluster) == 2)
        cluster.request(Share(cpus=1), 0)
        wait_until(within, lambda: nodes(cluster) == 1)
    with RayCluster(cloud.address, "one") as cluster:
        _forget("one")  # As the mark and the shards of a front do that was killed for good.
        wait_until(within, lambda: nodes(cluster) == 0)
