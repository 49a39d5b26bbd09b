"""What becomes of a fleet over a Ray cluster when a machine dies, when one drains, and when one joins.

    .venv/bin/python scripts/bench_ray.py                    # 3 machines, 24 cameras; about a minute

The machines are nodes of Ray on this one, each with a raylet of its own, besides a head that holds no shard. The
cameras are recordings of 320x180 at 25 fps that begin again and again, the detector is the stub. Everything is seen by
one subscriber of the fleet's one endpoint. A machine dies by SIGKILL of its raylet and all that runs under it, at once.

`back` is from that moment to the first frame of each of its cameras in its new session; `missing` counts frames within
a session that were neither heard nor told to be lost.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from endurance.books import Books
from moving_fleet import Ears, draw_square, summary

from pipeline.bench import machine
from pipeline.config import load_fleet
from pipeline.runscope import SHARED_MEMORY, RunLease
from pipeline.scale.front import Front
from pipeline.scale.on_ray import HEAD_OPTIONS, RayCluster

GIVE_UP_S = 90.0
SETTLE_S = 8.0

Figures = dict[str, Any]


class Machines:
    """A cluster of Ray on this machine: a head, and nodes that can be killed."""

    def __init__(self, count: int) -> None:
        """Start all of them."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        head = {
            "num_cpus": 0,
            "include_dashboard": False,
            "_system_config": HEAD_OPTIONS,
            "object_store_memory": 80 << 20,
        }
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address
        self.nodes = [self.join() for _ in range(count)]

    def join(self) -> Any:
        """Another node."""
        return self._cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=80 << 20)

    def kill(self, node: Any) -> int:
        """SIGKILL of all that a node holds; how many processes that were."""
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        everything = [raylet, *raylet.children(recursive=True)]
        for process in everything:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        return len(everything)

    def close(self) -> None:
        """End all of them."""
        self._cluster.shutdown()


def main() -> None:
    """Measure, and print the figures as JSON."""
    options = _options()
    told: Figures = {
        "machine": machine.name(),
        "cores": machine.usable_cores(),
        "load": f"{options.machines} machines, {options.cameras} cameras",
    }
    before = _left()
    with tempfile.TemporaryDirectory() as folder:
        file = _fleet_file(Path(folder), options.cameras)
        machines = Machines(options.machines)
        try:
            told |= _measure(file, machines)
        finally:
            machines.close()
    with RunLease():  # Whatever starts next of this user sweeps up after the machine that was killed.
        pass
    told["left behind"] = sorted(_left() - before)
    print(json.dumps(told, indent=2))


def _measure(file: Path, machines: Machines) -> Figures:
    fleet = load_fleet(file)
    began_s = time.monotonic()
    with RayCluster(machines.address, fleet.name) as cluster, Front(fleet, cluster) as front:
        ears = Ears(front.open().endpoint, Books())
        running = threading.Thread(target=front.run)
        running.start()
        try:
            _await(lambda: len(ears.books.arrivals_s) == len(fleet.cameras), "every camera's first frame")
            told: Figures = {"all cameras publish after, s": round(time.monotonic() - began_s, 2)}
            _await(lambda: front.settled, "settling")
            threading.Event().wait(SETTLE_S)
            told |= {"killed": _kill(front, ears, machines)}
            told |= {"joined": _join(front, machines)}
            told |= {"drained": _drain(front, ears)}
        finally:
            front.stop()
            running.join()
            front.close()
            ears.close()
    return told | summary(ears.books)


def _kill(front: Front, ears: Ears[Books], machines: Machines) -> Figures:
    """One machine dies."""
    victim = machines.nodes[0]
    shard = next(one for one in front.shards if victim.node_id.startswith(one.machine.split()[0]))
    others = {name for name in front.fleet.cameras if name not in shard.cameras}
    sessions = {name: set(ears.books.sessions[name]) for name in front.fleet.cameras}
    at_s = time.monotonic()
    killed = machines.kill(victim)
    _await(lambda: all(ears.books.sessions[name] - sessions[name] for name in shard.cameras), "cameras that come back")
    threading.Event().wait(SETTLE_S)
    back_s = [_first_after_a_gap(ears.books.arrivals_s[name], at_s) - at_s for name in shard.cameras]
    return {
        "processes killed": killed,
        "its cameras": len(shard.cameras),
        "back after, s: first, last": [round(min(back_s), 2), round(max(back_s), 2)],
        "others: frames missing": sum(
            count for when, name, count in ears.books.missing if name in others and when > at_s
        ),
        "others: new sessions": sum(len(ears.books.sessions[name] - sessions[name]) for name in others),
        "others: longest silence, s": round(max(_longest(ears.books.arrivals_s[name], at_s) for name in others), 2),
    }


