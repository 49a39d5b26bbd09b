"""A fleet over nodes of Ray, which are processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import yaml

from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from pipeline.errors import ClusterError, ConfigError
from pipeline.runscope import SHARED_MEMORY, RunLease
from pipeline.scale.claim import Claim
from pipeline.scale.front import Front
from pipeline.scale.on_ray import RayCluster, address_of
from pipeline.scale.ray_actors import _forget, _is_led
from pipeline.scale.shard import LEASE_S
from pipeline.scale.store import Store
from tests.fleet_books import FleetBooks
from tests.ray_machines import WITH_RAY, RayMachines
from tests.waiting import DEADLINE_S, wait_until

if find_spec("ray") is None:
    pytest.skip("Ray is not installed: pip install 'camfleet[ray]'", allow_module_level=True)

pytestmark = WITH_RAY
NAMES = [f"cam{number}" for number in range(6)]


@pytest.fixture(scope="module")
def machines() -> Iterator[RayMachines]:
    it = RayMachines({"site-north": 1.0}, {}, {}, clients=True)
    try:
        yield it
    finally:
        it.close()


@pytest.fixture
def fleet(fleet_file: Callable[..., Path], recording: Path) -> Fleet:
    cameras = {name: {"url": str(recording), "loop": True} for name in NAMES}
    cameras["cam0"]["needs"] = ["site-north"]
    return load_fleet(fleet_file(cameras))


class Running:
    """A front that runs in this process, and what a subscriber of it hears."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.books = FleetBooks(front.open().endpoint)
        self._thread = threading.Thread(target=front.run)
        self._thread.start()

    @property
    def on(self) -> dict[str, set[str]]:
        """The cameras of each machine's shard, by the beginning of its id."""
        return {one.machine.split()[0]: set(one.cameras) for one in self.front.shards if one.condition == "serving"}

    def more(self, within: Callable) -> None:
        """Wait for ten frames more of every camera."""
        wanted = {name: self.books.count(name) + 10 for name in NAMES}
        wait_until(within, lambda: all(self.books.count(name) >= count for name, count in wanted.items()))

    def close(self) -> None:
        self.front.stop()
        self._thread.join(DEADLINE_S)
        self.front.close()
        with self.books:
            pass


@contextmanager
def running(fleet: Fleet, machines: RayMachines, shards: int, within: Callable) -> Iterator[Running]:
    with RayCluster(machines.address, fleet.name) as cluster, Front(fleet, cluster) as front:
        it = Running(front)
        try:
            wait_until(within, lambda: len(it.on) == shards and front.settled)
            yield it
        finally:
            it.close()


def left_of_fleets() -> set[str]:
    """Shared memory of fleets, and their processes."""
    found = {file.name for file in SHARED_MEMORY.glob("camfleet-*")}
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        # The fork server of this process's own front lives as long as the process.
        if "ray::ShardHolder" in words or ("forkserver" in words and process.ppid() != os.getpid()):
            found.add(f"{process.pid} {words}")
    return found


def test_fleet_over_machines_of_ray_loses_one_drains_one_and_leaves_nothing_behind(
    fleet: Fleet, machines: RayMachines, runtime: Path, within: Callable
):
    before = left_of_fleets()
    extra = machines.join({})
    with running(fleet, machines, 4, within) as it:
        it.more(within)
        north = next(name for name, cameras in it.on.items() if "cam0" in cameras)
        lost = sorted(it.on[extra[:8]])
        assert lost
        others = [name for name in NAMES if name not in lost]

        machines.kill(extra)
        wait_until(within, lambda: all(len(it.books.sessions(name)) == 2 for name in lost))
        it.more(within)
        assert [len(it.books.sessions(name)) for name in others] == [1] * len(others)
        assert [it.books.unheard(name) for name in others] == [0] * len(others)

        emptied = next(name for name, cameras in it.on.items() if cameras and name != north)
        moving = it.on[emptied]
        it.front.submit(lambda front: front.drain(emptied)).result(DEADLINE_S)
        wait_until(within, lambda: emptied not in it.on)
        it.more(within)
        assert "cam0" in it.on[north]
        for name in NAMES:
            assert len(it.books.sessions(name)) == 1 + (name in lost) + (name in moving)
            assert it.books.unheard(name) == 0
    assert it.books.unbalanced() == []
    with RunLease():
        pass  # Whatever starts next sweeps up after what was killed.
    wait_until(within, lambda: left_of_fleets() <= before)


