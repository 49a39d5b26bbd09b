"""What becomes of a fleet over Ray when its load grows beyond its machines, and when it falls again.

    .venv/bin/python scripts/bench_autoscale.py              # from 4 cameras to 12 and back; about three minutes

Ray's own autoscaler runs, with its own stand-in for a cloud: the nodes that it starts and ends are processes of this
machine (`tests/ray_machines.py`). The times of the policy are short. Cameras are recordings of 320x180 at 25 fps that
begin again and again, and the detector is the stub, which takes 10 ms for a picture without using a core: a shard does
100 detections a second, and a camera at its least stride of 2 wants 12.5. Everything is seen by one subscriber of the
fleet's one endpoint.

`missing` counts frames within a session that were neither heard nor told to be lost.
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
from pathlib import Path
from typing import Any

import yaml
from endurance.books import Books
from moving_fleet import Ears, draw_square, summary
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline.bench import machine
from pipeline.config import load_fleet
from pipeline.runscope import RunLease
from pipeline.scale.front import Front
from pipeline.scale.on_ray import RayCluster
from pipeline.wire import CameraState, FrameResult
from tests.ray_machines import RayCloud

GIVE_UP_S = 180.0
CALM_S = 10.0
LEAST_STRIDE = 2
POLICY = {"least": 1, "most": 3, "short_s": 8, "idle_s": 10, "ask_again_s": 5, "give_again_s": 10}
IDLE_S = 5.0
"""How long Ray keeps a node that holds nothing."""

Figures = dict[str, Any]


class Strides(Books):
    """Also keeps each camera's stride."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__()
        self.strides: dict[str, int] = {}

    def hear(self, message: FrameResult | CameraState) -> None:
        """Note a message."""
        super().hear(message)
        if isinstance(message, FrameResult):
            self.strides[message.camera_id] = message.stride


class Watched:
    """A fleet that runs, and what is seen of it."""

    def __init__(self, front: Front, ears: Ears[Strides], cluster: RayCluster) -> None:
        """Look on."""
        self.front, self.books, self._cluster = front, ears.books, cluster

    def serving(self) -> int:
        """Shards that serve."""
        return sum(one.condition == "serving" for one in self.front.shards)

    def nodes(self) -> int:
        """Nodes that live, without the head."""
        return sum(one.resources.get("CPU", 0) > 0 for one in self._cluster.machines())

    def apply(self, file: Path) -> float:
        """Run as this file says; when that was said."""
        fleet = load_fleet(file)
        at_s = time.monotonic()
        self.front.submit(lambda running: running.apply(fleet))
        return at_s

    def after(self, since_s: float, what: str, is_so: Callable[[], object]) -> float:
        """Seconds until something is so."""
        give_up_s = time.monotonic() + GIVE_UP_S
        while not is_so():
            if time.monotonic() > give_up_s:
                sys.exit(f"{what}: not within {GIVE_UP_S:.0f} s; {self.front.scaling}; see the lines above")
            threading.Event().wait(0.05)
        return round(time.monotonic() - since_s, 1)


def main() -> None:
    """Measure, and print the figures as a table, or as JSON."""
    options = _options()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        recording = draw_square(Path(folder) / "square.mp4")
        few = _fleet_file(Path(folder) / "few.yaml", recording, options.few)
        many = _fleet_file(Path(folder) / "many.yaml", recording, options.many)
        cloud = RayCloud(most=POLICY["most"], idle_s=IDLE_S)
        try:
            told = _measure(few, many, cloud)
        finally:
            cloud.close()
    with RunLease():  # Whatever starts next of this user sweeps up after what was ended.
        pass
    about = f"{machine.name()}, {machine.usable_cores()} cores; from {options.few} cameras to {options.many} and back"
    if options.json:
        print(json.dumps({"machine": about, **told}, indent=2))
        return
    table = Table("", "measured", title=about)
    for name, figure in told.items():
        table.add_row(name, str(figure))
    Console().print(table)


