"""A shard whose network is cut for twenty seconds and heals: in a network namespace, which takes root."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ctypes import c_int64
from pathlib import Path

import pytest

from pipeline import keys
from pipeline.clock import SystemClock
from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from pipeline.scale.proxy.loop import Proxy
from pipeline.scale.proxy.orders import Feed, Orders
from pipeline.scale.proxy.spec import ProxySpec
from pipeline.scale.shard import Shard, ShardKeys, ShardReady, ShardSpec
from tests.fleet_books import FleetBooks
from tests.waiting import DEADLINE_S, wait_until

CUT_S = 20.0
NEAR, FAR = "198.18.77.1", "198.18.77.2"
"""Of the network for measurements (RFC 2544), which nobody else has."""
CUT, OTHERS = ("cut0", "cut1"), ("here0", "here1")


def _may_make_networks() -> bool:
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nsenter"):
        return False
    return subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.whole_machine,
    pytest.mark.skipif(
        not _may_make_networks(), reason="no network namespace can be made here: it takes root and ip(8)"
    ),
]


class Network:
    """A process's network of its own, on a wire that can be cut."""

    def __init__(self, pid: int) -> None:
        self._near, self._far = f"cf{pid}a", f"cf{pid}b"
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", str(pid))
        inside = ("nsenter", "-t", str(pid), "-n")
        _ip("addr", "add", f"{NEAR}/30", "dev", self._near)
        _ip("addr", "add", f"{FAR}/30", "dev", self._far, inside=inside)
        _ip("link", "set", "lo", "up", inside=inside)
        _ip("link", "set", self._far, "up", inside=inside)
        self.heal()

    def cut(self) -> None:
        _ip("link", "set", self._near, "down")

    def heal(self) -> None:
        _ip("link", "set", self._near, "up")

    def close(self) -> None:
        subprocess.run(["ip", "link", "del", self._near], check=False, capture_output=True)


def _ip(*words: str, inside: tuple[str, ...] = ()) -> None:
    subprocess.run([*inside, "ip", *words], check=True, capture_output=True)


@pytest.fixture
def fleet(fleet_file: Callable[..., Path], recording: Path) -> Fleet:
    return load_fleet(fleet_file({name: {"url": str(recording), "loop": True} for name in (*CUT, *OTHERS)}))


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[keys.Pair, keys.Pair]:
    return keys.make_pair("shard", tmp_path), keys.make_pair("proxy", tmp_path)


def part(fleet: Fleet, names: tuple[str, ...]) -> Fleet:
    return fleet.model_copy(update={"cameras": {name: fleet.cameras[name] for name in names}})


@contextmanager
def far_shard(spec: ShardSpec, file: Path) -> Iterator[tuple[Network, str]]:
    """A shard behind a wire: the wire, and where the shard publishes."""
    file.write_bytes(pickle.dumps(spec))
    command = ["unshare", "-n", sys.executable, "-m", "tests.cut_shard", str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        network = Network(int(process.stdout.readline()))
        try:
            process.stdin.write("begin\n")
            process.stdin.flush()
            endpoint = process.stdout.readline().strip()
            while not endpoint.startswith("tcp://"):  # its log goes the same way
                endpoint = process.stdout.readline().strip()
            yield network, endpoint
        finally:
            process.stdin.close()
            process.wait(DEADLINE_S)
            network.close()


@contextmanager
def proxy(orders: Orders, own_key: keys.Certificate) -> Iterator[str]:
    spec = ProxySpec("proxy", "test", "tcp://127.0.0.1:0", 1000, orders=orders, own_key=own_key)
    it = Proxy(spec, SystemClock())
    thread = threading.Thread(target=it.run, args=(c_int64(),))
    thread.start()
    try:
        yield it.ready.endpoint
    finally:
        it.stop()
        thread.join(DEADLINE_S)


def test_shard_that_is_cut_off_for_a_while_goes_on_in_its_sessions_and_the_others_lose_nothing(
    fleet: Fleet, pairs: tuple[keys.Pair, keys.Pair], runtime: Path, tmp_path: Path, within: Callable
):
    of_shard, of_proxy = pairs
    between = ShardKeys(of_shard.secret.read_bytes(), of_proxy.public.read_bytes())
    server_key = keys.read_certificate(of_shard.public).public
    with ExitStack() as stack:
        near = Shard(leave=lambda: None)
        stack.callback(near.end)
        near.stay()
        ready: ShardReady = near.begin(ShardSpec("near", "127.0.0.1", part(fleet, OTHERS), 1, between))
        spec = ShardSpec("far", FAR, part(fleet, CUT), 1, between)
        network, far = stack.enter_context(far_shard(spec, tmp_path / "spec"))
        feeds = (
            Feed(shard="near", endpoint=ready.endpoint, server_key=server_key),
            Feed(shard="far", endpoint=far, server_key=server_key),
        )
        where = {**dict.fromkeys(OTHERS, "near"), **dict.fromkeys(CUT, "far")}
        orders = Orders(feeds=feeds, where=where)
        endpoint = stack.enter_context(proxy(orders, keys.read_certificate(of_proxy.secret)))
        books = stack.enter_context(FleetBooks(endpoint))
        wait_until(within, lambda: all(books.count(name) > 20 for name in where))

        network.cut()
        threading.Event().wait(CUT_S)
        assert "its machine (far) says nothing" in books.subscriber.fleets["test"].broken_by["cut0"]
        network.heal()

        wanted = {name: books.count(name) + 20 for name in where}
        wait_until(within, lambda: all(books.count(name) >= count for name, count in wanted.items()))
        missed = books.subscriber.statistics().missed
    for name in OTHERS:
        assert (len(books.sessions(name)), books.unheard(name)) == (1, 0)
    for name in CUT:
        assert len(books.sessions(name)) == 1
        assert books.unheard(name) >= missed[name] > 100
    assert books.unbalanced() == []
