"""Targets that read a file; each writes what it is given into the current directory first."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from rich.console import Console

from pipeline.burst.load import load_scenario
from pipeline.burst.report.compare import comparison
from pipeline.burst.result import read_report
from pipeline.burst.verdict import print_verdict
from pipeline.config import load_fleet, to_yaml
from pipeline.detect.metadata import read_metadata
from pipeline.errors import PipelineError
from pipeline.evaluate.ground_truth import read_ground_truth
from pipeline.evaluate.mot import read_sequence
from pipeline.record.arrivals import Arrivals, beside
from pipeline.replay.departures import read_departures
from pipeline.replay.faults import Order

SECRET = "q7Zk9-vault"
ENVIRON = {"PASSWORD": SECRET, "EMPTY": "", "HOST": "cam.example"}
SEPARATOR = b"\x1e"
"""Between the parts of an input that is several files."""


def stage() -> None:
    """What the files may name, into the current directory."""
    for name in ("gate.mp4", "yard.mp4", "model.xml"):
        Path(name).touch()
    Path("fleet.yaml").write_text("model: {backend: stub}\ncameras: {gate: {url: 'rtsp://cam.example/1'}}\n")
    Path("sequence").mkdir(exist_ok=True)


def _put(file: Path, data: bytes) -> None:
    # A new file each time: some file systems write one to disk at once that was cut to nothing and filled again.
    file.unlink(missing_ok=True)
    file.write_bytes(data)


def fleet(data: bytes) -> None:
    """A fleet file; no message repeats what a variable stands for."""
    file = Path("input.yaml")
    _put(file, data)
    try:
        to_yaml(load_fleet(file, ENVIRON))
    except PipelineError as error:
        assert SECRET not in str(error), "the message tells the value of a variable"
        raise


def scenario(data: bytes) -> None:
    """A scenario file."""
    file = Path("scenario.yaml")
    _put(file, data)
    load_scenario(file, ENVIRON)


def metadata(data: bytes) -> None:
    """What lies beside a model."""
    file = Path("metadata.yaml")
    _put(file, data)
    read_metadata(file)


def report(data: bytes) -> None:
    """A report.json, compared with itself and judged."""
    file = Path("report.json")
    _put(file, data)
    read = read_report(file)
    console = Console(width=100, file=io.StringIO())
    console.print(comparison(read, read))
    print_verdict(read, console)


def sequence(data: bytes) -> None:
    """MOTChallenge's files: seqinfo.ini, gt.txt, det.txt and labels.txt."""
    parts = data.split(SEPARATOR)
    for name, part in zip(("seqinfo.ini", "gt.txt", "det.txt", "labels.txt"), parts, strict=False):
        _put(Path("sequence", name), part)
    folder = Path("sequence")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read_sequence(folder, second_half=len(data) % 2 == 0)
        except PipelineError:
            read_ground_truth(folder)
            raise
        truth = read_ground_truth(folder)
        for label in truth.labels:
            truth.of_class(label)


def arrivals(data: bytes) -> None:
    """The arrivals beside a recording."""
    recording = Path("gate.mkv")
    _put(beside(recording), data)
    read = Arrivals.load(recording)
    if read is not None:
        delay_ms = read.delay_ms(0)
        assert delay_ms is None or delay_ms >= 0


def departures(data: bytes) -> None:
    """The departures of a replay."""
    file = Path("departures.bin")
    _put(file, data)
    read_departures(file)


def order(data: bytes) -> None:
    """An order to a replay server."""
    read = Order.from_line(data)
    assert Order.from_line(read.to_line()) == read
