"""Random kills of every kind of process of a fleet, and whether an event is lost or told twice.

    .venv/bin/python scripts/chaos_events.py                                # 50 kills in 10 minutes
    .venv/bin/python scripts/chaos_events.py --seconds 60 --kills 8 --seed 7 --json

Cameras over RTSP show a recording over and over of which each crossing and each visit is known (`endurance.parade`);
a detector finds the figures without fail. Every process may be killed (SIGKILL): cameras, the worker, the publisher,
the rules, the sink, the fork server, the resource tracker, and the supervisor itself, which is started again as a
service manager does. What was told is what the sink has kept.

What must hold: no event is lost but those that happened while the camera had no pictures; none is told twice, neither
under its own name nor under another; none is told that did not happen. A camera has no pictures where no frame of which
something is known was published for 0.3 s, whichever process was the cause; a figure has to be seen before and behind
what it passes, so a gap within a second of that counts. Told apart from all this: events that were not told where the
detector, on a machine with other work, came less than twice a second. A kill may also end a fleet that just starts; it
is started again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import msgspec
import yaml
from endurance.faults import plan
from endurance.owner import SUPERVISOR, Owner, free_endpoint, wait_until_served
from endurance.parade import LOOP_S, RULES, passages, record
from endurance.run import Run, say
from endurance.tally import SELDOM_S, Tally, aligned, expected, gaps, passage_of, pause_s, repeated, tally

from pipeline.clock import NS_PER_S
from pipeline.replay import Playback, ReplayOptions, serve_recordings
from pipeline.wire.event import Event

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = {
    "camera": 4,
    "worker": 3,
    "publisher": 3,
    "events": 4,
    "sink": 3,
    SUPERVISOR: 2,
    "fork server": 1,
    "resource tracker": 1,
}
QUIET_S = 2 * LOOP_S
"""Without a kill, at the beginning: where the recording is, is told by what is told."""
RECONNECT = {"initial_s": 0.2, "max_s": 1}
SETTLE_S, CALM_S, LOOK_S = 3.0, 15.0, 0.05
EDGE_S = 2.0
"""Of the time that is judged, at both ends."""


class _Frame(msgspec.Struct, tag_field="kind", tag="detections"):
    camera_id: str
    captured_at_ns: int
    origin: str


class _Event(Event, tag_field="kind", tag="events", frozen=True, kw_only=True):
    pass


_line = msgspec.json.Decoder(_Frame | _Event)


def main() -> None:
    """Run it, print what was found; exit code 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="over how long the kills are spread")
    parser.add_argument("--kills", type=int, default=50, help="how many")
    parser.add_argument("--cameras", type=int, default=4, help="how many")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000), help="which ones")
    parser.add_argument("--keep", type=Path, help="keep the fleet's log and what the sink has kept in this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object, for machines")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # The fleet that it started does not outlive it.
    say(f"seed {options.seed}: {options.kills} kills in {options.seconds:g} s")
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        report = _chaos(options, options.keep or Path(folder))
    print(json.dumps(report, indent=2, ensure_ascii=False) if options.json else _text(report))
    sys.exit(1 if report["does not hold"] else 0)


def _chaos(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
    served = ReplayOptions((record(folder / "parade.mp4"),), options.cameras, playback=Playback(paced="even"))
    with serve_recordings(served) as server:
        owner = Owner(_fleet_file(folder, server.urls), folder)
        owner.start()
        try:
            wait_until_served(owner, options.cameras)
            time.sleep(SETTLE_S)
            quiet_s = time.time(), time.time() + QUIET_S
            time.sleep(QUIET_S)
            run = Run(owner, plan(options.seed, options.kills, options.seconds, WEIGHTS, (SIGKILL,)))
            while run.go_on():
                time.sleep(LOOK_S)
            calm_s = time.monotonic()
            while time.monotonic() < calm_s + CALM_S:
                run.go_on()
                time.sleep(LOOK_S)
            until_s = time.time()
            time.sleep(SETTLE_S)
        finally:
            owner.end()
    return _report(options, run, owner, _account(folder / "kept", quiet_s, until_s))


def _fleet_file(folder: Path, urls: Any) -> Path:
    body = {
        "name": "endurance",
        "publish": {"bind": free_endpoint()},
        "model": {"path": "parade", "backend": "endurance.bright:make"},
        "defaults": {
            "stride": 2,
            "open_timeout_s": 3,
            "read_timeout_s": 2,
            "reconnect": {"initial_s": 0.2, "max_s": 1},
        },
        "sinks": {"kept": {"kind": "file", "path": str(folder / "kept"), "format": "jsonl"}},
        "cameras": {f"cam{number}": {"url": url, **RULES} for number, url in enumerate(urls)},
    }
    file = folder / "fleet.yaml"
    file.write_text(yaml.safe_dump(body, sort_keys=False))
    return file


def _read(kept: Path) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, list[Event]]]:
    """By camera: when it had pictures of which something is known, when detections, and its events."""
    frames: dict[str, list[float]] = defaultdict(list)
    detected: dict[str, list[float]] = defaultdict(list)
    events: dict[str, list[Event]] = defaultdict(list)
    for file in sorted(kept.glob("*.jsonl*")):
        for line in file.read_bytes().splitlines():
            message = _line.decode(line)
            if isinstance(message, Event):
                events[message.camera_id].append(message)
            elif message.origin != "skipped":
                frames[message.camera_id].append(message.captured_at_ns / NS_PER_S)
                if message.origin == "detected":
                    detected[message.camera_id].append(message.captured_at_ns / NS_PER_S)
    return frames, detected, events


