"""Whether a clip of the main stream shows the moments that were detected on the sub-stream.

    .venv/bin/python scripts/bench_evidence.py [--rounds 3] [--json out.json]

The same real footage, its frames numbered in the pixels, is served small (640×360, detected) and large (1280×720, kept)
by `camfleet replay`. A clip is ordered for the seconds that were detected; each detected frame is compared with the
clip's frame nearest to it in time. By RTCP the server's own offset between the two is known and taken off. Without (the
clocks of both cameras are an hour wrong), the large stream comes later by some time, and jitters.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import av
from footage import numbered
from peers.blocks import read
from peers.number_detector import WH, number_in

from pipeline import Fleet, Subscriber
from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.replay.faults import Fault
from pipeline.replay.options import Playback, ReplayOptions, phase_s
from pipeline.replay.process import ServedRecordings, serve_recordings
from pipeline.wire import CameraState, EvidenceState

FPS, SECONDS, DETECTED_S = 25, 120.0, 4.0
LARGE_WH = (1280, 720)
SETTLED_S = 40.0
"""How long the streams may take to be aligned; scenes in which little moves take longest."""
SCENES = ("street_vehicles", "town_people", "retail_people", "road_person")
LATE_MS = (None, 0, 300, 800)
"""How much later the large stream comes, with 50 ms of jitter; None where the cameras send RTCP with a true clock."""


def main() -> None:
    """Print a row for each scene and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for scene in SCENES:
        files = tuple(numbered([scene], wh, FPS, SECONDS)[0] for wh in (WH, LARGE_WH))
        for late_ms in LATE_MS:
            rounds = [_measure(files, late_ms) for _ in range(options.rounds)]
            results.append({"scene": scene, "late_ms": late_ms, **_summary(rounds)})
            print(results[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    known = [one for one in rounds if one["told_error_ms"] is not None]
    row: dict[str, Any] = {"rounds": len(rounds), "aligned": len(known)}
    for key in ("median_ms", "worst_ms", "told_error_ms", "after_s"):
        row[key] = round(statistics.median(one[key] for one in known), 1) if known else None
    row["clip_ms"] = round(statistics.median(one["clip_ms"] for one in rounds), 1)
    row["ring_mb"] = round(statistics.median(one["ring_mb"] for one in rounds), 2)
    return row


def _measure(files: tuple[Path, ...], late_ms: float | None) -> dict[str, Any]:
    """One fleet of one camera, and one clip."""
    with (
        serve_recordings(ReplayOptions(files, playback=Playback(offset_s=0))) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        if late_ms is not None:
            _spoil(server, late_ms)
        with Fleet(_fleet_file(Path(folder), server)) as fleet:
            began_s = time.monotonic()
            told = _await_aligned(fleet, "content" if late_ms is not None else "rtcp")
            after_s = time.monotonic() - began_s
            detected = _detected(fleet)
            time.sleep(1 + (late_ms or 0) / 1000)
            out = Path(folder) / "clip.mp4"
            asked_s = time.monotonic()
            clip = fleet.clip("gate", out, from_ns=min(detected), to_ns=max(detected))
            clip_ms = (time.monotonic() - asked_s) * 1000
        known_ms = phase_s(1, 2, FPS) * 1000 if late_ms is None else 0.0
        apart_ms = [abs(one - known_ms) for one in _apart_ms(detected, _kept(out, clip.from_ns))]
    return {
        "median_ms": statistics.median(apart_ms),
        "worst_ms": max(apart_ms),
        "told_error_ms": clip.error_ms,
        "after_s": after_s,
        "clip_ms": clip_ms,
        "ring_mb": told.size / 1e6,
    }


def _spoil(server: ServedRecordings, late_ms: float) -> None:
    for name, delay_ms in zip(server.names, (0.0, late_ms), strict=True):
        server.inject(name, Fault("time_jump", 0, jump_s=3600))
        server.inject(name, Fault("delay", 600, delay_ms=delay_ms, jitter_ms=50))


def _fleet_file(folder: Path, server: ServedRecordings) -> Path:
    file = folder / "fleet.yaml"
    sub, main = server.urls
    content = {
        "model": {"path": "-", "backend": "peers.number_detector:make"},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "slo": {"p95_ms": 5000},
        "defaults": {"stride": 1},
        "cameras": {"gate": {"url": sub, "evidence_url": main}},
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def _await_aligned(fleet: Fleet, by: str) -> EvidenceState:
    """The camera's word once ten seconds are kept, and the streams are aligned or will not be."""
    give_up_s = time.monotonic() + SETTLED_S
    with Subscriber(fleet.endpoint, states=True, timeout_s=30) as messages:
        for message in messages:
            told = message.evidence if isinstance(message, CameraState) else None
            if told and told.seconds >= 10 and (told.aligned_by == by or time.monotonic() > give_up_s):
                return told
    raise AssertionError


def _detected(fleet: Fleet) -> dict[int, int]:
    """Number by capture time."""
    found: dict[int, int] = {}
    with fleet.results(timeout_s=30) as results:
        for result in results:
            if result.origin == "detected" and (number := number_in(result.tracks)) is not None:
                found[result.captured_at_ns] = number
            if found and result.captured_at_ns - min(found) > DETECTED_S * NS_PER_S:
                return found
    raise AssertionError


def _kept(clip: Path, from_ns: int) -> dict[int, int]:
    with av.open(str(clip)) as container:
        seen = [(frame.time or 0.0, read(frame.to_ndarray(format="gray"))) for frame in container.decode(video=0)]
    return {from_ns + round((at_s - seen[0][0]) * NS_PER_S): number for at_s, number in seen if number is not None}


def _apart_ms(detected: dict[int, int], kept: dict[int, int]) -> list[float]:
    """By how much each moment of the clip is earlier than the one that was detected, ms of the footage.

    The distance to the nearest frame is taken off: what is left is the error of the time itself.
    """
    apart = []
    for at_ns, number in detected.items():
        if min(kept) <= at_ns <= max(kept):
            nearest_ns = min(kept, key=lambda other_ns: abs(other_ns - at_ns))
            frames = (number - kept[nearest_ns] + FPS * SECONDS / 2) % (FPS * SECONDS) - FPS * SECONDS / 2
            apart.append(frames / FPS * 1000 - (at_ns - nearest_ns) / NS_PER_MS)
    return apart


if __name__ == "__main__":
    main()
