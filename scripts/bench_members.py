"""What it costs a running fleet that cameras come and go, that its file is reloaded, and that its model is swapped.

    .venv/bin/python scripts/bench_members.py                    # reload, swap, join and leave; medians of 3 runs
    .venv/bin/python scripts/bench_members.py --comings 500      # and so many come and go: what is left

Twelve cameras of 1280x720 at 25 fps, real footage over RTSP with a key frame a second, YOLO26n INT8; a swap goes to
YOLO11n and back. Everything is seen by a subscriber, on the same machine. A camera counts as untouched if no change
named it: all of its frames are to be published, in one session, none of its track ids anew.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from footage import as_cameras, data_folder

from pipeline import CameraState, Fleet, FrameResult, Subscriber, SubscriberTimeout
from pipeline.bench import machine
from pipeline.replay import ReplayOptions, serve_recordings

FOOTAGE = ["town_people", "street_vehicles", "retail_people"]
GIVE_UP_S = 60.0
LOOK_S = 0.005

Figures = dict[str, float]


class Ears:
    """Hears everything that the fleet publishes, with the time it came."""

    def __init__(self, endpoint: str) -> None:
        self.frames: list[tuple[float, FrameResult]] = []
        self.states: list[tuple[float, CameraState]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(endpoint,))
        self._thread.start()

    def since(self, since_s: float, until_s: float = float("inf")) -> list[FrameResult]:
        """Frames heard in that span, monotonic s."""
        return [frame for at_s, frame in self.frames if since_s <= at_s < until_s]

    def first(self, camera_id: str, since_s: float) -> float:
        """When the first frame of this camera came after then."""
        return self._await(lambda: (at for at, one in self.frames if at >= since_s and one.camera_id == camera_id))

    def gone(self, camera_id: str, since_s: float) -> float:
        """When the fleet said that this camera is removed."""
        return self._await(
            lambda: (
                at for at, one in self.states if at >= since_s and (one.camera_id, one.state) == (camera_id, "removed")
            )
        )

    def close(self) -> None:
        """Hear no more."""
        self._stop.set()
        self._thread.join()

    def _await(self, find: Callable[[], Iterator[float]]) -> float:
        give_up_s = time.monotonic() + GIVE_UP_S
        while (found := next(find(), None)) is None:
            if time.monotonic() > give_up_s:
                sys.exit("what was waited for did not come within a minute; see the lines above")
            self._stop.wait(LOOK_S)
        return found

    def _run(self, endpoint: str) -> None:
        with Subscriber(endpoint, states=True, timeout_s=0.2, queue=0) as messages:
            while not self._stop.is_set():
                try:
                    message = messages.receive()
                except SubscriberTimeout:
                    continue
                kept: list[Any] = self.frames if isinstance(message, FrameResult) else self.states
                kept.append((time.monotonic(), message))


def main() -> None:
    """Measure, and print the medians."""
    options = _options()
    recordings = as_cameras(FOOTAGE, (1280, 720), 25)
    runs = []
    for repeat in range(options.repeats):
        print(f"run {repeat + 1} of {options.repeats} …", file=sys.stderr, flush=True)
        with _fleet(recordings, options) as (fleet, ears, path, spare):
            runs.append({**_reload(fleet, ears, path, spare, options), **_join_and_leave(fleet, ears, spare)})
            runs[-1] |= _swap(fleet, ears, path)
        print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
    told: dict[str, Any] = {"machine": machine.name(), "cores": machine.usable_cores(), "repeats": options.repeats}
    told |= {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    if options.comings:
        with _fleet(recordings, options) as (fleet, ears, _, spare):
            told |= _come_and_go(fleet, ears, spare, options.comings)
    print(json.dumps(told, indent=2))


@contextmanager
def _fleet(recordings: list[Path], options: argparse.Namespace) -> Iterator[tuple[Fleet, Ears, Path, list[str]]]:
    """A running fleet of all but two of the cameras served, its ears, its file, and the addresses of those two."""
    served = ReplayOptions(tuple(recordings), cameras=options.cameras + 2)
    with tempfile.TemporaryDirectory() as folder, serve_recordings(served) as server:
        *urls, one, other = server.urls
        path = Path(folder) / "bench.yaml"
        cameras = {f"cam{number}": {"url": url} for number, url in enumerate(urls)}
        body = {"model": {"path": str(options.model)}, "publish": {"bind": "tcp://127.0.0.1:0"}, "cameras": cameras}
        path.write_text(yaml.safe_dump(body))
        with Fleet(path) as fleet:
            ears = Ears(fleet.endpoint)
            try:
                ears.first(f"cam{options.cameras - 1}", 0.0)
                _pause(options.warmup)
                yield fleet, ears, path, [one, other]
            finally:
                ears.close()


def _reload(fleet: Fleet, ears: Ears, path: Path, spare: list[str], options: argparse.Namespace) -> Figures:
    """One camera changes, two join, two leave: what the untouched get, against the time before."""
    touched = ("cam0", "cam1", "cam2")
    before_s = time.monotonic() - options.warmup / 2
    began_s = time.monotonic()
    body = yaml.safe_load(path.read_text())
    body["cameras"]["cam0"]["stride"] = 4
    del body["cameras"]["cam1"], body["cameras"]["cam2"]
    body["cameras"] |= {"new1": {"url": spare[0]}, "new2": {"url": spare[1]}}
    path.write_text(yaml.safe_dump(body))
    fleet.reload()
    answered_s = time.monotonic()
    for name in ("new1", "new2"):
        ears.first(name, began_s)
    _pause(options.seconds)
    before = [one for one in ears.since(before_s, began_s) if one.camera_id not in touched]
    after = [one for one in ears.since(began_s) if one.camera_id not in (*touched, "new1", "new2")]
    p95 = [float(np.percentile([one.age_ms for one in some], 95)) for some in (before, after)]
    return {
        "reload answered, s": answered_s - began_s,
        "reload: untouched frames lost": _missing([*before, *after]),
        "reload: untouched sessions begun anew": _sessions([*before, *after]),
        "reload: p95 of the untouched before, ms": p95[0],
        "reload: p95 of the untouched after, ms": p95[1],
        "reload: p95 changed, %": 100 * (p95[1] / p95[0] - 1),
    }


def _join_and_leave(fleet: Fleet, ears: Ears, spare: list[str]) -> Figures:
    began_s = time.monotonic()
    fleet.add_camera("comer", url=spare[0])
    joined_s = ears.first("comer", began_s) - began_s
    _pause(2.0)
    left_s = time.monotonic()
    fleet.remove_camera("comer")
    gone_s = ears.gone("comer", left_s) - left_s
    _pause(1.5)
    last = max((at_s for at_s, one in ears.frames if one.camera_id == "comer"), default=left_s) - left_s
    return {"added: first frame after, s": joined_s, "removed: said after, s": gone_s, "removed: last frame, s": last}


def _swap(fleet: Fleet, ears: Ears, path: Path) -> Figures:
    """YOLO11n for YOLO26n: frames lost, and how long no detection came."""
    body = yaml.safe_load(path.read_text())
    body["model"] = {"path": str(data_folder() / "models" / "yolo11n_int8_openvino_model")}
    path.write_text(yaml.safe_dump(body))
    began_s = time.monotonic()
    fleet.reload()
    took_s = time.monotonic() - began_s
    _pause(3.0)
    frames = ears.since(began_s - 2.0)
    detected_s = sorted(at_s for at_s, one in ears.frames if at_s >= began_s - 2.0 and one.origin == "detected")
    gaps = np.diff(detected_s) if len(detected_s) > 1 else np.array([GIVE_UP_S])
    return {
        "swap: answered, s": took_s,
        "swap: frames lost": _missing(frames),
        "swap: longest without any detection, s": float(gaps.max()),
        "swap: sessions begun anew": _sessions(frames),
    }


def _come_and_go(fleet: Fleet, ears: Ears, spare: list[str], times: int) -> Figures:
    """Add and remove a camera so many times: what is more than before."""
    me = psutil.Process()
    worker = psutil.Process(next(process.pid for process in fleet.processes if process.role == "worker"))

    def once(number: int) -> None:
        began_s = time.monotonic()
        fleet.add_camera(f"guest{number}", url=spare[0])
        ears.first(f"guest{number}", began_s)
        fleet.remove_camera(f"guest{number}")
        ears.gone(f"guest{number}", began_s)
        ears.frames.clear()
        ears.states.clear()

    def count() -> Figures:
        _pause(4.0)
        shared = [path.stat().st_size for path in Path("/dev/shm").glob(f"camfleet-{me.pid}-*")]
        return {
            "processes": len(me.children(recursive=True)),
            "descriptors of the supervisor": me.num_fds(),
            "descriptors of the worker": worker.num_fds(),
            "shared-memory files": len(shared),
            "MB of the worker (USS)": worker.memory_full_info().uss / 1e6,
        }

    for number in range(20):
        once(-number)
    before = count()
    for number in range(times):
        once(number)
        if number % 50 == 49:
            held_mb = worker.memory_full_info().uss / 1e6
            print(f"{number + 1} of {times} have come and gone; {held_mb:.1f} MB", file=sys.stderr, flush=True)
    after = count()
    return {f"{times} comings and goings: more {name}": round(after[name] - before[name], 1) for name in before}


def _missing(frames: list[FrameResult]) -> float:
    """Frames that were lost, or told as lost, by their numbers."""
    missing = 0
    for numbers in _by_session(frames).values():
        missing += numbers[-1] - numbers[0] + 1 - len(numbers)
    return float(missing + sum(sum(one.lost.values()) for one in frames))


def _sessions(frames: list[FrameResult]) -> float:
    """Sessions beyond one a camera."""
    return float(len(_by_session(frames)) - len({one.camera_id for one in frames}))


def _by_session(frames: list[FrameResult]) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for one in frames:
        found.setdefault((one.camera_id, one.session_id), []).append(one.frame_id)
    return found


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--model", type=Path, help="default: YOLO26n INT8 OpenVINO of the test material")
    parser.add_argument("--warmup", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=8, help="that the untouched are watched after the reload")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--comings", type=int, default=0, help="cameras that come and go, one after the other")
    options = parser.parse_args()
    options.model = options.model or data_folder() / "models" / "yolo26n_int8_openvino_model"
    return options


if __name__ == "__main__":
    main()
