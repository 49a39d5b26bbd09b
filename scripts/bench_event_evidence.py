"""What keeping evidence of events costs, how soon it is there, and whether the picture is the moment that is told.

    .venv/bin/python scripts/bench_event_evidence.py [--cameras 6] [--events 5] [--json out.json]

Real footage with its frames numbered in the pixels is served small (640×360, detected) and large (1280×720, kept) by
`camfleet replay`. Every camera has events a few seconds apart. Told are the memory in which the latest ten seconds of
all cameras lie; how long after its post-roll a clip is on disk under its name, and how long after it the event is told
to be kept, with its picture; and by how many frames the number in the picture differs from the number that was
detected on the frame whose box is told. The server shows the large stream later by a known time, which is taken off.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import psutil
from footage import numbered
from peers.blocks import read
from peers.number_detector import WH, number_in

from pipeline import Evidence, Fleet, FrameResult, Subscriber, SubscriberTimeout
from pipeline.clock import NS_PER_S
from pipeline.evidence.record import Record, read_record
from pipeline.replay.options import Playback, ReplayOptions, phase_s
from pipeline.replay.process import ServedRecordings, serve_recordings

FPS, SECONDS = 25, 60.0
LARGE_WH = (1280, 720)
SCENES = ("street_vehicles", "town_people")
BEFORE_S, AFTER_S = 5, 5
BEGINS_S, APART_S = 12, 4
"""When the first event of a camera is, and how far apart they are; by then ten seconds are in memory."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--events", type=int, default=5, help="of each camera")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scenes = [SCENES[number % len(SCENES)] for number in range(options.cameras)]
    files = tuple(numbered([scene], wh, FPS, SECONDS)[0] for scene in scenes for wh in (WH, LARGE_WH))
    with (
        serve_recordings(ReplayOptions(files, playback=Playback(offset_s=0))) as server,
        tempfile.TemporaryDirectory() as folder,
        Fleet(_fleet_file(Path(folder), server, options.events)) as fleet,
    ):
        row = _measure(fleet, options.cameras, options.events, len(files))
    print(json.dumps(row, indent=2))
    if options.json:
        options.json.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")


def _fleet_file(folder: Path, server: ServedRecordings, events: int) -> Path:
    zones = {f"z{number}": {"when": f"dwell > {BEGINS_S + number * APART_S}s"} for number in range(events)}
    for number in range(events):
        zones[f"z{number}"]["classes"] = "high"
    pairs = zip(server.urls[::2], server.urls[1::2], strict=True)
    content = {
        "model": {"path": "-", "backend": "peers.number_detector:make"},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "slo": {"p95_ms": 5000},
        "defaults": {"stride": {"min": 2, "max": 8}},
        "evidence": {"before_s": BEFORE_S, "after_s": AFTER_S, "longest_s": BEFORE_S + AFTER_S},
        "cameras": {
            f"c{number}": {"url": sub, "evidence_url": main, "zones": zones} for number, (sub, main) in enumerate(pairs)
        },
    }
    file = folder / "fleet.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def _measure(fleet: Fleet, cameras: int, events: int, streams: int) -> dict[str, Any]:
    numbers: dict[tuple[str, str, int], int] = {}
    kept: list[tuple[Evidence, float]] = []
    memory: list[float] = []
    stop = threading.Event()
    watching = threading.Thread(target=_watch, args=(fleet, memory, stop))
    watching.start()
    cpu_s = time.monotonic(), _cpu_s(fleet)
    give_up_s = time.monotonic() + BEGINS_S + APART_S * events + 60
    with Subscriber(fleet.endpoint, states="all", timeout_s=5) as messages:
        while len(kept) < cameras * events and time.monotonic() < give_up_s:
            try:
                message = messages.receive()
            except SubscriberTimeout:
                continue
            if isinstance(message, FrameResult) and (number := number_in(message.tracks)) is not None:
                numbers[message.camera_id, message.session_id, message.frame_id] = number
            elif isinstance(message, Evidence):
                kept.append((message, time.time()))
    share = (_cpu_s(fleet) - cpu_s[1]) / (time.monotonic() - cpu_s[0])
    stop.set()
    watching.join()
    records = [(one, told_s, record) for one, told_s in kept if (record := read_record(Path(one.record))) is not None]
    return {
        "cameras": cameras,
        "events": len(kept),
        "memory_mb": max(memory, default=None),
        "core_share": round(share, 3),
        "clip_s": _spread([Path(one.clip).stat().st_ctime - _ends_s(record) for one, _, record in records if one.clip]),
        "told_s": _spread([told_s - _ends_s(record) for _, told_s, record in records]),
        "without_clip": sum(not one.clip for one, _, _ in records),
        "aligned_by": sorted({str(record.clip.aligned_by) for _, _, record in records if record.clip}),
        "frames_off": _spread(
            [
                off
                for one, _, record in records
                if (off := _off(one, record, numbers, int(one.camera_id[1:]), streams)) is not None
            ]
        ),
    }


def _ends_s(record: Record) -> float:
    """When its post-roll is over."""
    return record.event.at_ns / NS_PER_S + AFTER_S


def _off(
    one: Evidence, record: Record, numbers: dict[tuple[str, str, int], int], camera: int, streams: int
) -> float | None:
    """By how many frames the picture is off."""
    shot = record.snapshot
    if shot is None or (told := numbers.get((one.camera_id, shot.session_id, shot.frame_id))) is None:
        return None
    shown = read(cv2.imread(one.snapshot, cv2.IMREAD_GRAYSCALE))
    if shown is None:
        return None
    later = (phase_s(2 * camera + 1, streams, FPS) - phase_s(2 * camera, streams, FPS)) * FPS
    frames = round(FPS * SECONDS)
    return abs((told - shown - later + frames / 2) % frames - frames / 2)


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "count": len(values),
        "median": round(statistics.median(values), 3),
        "worst": round(max(values), 3),
    }


def _watch(fleet: Fleet, memory: list[float], stop: threading.Event) -> None:
    """What the process says of its memory."""
    while not stop.wait(1.0):
        said = " ".join(process.detail for process in fleet.processes if process.role == "evidence")
        memory.extend(float(mb) for mb in re.findall(r"([\d.]+) MB in memory", said))


def _cpu_s(fleet: Fleet) -> float:
    """What the process has used of processors, s."""
    pids = [process.pid for process in fleet.processes if process.role == "evidence" and process.pid]
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    main()