def _measure(few: Path, many: Path, cloud: RayCloud) -> Figures:
    fleet = load_fleet(few)
    began_s = time.monotonic()
    with RayCluster(cloud.address, fleet.name) as cluster, Front(fleet, cluster) as front:
        ears = Ears(front.open().endpoint, Strides())
        running = threading.Thread(target=front.run)
        running.start()
        try:
            it = Watched(front, ears, cluster)
            all_see = lambda: len(it.books.arrivals_s) == len(fleet.cameras)  # noqa: E731
            told: Figures = {"without a node: all cameras publish after, s": it.after(began_s, "a beginning", all_see)}
            threading.Event().wait(CALM_S)
            told |= _grow(it, many)
            threading.Event().wait(CALM_S)
            told |= {"… cameras of each shard": sorted(len(one.cameras) for one in front.shards)}
            told |= _fall(it, few)
            threading.Event().wait(CALM_S)
        finally:
            front.stop()
            running.join()
            front.close()
            ears.close()
    return told | summary(ears.books)


def _grow(it: Watched, many: Path) -> Figures:
    """More cameras than a shard carries."""
    at_s, nodes = it.apply(many), it.nodes()
    cameras = len(load_fleet(many).cameras)
    short = it.after(at_s, "strides that give way", lambda: max(it.books.strides.values()) > LEAST_STRIDE)
    asked = it.after(at_s, "more that is asked for", lambda: "needed" in it.front.scaling)
    wanted = int(it.front.scaling.split()[2])
    worst = max(it.books.strides.values())
    node = it.after(at_s, "another node", lambda: it.nodes() > nodes)
    warm = it.after(at_s, "a shard that is warm", lambda: it.serving() > 1)
    all_warm = it.after(at_s, "all shards", lambda: it.serving() == wanted)
    moved = it.after(at_s, "cameras that have moved", lambda: it.front.settled and _spread(it) == wanted)
    back = it.after(at_s, "strides that come back", lambda: sorted(it.books.strides.values())[-1] == LEAST_STRIDE)
    return {
        "load grows: strides give way after, s": short,
        "… more shards are asked for, s": asked,
        "… the largest stride until then": worst,
        "… another node is there, s": node,
        "… its shard is warm, s; the last one": f"{warm}; {all_warm}",
        f"… {cameras} cameras are on {wanted} shards and nowhere else, s": moved,
        "… every stride is the least again, s": back,
    }


def _fall(it: Watched, few: Path) -> Figures:
    """Few cameras again."""
    at_s, before = it.apply(few), {name: set(found) for name, found in it.books.sessions.items()}
    kept = load_fleet(few).cameras
    first = it.after(at_s, "a shard that is to go", lambda: "given back" in it.front.scaling)
    last = it.after(at_s, "one shard", lambda: len(it.front.shards) == 1)
    gone = it.after(at_s, "one node", lambda: it.nodes() == 1)
    return {
        "load falls: a shard is to go after, s": first,
        "… one shard is left, s": last,
        "… one node is left, s": gone,
        "… cameras that moved": sum(bool(it.books.sessions[name] - before[name]) for name in kept),
        "… their frames missing": sum(count for when, name, count in it.books.missing if when > at_s and name in kept),
    }


def _spread(it: Watched) -> int:
    """Shards that have cameras."""
    return sum(bool(one.cameras) for one in it.front.shards)


def _fleet_file(file: Path, recording: Path, cameras: int) -> Path:
    """A fleet of so many recordings."""
    stride = {"min": LEAST_STRIDE, "max": 8}
    body = {
        "name": "bench",
        "model": {"backend": "stub", "options": {"b_ms": 10}},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "scale": {"cpus": 1, "autoscale": POLICY},
        "cameras": {f"cam{n:02d}": {"url": str(recording), "loop": True, "stride": stride} for n in range(cameras)},
    }
    file.write_text(yaml.safe_dump(body))
    return file


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=4)
    parser.add_argument("--many", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
