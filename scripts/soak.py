"""A fleet for an hour, or for as long as you say: nothing may grow, nothing may start again by itself.

    make soak DURATION=1h
    .venv/bin/python scripts/soak.py --duration 90m --report soak.html --json

Six recorded cameras over RTSP and the demo's model. Every ten seconds something happens that happens to every fleet: a
camera is cut off, freezes, loses packets or is refused for a while, and comes back; a subscriber comes, stays for a
while, and goes. Memory, descriptors, threads and shared memory of every process are looked at every five seconds.

What must hold, from five minutes on: memory (PSS) grows by at most 2 MB an hour, descriptors, threads and shared memory
do not, which takes a quarter of an hour at least to be known; nothing was started again by itself; every message adds
up, every frame is heard of or told to be lost; the fleet ends when told, and nothing stays. Mapped files are told and
not judged: how much of a library counts as the fleet's depends on how many other programs have it open.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from endurance.books import Books
from endurance.gauges import Look, look, slope_per_h
from endurance.owner import Owner, fleet_file, free_endpoint, wait_until_served
from endurance.page import page

from pipeline.listen import Listener
from pipeline.replay import Fault, ReplayOptions, serve_recordings

ROOT = Path(__file__).parent.parent
CAMERAS = 6
MODEL = {"path": str(ROOT / "samples" / "model" / "demo_openvino_model")}
LOOK_S, HAPPENS_S, SETTLED_S = 5.0, 10.0, 300.0
JUDGED_S = 600.0
"""What grows is judged over so long at least; a slope over less is that of the last reconnect."""
AT_MOST = {
    "memory grows, MB an hour": 2.0,
    "descriptors grow, an hour": 1.0,
    "threads grow, an hour": 1.0,
    "shared memory grows, MB an hour": 0.5,
}
NOTHING = (
    "messages that do not add up",
    "frames neither heard nor told",
    "processes started again",
    "fleets that ended by themselves",
    "exit code",
    "processes left",
    "files left",
)
FAULTS = (
    Fault("disconnect"),
    Fault("reset"),
    Fault("freeze", 4),
    Fault("refuse", 3),
    Fault("silence", 4),
    Fault("corrupt", 3, corrupt_share=0.05),
)
UNITS_S = {"s": 1, "m": 60, "h": 3600, "": 1}


@dataclass(frozen=True)
class Soaked:
    """What a run has left to report on."""

    started: datetime.datetime
    looks: list[Look]
    books: Books
    restarts: dict[str, int]
    owner: Owner


def main() -> None:
    """Run it, write the report; exit code 1 where something does not hold."""
    options = _options()
    # The fleet that it started does not outlive it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        soaked = _soak(options, Path(folder))
    report = _report(soaked)
    options.report.write_text(page(report, soaked.looks, _settled_s(soaked.looks)), "utf-8")
    print(json.dumps(report, indent=2, ensure_ascii=False) if options.json else _text(report, options.report))
    sys.exit(1 if report["does not hold"] else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=_seconds, default=3600.0, help="how long: 90, 45m, 1h", metavar="TIME")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(1_000_000), help="what happens when"
    )
    parser.add_argument("--report", type=Path, default=Path("soak.html"), help="where the page is written")
    parser.add_argument("--json", action="store_true", help="one JSON object, for machines")
    return parser.parse_args()


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"“{text}” is no duration: give 90, 45m or 1h")
    return float(match[1]) * UNITS_S[match[2]]


def _soak(options: argparse.Namespace, folder: Path) -> Soaked:
    started = datetime.datetime.now(datetime.UTC)
    _tell(f"seed {options.seed}: {options.duration / 60:g} minutes")
    served = ReplayOptions(tuple(sorted((ROOT / "samples").glob("*.mp4"))), CAMERAS, own_ports=True)
    endpoint, books = free_endpoint(), Books()
    with serve_recordings(served) as server:
        owner = Owner(fleet_file(folder, list(server.urls), endpoint, MODEL), folder)
        owner.start()
        try:
            wait_until_served(owner, CAMERAS)
            happenings = _happenings(random.Random(options.seed), endpoint, server.names, server.inject)
            with Listener(endpoint, books.hear):
                looks = _watch(options.duration, owner, books, happenings)
                restarts = owner.restarts()
        finally:
            owner.end()
    return Soaked(started, looks, books, restarts, owner)


def _watch(duration_s: float, owner: Owner, books: Books, happenings: Iterator[str]) -> list[Look]:
    looks: list[Look] = []
    began_s, heard, happens_s = time.monotonic(), 0, HAPPENS_S
    while (at_s := time.monotonic() - began_s) < duration_s and not owner.has_ended():
        if at_s >= happens_s:
            _tell(f"{at_s / 60:6.1f} min  {looks[-1].memory_mb:.0f} MB  {next(happenings)}")
            happens_s += HAPPENS_S
        ages_ms = [age_ms for _, age_ms in books.ages_ms[heard:]]
        heard += len(ages_ms)
        connections = sum(len(sessions) for sessions in list(books.sessions.values()))
        looks.append(look(owner.processes(), at_s, ages_ms, connections))
        time.sleep(max(0.0, began_s + at_s + LOOK_S - time.monotonic()))
    return looks


def _happenings(
    chance: random.Random, endpoint: str, names: tuple[str, ...], inject: Callable[[str, Fault], None]
) -> Iterator[str]:
    """Let something happen at each step, and say what."""
    guest: Listener | None = None
    while True:
        if chance.random() < 0.25:
            if guest is not None:
                guest.close()
                guest = None
                yield "the second subscriber goes"
            else:
                guest = Listener(endpoint, lambda message: None)
                yield "a second subscriber comes"
        else:
            camera, fault = chance.choice(names), chance.choice(FAULTS)
            inject(camera, fault)
            yield f"{fault.name} on {camera}"


def _settled_s(looks: list[Look]) -> float:
    """From when on slopes count: five minutes, or a third of a shorter run."""
    return min(SETTLED_S, looks[-1].at_s / 3)


def _report(soaked: Soaked) -> dict[str, Any]:
    books, owner = soaked.books, soaked.owner
    settled = [look for look in soaked.looks if look.at_s >= _settled_s(soaked.looks)]
    growth = {name: _slope(settled, name) for name in ("memory_mb", "files_mb", "descriptors", "threads", "shared_mb")}
    report = {
        "started": f"{soaked.started:%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, {platform.machine()}",
        "minutes": round(soaked.looks[-1].at_s / 60, 1),
        "memory, MB": round(float(np.median([look.memory_mb for look in settled])), 1),
        "memory grows, MB an hour": growth["memory_mb"],
        "of which": _of_which(settled),
        "mapped files grow, MB an hour": growth["files_mb"],
        "descriptors grow, an hour": growth["descriptors"],
        "threads grow, an hour": growth["threads"],
        "shared memory grows, MB an hour": growth["shared_mb"],
        "p95 of age, ms": round(float(np.percentile([age_ms for _, age_ms in books.ages_ms], 95)), 1),
        "messages": books.messages,
        "messages that do not add up": books.unbalanced,
        "frames neither heard nor told": sum(count for _, _, count in books.missing),
        "reconnects": soaked.looks[-1].connections - CAMERAS,
        "processes started again": ", ".join(f"{name} {count}" for name, count in soaked.restarts.items()),
        "fleets that ended by themselves": len([code for code, wanted in owner.ends if not wanted]),
        "exit code": owner.ends[-1][0],
        "processes left": ", ".join(str(one) for one in owner.still_alive()),
        "files left": ", ".join(owner.leftovers()),
    }
    return report | {"does not hold": _broken(report)}


def _slope(settled: list[Look], name: str) -> float | str:
    """How much it grows in an hour, or why that is not known."""
    if settled[-1].at_s - settled[0].at_s < JUDGED_S:
        return f"not known: the run is shorter than {(SETTLED_S + JUDGED_S) / 60:g} minutes"
    return round(slope_per_h((look.at_s for look in settled), [getattr(look, name) for look in settled]), 2)


def _of_which(settled: list[Look]) -> str:
    """How much each process grows in an hour, MB; those that stay as they are (0.2) are left out."""
    if settled[-1].at_s - settled[0].at_s < JUDGED_S:
        return ""
    slopes = {name: _growth_of(name, settled) for name in settled[-1].own_mb}
    grown = sorted(((slope, name) for name, slope in slopes.items() if abs(slope) >= 0.2), reverse=True)
    return ", ".join(f"{name} {slope:+.1f}" for slope, name in grown)


def _growth_of(name: str, settled: list[Look]) -> float:
    seen = [look for look in settled if name in look.own_mb]
    return slope_per_h((look.at_s for look in seen), [look.own_mb[name] for look in seen])


def _broken(report: dict[str, Any]) -> list[str]:
    """What does not hold, or is not known, by its name in the report."""
    grows = [name for name, most in AT_MOST.items() if isinstance(report[name], str) or report[name] > most]
    return grows + [name for name in NOTHING if report[name]]


def _text(report: dict[str, Any], path: Path) -> str:
    lines = [f"{name}: {'none' if value in ('', []) else value}" for name, value in report.items()]
    return "\n".join([*lines, f"the report: {path}"])


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