@dataclass(frozen=True)
class _Account:
    """What became of all events: of how many cameras, without pictures for how long, and what was told twice."""

    tally: Tally
    cameras: int
    silent_s: float
    twice: list[str]


def _account(kept: Path, quiet_s: tuple[float, float], until_s: float) -> _Account:
    """By what the sink has kept; `quiet_s` is when nothing was killed yet, wall time."""
    frames, detected, events = _read(kept)
    total, silent_s, from_s = Tally(), 0.0, quiet_s[0]
    for camera_id, found in events.items():
        told = [passage for one in found if not one.withdrawn and (passage := passage_of(one)) is not None]
        start_s = aligned(passages(), [one for one in told if from_s + EDGE_S < one.at_s < quiet_s[1]])
        begin_s, end_s = _whole_turns(start_s + pause_s(passages()), from_s, until_s)
        known = expected(passages(), start_s, begin_s, end_s)
        silent = gaps([from_s, *(at_s for at_s in frames[camera_id] if from_s < at_s < until_s), until_s])
        silent_s += sum(b - a for a, b in silent)
        within = [one for one in told if begin_s < one.at_s < end_s]
        total += tally(known, within, silent, gaps(detected[camera_id], SELDOM_S))
    return _Account(total, len(events), silent_s, repeated([one for found in events.values() for one in found]))


def _whole_turns(pause_s: float, from_s: float, until_s: float) -> tuple[float, float]:
    """The first and last moment between two times in which nothing happens: where `pause_s` comes round."""
    first = math.ceil((from_s + EDGE_S - pause_s) / LOOP_S)
    last = math.floor((until_s - EDGE_S - pause_s) / LOOP_S)
    return pause_s + first * LOOP_S, pause_s + last * LOOP_S


def _report(options: argparse.Namespace, run: Run, owner: Owner, account: _Account) -> dict[str, Any]:
    total = account.tally
    report = {
        "seed": options.seed,
        "seconds": options.seconds,
        "kills": len(run.injected),
        "by kind": dict(Counter(one.fault.kind for one in run.injected).most_common()),
        "cameras": account.cameras,
        "without pictures, s of all cameras": round(account.silent_s, 1),
        "known": total.known,
        "told": total.told,
        "told although the camera had no pictures then": total.told_in_gaps,
        "not told, the camera had no pictures": total.lost_in_gaps,
        "not told, the detector had no time for the camera": total.lost_seldom,
        "lost": [str(one) for one in total.lost],
        "told twice under one name": account.twice,
        "told twice under two names": [str(one) for one in total.doubled],
        "told and did not happen": [str(one) for one in total.false],
        "fleets that a kill ended while they started": [code for code, wanted in owner.ends if not wanted],
        "processes left": [str(one) for one in owner.still_alive()],
    }
    return report | {"does not hold": _broken(report, options)}


def _broken(report: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """What does not hold, by its name in the report."""
    nothing = (
        "lost",
        "told twice under one name",
        "told twice under two names",
        "told and did not happen",
        "processes left",
    )
    broken = [name for name in nothing if report[name]]
    broken += ["kills"] if report["kills"] < options.kills else []
    return broken + (["cameras"] if report["cameras"] < options.cameras else [])


def _text(report: dict[str, Any]) -> str:
    """A table of Markdown; what is wrong in full below it."""
    rows = [f"| {name} | {_short(value)} |" for name, value in report.items() if name != "does not hold"]
    wrong = [
        f"{name}:\n  " + "\n  ".join(map(str, value))
        for name in report["does not hold"]
        if (value := report[name]) and isinstance(value, list)
    ]
    broken = report["does not hold"]
    end = f"does not hold: {', '.join(broken)}" if broken else "everything holds"
    return "\n".join(["| | |", "|---|---|", *rows, "", *wrong, end])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return str(len(value) if isinstance(value, list) else value)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
