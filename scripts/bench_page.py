"""What the page costs and how soon it shows: load time, capture to screen, pictures a second, the price of a viewer.

.venv/bin/python scripts/bench_page.py --parts load sixteen viewer reader ways down --pairs 3 --seconds 15

`load`     from the request to the first picture, and to the load event, on loopback
`sixteen`  pictures a second of each of 16 cameras with a stub detector, and their age on the screen
`viewer`   six cameras with the demo's model, with and without somebody who looks, in turns: CPU of the cameras, the
           publisher and the page; p95 of all frames, detections a second
`reader`   the same with a viewer that takes everything and draws nothing, as if the browser were on another machine:
           once the coded pictures for WebCodecs, once the stills for browsers that cannot play them
`ways`     both ways in the browser, in turns: pictures a second of each camera, their age on the screen
`down`     from the moment a camera's server dies until the page shows it

The browser runs on the same machine, without a GPU, and takes from the fleet what it needs: its own CPU is not the
fleet's, but it makes the fleet wait.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline import Fleet
from pipeline.observe.watch import FleetWatch

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ("gate", "yard", "crossing", "street", "parking", "park")
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SETTLE_S = 8.0
"""Until strides, lanes and the page's pace have been found."""
PAID = ("camera", "publisher", "page")
"""Roles whose CPU a viewer may cost."""


def main() -> None:
    """Measure what is asked for, and print it as JSON."""
    options = _options()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        parts = {
            "load": lambda: measure_load(browser),
            "sixteen": lambda: measure_sixteen(browser, options.seconds),
            "viewer": lambda: measure_viewer(browser, options.pairs, options.seconds),
            "reader": lambda: measure_reader(options.pairs, options.seconds),
            "ways": lambda: measure_ways(browser, options.pairs, options.seconds),
            "down": lambda: measure_down(browser),
        }
        for part in options.parts:
            print(json.dumps({part: parts[part]()}), flush=True)
        browser.close()


