"""Random faults on every kind of process of a fleet under load, and whether it keeps its word.

    make chaos                                                       # 200 faults in 10 minutes
    .venv/bin/python scripts/chaos.py --seed 42                      # the same ones again
    .venv/bin/python scripts/chaos.py --seconds 60 --faults 20 --json

Six recorded cameras over RTSP and a stub detector that is short for them. Processes are killed, stopped (and let go on
after up to 14 s), told to end, and aborted: cameras, the worker, the publisher, the fork server, the resource tracker,
the supervisor itself. A supervisor that has ended is started again, as a service manager does.

What must hold: every message adds up; every frame is heard of or told to be lost (but where the publisher or the
supervisor itself was hit, since then messages are lost on their way); each camera is back within 5 s of the last fault
on it, 6 s where the worker was hit, 10 s where the fleet had to be started; no fleet ends by itself; when all is over,
every camera is live, the fleet ends when told, and nothing stays: no process, no file, no shared memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from endurance.books import Books
from endurance.faults import plan
from endurance.owner import SUPERVISOR, Owner, fleet_file, free_endpoint, wait_until_served
from endurance.recovery import LIMITS_S, Recovery, recoveries, unprovoked
from endurance.run import Run, say

from pipeline.listen import Listener
from pipeline.replay import ReplayOptions, serve_recordings

SAMPLES = Path(__file__).parent.parent / "samples"
CAMERAS = 6
STUB = {"backend": "stub", "input_wh": [640, 384], "lanes": 1, "options": {"a_ms": 20, "b_ms": 15}}
SETTLE_S, CALM_S, LOOK_S = 5.0, 12.0, 0.05
ON_THE_WAY = ("publisher", SUPERVISOR)
"""Whose faults lose messages on their way; no subscriber can be told of that by the one that is gone."""
HAND_OVER_S = 5.0


def main() -> None:
    """Run it, print what was found; exit code 1 where something does not hold."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # The fleet that it started does not outlive it.
    say(f"seed {options.seed}: {options.faults} faults in {options.seconds:g} s")
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        report = _chaos(options, Path(folder))
    print(json.dumps(report, indent=2, ensure_ascii=False) if options.json else _text(report))
    sys.exit(1 if report["does not hold"] else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="over how long the faults are spread")
    parser.add_argument("--faults", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000), help="which ones")
    parser.add_argument("--log", type=Path, help="keep the fleet's log in this file")
    parser.add_argument("--json", action="store_true", help="one JSON object, for machines")
    return parser.parse_args()


def _chaos(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    served = ReplayOptions(tuple(sorted(SAMPLES.glob("*.mp4"))), CAMERAS)
    endpoint, books = free_endpoint(), Books()
    with serve_recordings(served) as server:
        owner = Owner(fleet_file(folder, list(server.urls), endpoint, STUB), folder)
        owner.start()
        try:
            wait_until_served(owner, CAMERAS)
            with Listener(endpoint, books.hear):
                time.sleep(SETTLE_S)
                run = Run(owner, plan(options.seed, options.faults, options.seconds))
                while run.go_on():
                    time.sleep(LOOK_S)
                calm_s = time.monotonic()
                while time.monotonic() < calm_s + CALM_S:
                    time.sleep(LOOK_S)
                live = _live(books)
        finally:
            owner.end()
            if options.log:
                options.log.write_bytes(owner.log.read_bytes())
    return _report(options, owner, books, run, live)


def _live(books: Books) -> list[str]:
    """Cameras that were heard of in the last two seconds."""
    return sorted(one for one, arrivals_s in books.arrivals_s.items() if arrivals_s[-1] > time.monotonic() - 2.0)


def _report(options: argparse.Namespace, owner: Owner, books: Books, run: Run, live: list[str]) -> dict[str, Any]:
    back = {one: recoveries(one, arrivals_s, run.injected) for one, arrivals_s in books.arrivals_s.items()}
    every = [one for found in back.values() for one in found]
    missing = _missing(books, run)
    silent = [
        f"{one}: {long_s:.1f} s at {at_s - run.began_s:.1f} s"
        for one, found in back.items()
        for at_s, long_s in unprovoked(books.arrivals_s[one], found)
    ]
    report = {
        "seed": options.seed,
        "faults": len(run.injected),
        "by signal": dict(Counter(one.fault.signal.name for one in run.injected)),
        "by kind": dict(Counter(one.fault.kind for one in run.injected)),
        "messages": books.messages,
        "messages that do not add up": books.unbalanced,
        "frames neither heard nor told": [
            f"{one}: {count} at {at_s - run.began_s:.1f} s" for at_s, one, count in missing
        ],
        "back after, s": {kind: _times([one for one in every if one.kind == kind]) for kind in LIMITS_S},
        "late": [f"{one.camera_id}: {one.took_s:.1f} s after {one.last}" for one in every if one.is_late],
        "silent without a fault": silent,
        "fleets that ended by themselves": [code for code, wanted in owner.ends if not wanted],
        "exit code at the end": owner.ends[-1][0],
        "cameras live at the end": live,
        "processes left": [str(one) for one in owner.still_alive()],
        "files left": owner.leftovers(),
    }
    return report | {"does not hold": _broken(report, options)}


def _missing(books: Books, run: Run) -> list[tuple[float, str, int]]:
    """Frames that no fault on a message's way explains: when it showed, monotonic s, of which camera, how many."""
    hit = [(one.since_s, one.over_s + HAND_OVER_S) for one in run.injected if one.fault.kind in ON_THE_WAY]
    return [one for one in books.missing if not any(since_s <= one[0] <= until_s for since_s, until_s in hit)]


def _times(found: list[Recovery]) -> dict[str, float]:
    """How many came back, how many of them had been silent, and how long these took, s."""
    took_s = sorted(one.took_s for one in found if one.took_s)
    if not took_s:
        return {"cameras hit": len(found), "silent": 0}
    return {
        "cameras hit": len(found),
        "silent": len(took_s),
        "median": round(statistics.median(took_s), 2),
        "p95": round(took_s[int(0.95 * (len(took_s) - 1))], 2),
        "longest": round(took_s[-1], 2),
        "at most": LIMITS_S[found[0].kind],
    }


def _broken(report: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """What does not hold, by its name in the report."""
    nothing = (
        "messages that do not add up",
        "frames neither heard nor told",
        "late",
        "fleets that ended by themselves",
        "exit code at the end",
        "processes left",
        "files left",
    )
    broken = [name for name in nothing if report[name]]
    if report["faults"] < options.faults:
        broken.append("faults")
    if len(report["cameras live at the end"]) < CAMERAS:
        broken.append("cameras live at the end")
    return broken


def _text(report: dict[str, Any]) -> str:
    lines = [f"{name}: {_words(value)}" for name, value in report.items() if name != "does not hold"]
    broken = report["does not hold"]
    return "\n".join([*lines, "", f"does not hold: {', '.join(broken)}" if broken else "everything holds"])


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {name}: {_words(each)}" for name, each in value.items() if each not in ({}, []))
    if isinstance(value, list):
        return "".join(f"\n  {each}" for each in value) or "none"
    return str(value)


if __name__ == "__main__":
    os.chdir(SAMPLES.parent)
    main()