def _join(front: Front, machines: Machines) -> Figures:
    """Another machine joins: it gets a shard, and nothing moves."""
    at_s, before = time.monotonic(), len(front.shards)
    machines.nodes.append(machines.join())
    _await(lambda: len([one for one in front.shards if one.condition == "serving"]) > before, "a shard that joins")
    return {"its shard is warm after, s": round(time.monotonic() - at_s, 2)}


def _drain(front: Front, ears: Ears[Books]) -> Figures:
    """One machine is emptied."""
    shard = max(front.shards, key=lambda one: len(one.cameras))
    sessions = {name: set(ears.books.sessions[name]) for name in front.fleet.cameras}
    at_s = time.monotonic()
    front.submit(lambda running: running.drain(shard.machine.split()[0])).result()
    _await(lambda: all(one.name != shard.name for one in front.shards), "the end of a shard")
    took_s = time.monotonic() - at_s
    threading.Event().wait(2.0)
    return {
        "its cameras": len(shard.cameras),
        "empty after, s": round(took_s, 2),
        "frames missing": sum(count for when, _, count in ears.books.missing if when > at_s),
        "cameras with a new session": sum(bool(ears.books.sessions[name] - sessions[name]) for name in shard.cameras),
        "others: new sessions": sum(
            len(ears.books.sessions[name] - sessions[name]) for name in sessions if name not in shard.cameras
        ),
        "longest silence of a camera, s": round(
            max(_longest(ears.books.arrivals_s[name], at_s) for name in sessions), 2
        ),
    }


def _first_after_a_gap(arrivals_s: list[float], since_s: float) -> float:
    """When the first frame came after the longest silence since then: some were on their way."""
    after = [at_s for at_s in arrivals_s if at_s >= since_s - 1]
    gaps = [later - earlier for earlier, later in pairwise(after)]
    return after[int(np.argmax(gaps)) + 1]


def _longest(arrivals_s: list[float], since_s: float) -> float:
    after = [since_s, *(at_s for at_s in arrivals_s if at_s >= since_s), time.monotonic()]
    return max(later - earlier for earlier, later in pairwise(after))


def _await(done: Callable[[], object], what: str) -> None:
    give_up_s = time.monotonic() + GIVE_UP_S
    while not done():
        if time.monotonic() > give_up_s:
            sys.exit(f"{what} did not come within {GIVE_UP_S:.0f} s; see the lines above")
        threading.Event().wait(0.01)


def _left() -> set[str]:
    """Processes and shared memory of fleets and of Ray."""
    found = {file.name for file in SHARED_MEMORY.glob("camfleet-*")}
    for process in psutil.process_iter(["name", "cmdline", "username"]):
        words = " ".join(process.info["cmdline"] or [process.info["name"] or ""])
        own = os.getpid() in (process.pid, process.ppid())  # the fork server of a front lives as long as its process
        if ("camfleet" in words or "ray::" in words or "raylet" in words) and not own:
            found.add(f"{process.pid} {words[:80]}")
    return found


def _fleet_file(folder: Path, cameras: int) -> Path:
    """A fleet of so many recordings."""
    recording = draw_square(folder / "square.mp4")
    body = {
        "name": "bench",
        "model": {"backend": "stub", "options": {"a_ms": 2}},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "cameras": {f"cam{n:02d}": {"url": str(recording), "loop": True, "stride": 2} for n in range(cameras)},
    }
    file = folder / "fleet.yaml"
    file.write_text(yaml.safe_dump(body))
    return file


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--cameras", type=int, default=24)
    return parser.parse_args()


if __name__ == "__main__":
    main()