def camfleet(*words: object) -> subprocess.CompletedProcess[str]:
    """A command, done."""
    command = [sys.executable, "-m", "pipeline", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)


BUSY = "Initialization failure from server"
"""What Ray says when its server for another client has not begun in time."""


@contextmanager
def serving(machines: RayMachines, file: Path, on: str) -> Iterator[subprocess.Popen[str]]:
    """A front whose first shard serves; tried again where Ray is too busy for another client."""
    for _ in range(3):
        with started(machines, "run", file, "--on", on, "--quiet") as front:
            assert front.stderr is not None
            said: list[str] = []
            for line in front.stderr:
                said.append(line)
                if "the shards of the cluster" in line:
                    yield front
                    return
        assert BUSY in "".join(said), said
    pytest.fail("Ray's client server serves no client")


@contextmanager
def started(machines: RayMachines, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A command, running."""
    command = [sys.executable, "-m", "pipeline", *map(str, words)]
    environment = {**os.environ, "RAY_ADDRESS": machines.address}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_serving(within: Callable, cameras: str = "6 live") -> None:
    """Until `camfleet status` says so of all three shards."""

    def told() -> bool:
        done = camfleet("status")
        return done.returncode == 0 and cameras in done.stdout and done.stdout.count(": serving") == 3

    wait_until(within, told)


def end(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, which leaves nothing to complain of."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err


@pytest.fixture
def file(fleet_file: Callable[..., Path], recording: Path) -> Path:
    return fleet_file({name: {"url": str(recording), "loop": True} for name in NAMES}, slo={"p95_ms": 5000})


def test_fleet_over_ray_is_run_and_asked_by_the_commands(
    file: Path, machines: RayMachines, runtime: Path, within: Callable, tmp_path: Path
):
    scaled = {**yaml.safe_load(file.read_text()), "scale": {"autoscale": {"least": 3, "most": 3}}}
    file.write_text(yaml.safe_dump(scaled))
    with serving(machines, file, "ray") as it:
        wait_until_serving(within)
        wait_until(within, lambda: "3 of 3 shards serve; 3 shards to begin with" in camfleet("status").stdout)
        ask_of_cameras(tmp_path)
        swap_models(file)
        end(it)


def swap_models(file: Path) -> None:
    """Another model on all machines, and one that they cannot load."""
    whole = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**whole, "model": {"backend": "stub", "options": {"a_ms": 3}}}))
    done = camfleet("reload")
    assert (done.returncode, done.stdout.strip()) == (0, "another model has taken over"), done.stderr
    file.write_text(yaml.safe_dump({**whole, "model": {"backend": "stub", "options": {"speed": 3}}}))
    done = camfleet("reload")
    assert done.returncode == 2
    assert "the model stays as it was on every machine: " in done.stderr
    assert "speed" in done.stderr


def ask_of_cameras(folder: Path) -> None:
    """The commands about a single camera, wherever that is."""
    picture = folder / "cam1.jpg"
    taken = camfleet("snapshot", "cam1", picture, "--boxes")
    assert taken.returncode == 0, taken.stderr
    assert picture.read_bytes().startswith(b"\xff\xd8")
    assert camfleet("camera", "pause", "cam2").returncode == 0
    found = json.loads(camfleet("status", "--json").stdout)
    assert found["paused"] == ["cam2"]
    clip = camfleet("clip", "cam1", folder / "clip.mp4")
    assert (clip.returncode, "keeps nothing" in clip.stderr) == (2, True)
    nobody = camfleet("camera", "pause", "cam9")
    assert (nobody.returncode, "the fleet has no camera “cam9”" in nobody.stderr) == (2, True)
    assert camfleet("camera", "resume", "cam2").returncode == 0


@pytest.mark.long
def test_fleet_over_ray_is_run_by_a_client_from_outside_which_is_the_only_front(
    file: Path, machines: RayMachines, runtime: Path, within: Callable, tmp_path: Path
):
    with serving(machines, file, machines.outside) as first:
        wait_until_serving(within)
        ask_of_cameras(tmp_path)
        assert "the fleet “test” is run from elsewhere already" in refusal(machines, file)
        before = shards()
        first.kill()
        first.wait(DEADLINE_S)
        with serving(machines, file, machines.outside) as second:
            wait_until_serving(within)
            assert shards() == before
            end(second)


def refusal(machines: RayMachines, file: Path) -> str:
    """What a further front says that may not run."""
    for _ in range(3):
        with started(machines, "run", file, "--on", machines.outside, "--quiet") as front:
            _, err = front.communicate(timeout=2 * DEADLINE_S)
            assert front.returncode == 2, err
        if BUSY not in err:
            return err
    pytest.fail("Ray's client server serves no other client")


def shards() -> set[str]:
    """The names of those that serve."""
    return {one["name"] for one in json.loads(camfleet("status", "--json").stdout)["shards"]}


@pytest.mark.long
def test_proxy_of_a_fleet_over_ray_ends_when_the_front_is_gone_and_nothing_of_it_stays(
    file: Path, machines: RayMachines, runtime: Path, within: Callable
):
    fleet = load_fleet(file)
    with serving(machines, file, "ray") as front:
        wait_until_serving(within)
        with started(machines, "proxy", file, "--on", "ray", "--bind", "tcp://127.0.0.1:0") as proxy:
            assert proxy.stderr is not None
            assert "→ tcp://127.0.0.1:" in proxy.stderr.readline()
            front.kill()
            front.wait(DEADLINE_S)
            _, err = proxy.communicate(timeout=2 * LEASE_S)
            assert proxy.returncode == 0, err
            assert "no front has led it for a minute" in err
    with RayCluster(machines.address, fleet.name) as cluster:
        assert Store(cluster).read() is None
        assert Store(cluster).read_keys() is None
    wait_until(within, lambda: not [name for name in left_of_fleets() if "ShardHolder" in name])


def test_second_front_of_one_fleet_is_refused(fleet: Fleet, machines: RayMachines):
    with RayCluster(machines.address, fleet.name) as cluster:
        assert not _is_led(fleet.name)
        first, second = Claim(cluster, fleet.name), Claim(cluster, fleet.name)
        first.take(time.sleep)
        assert _is_led(fleet.name)

        def wait(seconds: float) -> None:
            time.sleep(seconds)
            first.keep(time.monotonic())

        with pytest.raises(ClusterError, match="is run from elsewhere already"):
            second.take(wait)
        first.release(time.sleep, ended=False)
        second.take(time.sleep)
        second.release(time.sleep, ended=True)
        for forget in (lambda: cluster.delete("state"), lambda: _forget(fleet.name)):
            cluster.put("state", b"1")
            assert cluster.get("state") == b"1"
            forget()
            assert cluster.get("state") is None
        assert cluster.find("nobody") is None


@pytest.mark.parametrize("on", ["kubernetes", "ray:/host", "ray://", "10.0.0.1:6379"])
def test_address_that_is_none_is_told_with_what_is_expected(on: str):
    with pytest.raises(ConfigError, match="expected ray, for the cluster of this machine, or ray://HOST:PORT"):
        address_of(on)


def test_address_of_a_cluster_is_what_ray_takes():
    assert address_of("ray") == "auto"
    assert address_of("ray://head.example:10001") == "ray://head.example:10001"