@contextmanager
def fleet_of(count: int, *, stub: bool, urls: dict[str, str] | None = None) -> Iterator[Fleet]:
    """A fleet that plays the samples in real time, with a page."""
    own = {f"cam-{at:02d}": str(ROOT / "samples" / f"{SAMPLES[at % 6]}.mp4") for at in range(count)}
    model = (
        {"backend": "stub", "options": {"a_ms": 2}}
        if stub
        else {"path": str(ROOT / "samples/model/demo_openvino_model")}
    )
    body = {
        "name": f"bench-page-{time.monotonic_ns()}",
        "model": model,
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "page": {"port": 0},
        "cameras": {name: {"url": url, "loop": url.endswith(".mp4")} for name, url in (urls or own).items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fleet.yaml"
        file.write_text(json.dumps(body))
        with Fleet(file) as fleet:
            yield fleet


@contextmanager
def tab_at(browser: Browser, address: str, before: str = "") -> Iterator[Page]:
    """A tab of a usual size, in which a script has run before the page's own."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.add_init_script(before)
    tab = context.new_page()
    tab.goto(address)
    try:
        yield tab
    finally:
        context.close()


def measure_load(browser: Browser) -> dict[str, Any]:
    """Median seconds of five tabs."""
    loaded, first = [], []
    with fleet_of(6, stub=True) as fleet:
        time.sleep(SETTLE_S / 2)
        for _ in range(5):
            began = time.monotonic()
            with tab_at(browser, fleet.page) as tab:
                loaded.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000)
                tab.wait_for_function("() => camfleet.drawn > 0", timeout=30_000)
                first.append(time.monotonic() - began)
    return {"load_s": _median(loaded), "first_picture_s": _median(first)}


def measure_sixteen(browser: Browser, seconds: float) -> dict[str, Any]:
    """Pictures a second of the camera that has fewest, and of all; ages on the screen."""
    with fleet_of(16, stub=True) as fleet, tab_at(browser, fleet.page) as tab:
        time.sleep(SETTLE_S)
        shown, span_s = _shown(tab, seconds)
    counts = Counter(one["camera"] for one in shown)
    return {
        "least_hz": round(min(counts.values()) / span_s, 1),
        "cameras": len(counts),
        "mean_hz": round(sum(counts.values()) / span_s / max(1, len(counts)), 1),
        **_ages(shown),
    }


def measure_viewer(browser: Browser, pairs: int, seconds: float) -> dict[str, Any]:
    """Medians with and without a viewer, in turns."""
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    ages: list[dict[str, Any]] = []
    with fleet_of(6, stub=False) as fleet:
        time.sleep(SETTLE_S)
        for _ in range(pairs):
            found["without"].append(_costs(fleet, seconds))
            with tab_at(browser, fleet.page) as tab:
                time.sleep(SETTLE_S)
                tab.evaluate("() => { camfleet.shown.length = 0; }")
                found["with"].append(_costs(fleet, seconds))
                ages.append(_ages(tab.evaluate("camfleet.shown")))
            time.sleep(SETTLE_S / 2)
    return {**_medians(found), "screen": ages}


READER = """
import json, sys
from websockets.sync.client import connect
with connect(sys.argv[1], proxy=None, max_size=None) as connection:
    connection.send(json.dumps({"watch": {name: sys.argv[2] for name in sys.argv[3:]}}))
    while True:
        connection.recv()
        connection.send('{"ack": 1}')
"""
"""Takes all that a browser would, and shows nothing: what a viewer costs the fleet, without what a browser costs."""


WAYS = ("units", "stills")
"""Coded pictures as they came, for WebCodecs; JPEGs."""
WITHOUT_WEBCODECS = "delete window.VideoDecoder"


@contextmanager
def reader_at(fleet: Fleet, way: str) -> Iterator[None]:
    """Somebody who watches all cameras and draws nothing."""
    address = fleet.page.replace("http", "ws") + "live"
    with subprocess.Popen([sys.executable, "-c", READER, address, way, *fleet.cameras]) as reader:
        try:
            yield
        finally:
            reader.kill()


def measure_reader(pairs: int, seconds: float) -> dict[str, Any]:
    """As `measure_viewer`, where the browser is on another machine."""
    found: dict[str, list[dict[str, float]]] = {"without": [], **{way: [] for way in WAYS}}
    with fleet_of(6, stub=False) as fleet:
        time.sleep(SETTLE_S)
        for _ in range(pairs):
            found["without"].append(_costs(fleet, seconds))
            for way in WAYS:
                with reader_at(fleet, way):
                    time.sleep(SETTLE_S / 2)
                    found[way].append(_costs(fleet, seconds))
                time.sleep(SETTLE_S / 2)
    return _medians(found)


def measure_ways(browser: Browser, pairs: int, seconds: float) -> dict[str, Any]:
    """Medians of what is seen of six cameras, with WebCodecs and without."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with fleet_of(6, stub=True) as fleet:
        for _ in range(pairs):
            for way, before in zip(WAYS, ("", WITHOUT_WEBCODECS), strict=True):
                with tab_at(browser, fleet.page, before) as tab:
                    time.sleep(SETTLE_S)
                    shown, span_s = _shown(tab, seconds)
                found[way].append({"camera_hz": len(shown) / span_s / 6, **_ages(shown)})
    return _medians(found)


def _medians(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    return {which: {key: _median([run[key] for run in runs]) for key in runs[0]} for which, runs in found.items()}


def _costs(fleet: Fleet, seconds: float) -> dict[str, float]:
    """Cores by role, and how the fleet does meanwhile."""
    roles = {process.pid: process.role for process in fleet.processes if process.pid is not None}
    with FleetWatch(fleet._inside, fleet.cameras, 150.0) as watch:
        before, began = _cpu_s(roles), time.monotonic()
        time.sleep(seconds)
        after, span_s = _cpu_s(roles), time.monotonic() - began
        tally = watch.whole()
    cores = {f"{role}_cores": round((after[role] - before[role]) / span_s, 4) for role in (*PAID, "worker")}
    paid = sum(cores[f"{role}_cores"] for role in PAID)
    return {**cores, "paid_cores": paid, "p95_ms": tally.age_p95_ms or 0.0, "detected_hz": tally.detected_hz}


def _cpu_s(roles: dict[int, str]) -> Counter[str]:
    used: Counter[str] = Counter()
    for pid, role in roles.items():
        times = psutil.Process(pid).cpu_times()
        used[role] += times.user + times.system
    return used


def measure_down(browser: Browser) -> dict[str, Any]:
    """Seconds from the death of a camera's server to a page that shows it."""
    command = [sys.executable, "-m", "pipeline", "replay", str(ROOT / "samples/gate.mp4"), "--loop", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with fleet_of(1, stub=True, urls={"gate": address}) as fleet, tab_at(browser, fleet.page) as tab:
            tab.wait_for_function("() => camfleet.drawn > 20", timeout=60_000)
            server.kill()
            began = time.monotonic()
            trouble = tab.locator(".trouble:visible", has_text="offline")
            trouble.wait_for(timeout=30_000)
            took_s = time.monotonic() - began
            why = trouble.inner_text()
    return {"shown_s": round(took_s, 2), "why": " ".join(why.split())}


def _shown(tab: Page, seconds: float) -> tuple[list[dict[str, Any]], float]:
    """What was drawn in so many seconds."""
    tab.evaluate("() => { window.all = []; camfleet.onshown = (entry) => all.push(entry); }")
    began = time.monotonic()
    time.sleep(seconds)
    return tab.evaluate("all"), time.monotonic() - began


def _ages(shown: list[dict[str, Any]]) -> dict[str, Any]:
    ages = sorted(one["drawnAt"] - one["capturedAt"] for one in shown if one["capturedAt"])
    own = [one for one in shown if one["boxesOf"] == [one["session"], one["frame"]]]
    if not ages:
        return {"pictures": 0}
    return {
        "pictures": len(shown),
        "screen_p50_ms": round(ages[len(ages) // 2]),
        "screen_p95_ms": round(ages[int(0.95 * len(ages))]),
        "with_own_boxes": round(len(own) / len(shown), 4),
    }


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", default=["load", "sixteen", "viewer", "reader", "ways", "down"])
    parser.add_argument("--pairs", type=int, default=3, help="of runs with and without a viewer")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    return parser.parse_args()


if __name__ == "__main__":
    main()
