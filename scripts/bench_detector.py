"""How many images a second the bare detector gives, by lanes, streams, threads and hint, alone or beside decoders.

Every setting is loaded and warmed first; then they take turns, `--repeats` times, so that a machine that grows slower
meanwhile does so for all. Each lane copies a picture in and detects, as a worker's lane does. Medians over the repeats.

    python scripts/bench_detector.py MODEL [--lanes 1 2] [--streams 0 1 2] [--threads 0] [--hint throughput latency]
        [--input-wh 640 384] [--batch 1] [--beside 6 --recording samples/street.mp4] [--seconds 3] [--repeats 3]
        [--set TBB_PARTITIONER=AUTO] [--json]

0 lanes, streams or threads leave the number to camfleet and OpenVINO. `--beside N` decodes a recording in N processes,
each at its own pace, as a fleet's cameras do; the detector stands back behind them by `--nice`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipeline.config.values import Model
from pipeline.detect import Detector, load_detector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event

PAUSE_S = 0.2
"""Between settings, so that the threads of the one before have gone to sleep."""


@dataclass
class Setting:
    """One way to run the model, and what came of it."""

    name: dict[str, object]
    detector: Detector
    images_hz: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """Medians over the repeats; the times of single detections over all of them."""
        return {
            **self.name,
            "lanes": self.detector.lanes,
            "images_hz": round(statistics.median(self.images_hz), 1),
            "lowest_hz": round(min(self.images_hz), 1),
            "highest_hz": round(max(self.images_hz), 1),
            "p50_ms": round(float(np.percentile(self.took_ms, 50)), 1),
            "p95_ms": round(float(np.percentile(self.took_ms, 95)), 1),
            "cores": round(statistics.median(self.cores), 2),
        }


def measure(setting: Setting, seconds: float) -> None:
    """Keeps every lane busy for `seconds` and notes what came of it."""
    detector = setting.detector
    shape = detector.input(0).shape
    pictures = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    start_s, cpu_s = time.monotonic(), time.process_time()
    took_ms: list[list[float]] = [[] for _ in range(detector.lanes)]

    def work(lane: int) -> None:
        while (began_s := time.monotonic()) < start_s + seconds:
            np.copyto(detector.input(lane), pictures)
            detector.detect(lane, detector.max_batch)
            took_ms[lane].append((time.monotonic() - began_s) * 1e3)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(detector.lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent_s = time.monotonic() - start_s
    setting.images_hz.append(sum(map(len, took_ms)) * detector.max_batch / spent_s)
    setting.cores.append((time.process_time() - cpu_s) / spent_s)
    setting.took_ms.extend(itertools.chain.from_iterable(took_ms))


def decode(recording: str, stop: Event) -> None:
    """Decodes a recording again and again at its own pace."""
    import av

    while not stop.is_set():
        with av.open(recording) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            start_s, interval_s = time.monotonic(), 1 / float(stream.average_rate or 25)
            for number, _ in enumerate(container.decode(stream)):
                if stop.wait(max(0.0, start_s + number * interval_s - time.monotonic())):
                    break


@contextmanager
def decoders(count: int, recording: str) -> Iterator[None]:
    """`count` processes that decode, until the block ends."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    processes = [context.Process(target=decode, args=(recording, stop)) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        stop.set()
        for process in processes:
            process.join()


def load_all(options: argparse.Namespace) -> list[Setting]:
    """Every setting that makes sense, loaded and warm."""
    settings = []
    for hint, lanes, streams, threads in itertools.product(
        options.hint, options.lanes, options.streams, options.threads
    ):
        if streams > lanes > 0:
            continue  # a stream without a request idles
        values: dict[str, Any] = {
            "path": options.model,
            "device": options.device,
            "lanes": lanes or None,
            "threads": threads or None,
            "input_wh": options.input_wh,
            "openvino": {"hint": hint, "streams": streams or None},
            "options": dict(text.split("=", 1) for text in options.set),
        }
        detector = load_detector(Model(**values), options.batch)
        detector.warm_up()
        settings.append(Setting({"hint": hint, "streams": streams, "threads": threads}, detector))
    return settings


def show(rows: list[dict[str, object]], options: argparse.Namespace) -> None:
    """The figures as a table, best first."""
    beside = f" beside {options.beside} decoders" if options.beside else ""
    runs = f"{options.repeats} × {options.seconds:g} s"
    table = Table(title=f"{Path(options.model).name}, batch {options.batch or 1}{beside}, {runs}", box=SIMPLE)
    for key in rows[0]:
        table.add_column(key.removesuffix("_hz").replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=110).print(table)


def main() -> None:
    """Measures what the command line asks for, and prints it."""
    options = parse()
    with ExitStack() as stack:
        stack.enter_context(decoders(options.beside, options.recording))
        os.nice(options.nice)
        settings = load_all(options)
        turns = [setting for _ in range(options.repeats) for setting in settings]
        for setting in track(turns, "measuring", console=Console(stderr=True), transient=True):
            measure(setting, options.seconds)
            time.sleep(PAUSE_S)
    rows = sorted((setting.figures() for setting in settings), key=lambda row: -float(str(row["images_hz"])))
    if options.json:
        print(json.dumps({"model": options.model, "beside": options.beside, "settings": rows}, indent=2))
    else:
        show(rows, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="whatever a fleet file's model.path takes")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--streams", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[0])
    parser.add_argument("--hint", nargs="+", default=["throughput"], choices=["throughput", "latency", "none"])
    parser.add_argument("--input-wh", type=int, nargs=2, metavar=("W", "H"))
    parser.add_argument("--batch", type=int, help="pictures in one inference")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="OpenVINO properties")
    parser.add_argument("--beside", type=int, default=0, metavar="N", help="decoding processes")
    parser.add_argument("--recording", default="samples/street.mp4", help="what they decode")
    parser.add_argument("--nice", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
