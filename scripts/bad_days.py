"""`bad-day.yaml` for every codec and transport that cameras have, and with a real model.

    .venv/bin/python scripts/bad_days.py                                        # nine days, 50 minutes
    .venv/bin/python scripts/bad_days.py --codec hevc --transport udp --model demo --report days

The samples are encoded again where their codec is another one. The machine has to be quiet: what the other cameras
notice of a fault is judged by their ages.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import yaml

from pipeline.burst.encode import CODECS, add_stream

ROOT = Path(__file__).parent.parent
BAD_DAY = ROOT / "configs" / "scenarios" / "bad-day.yaml"
DEMO = ROOT / "configs" / "demo.yaml"
RECORDED = "h264"
"""What the samples are encoded in."""
TRANSPORTS, MODELS = ("tcp", "udp"), ("stub", "demo")


@dataclass(frozen=True)
class Day:
    """One run: how the cameras send, and what looks at their pictures."""

    codec: str
    transport: str
    model: str

    def __str__(self) -> str:
        return f"{self.codec} over {self.transport}, {self.model}"


def main() -> None:
    """Run the days; exit code 1 where a check failed."""
    options = _options()
    failed = False
    with tempfile.TemporaryDirectory(prefix="bad-days") as folder:
        for day in _days(options):
            print(f"{day} …", file=sys.stderr, flush=True)
            found = _run(day, Path(folder), options.report)
            failed |= bool(found["failed"]) or not found["passed"]
            print(json.dumps({"day": str(day), **found}, ensure_ascii=False), flush=True)
    sys.exit(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", nargs="+", choices=CODECS, help="default: all")
    parser.add_argument("--transport", nargs="+", choices=TRANSPORTS, help="default: all")
    parser.add_argument(
        "--model", nargs="+", choices=MODELS, help="default: the stub for all, and one day of the demo's"
    )
    parser.add_argument("--report", type=Path, help="keep each day's report in a folder below this one", metavar="DIR")
    return parser.parse_args()


def _days(options: argparse.Namespace) -> list[Day]:
    chosen = itertools.product(options.codec or CODECS, options.transport or TRANSPORTS, options.model or ("stub",))
    days = [Day(*one) for one in chosen]
    if not (options.codec or options.transport or options.model):
        days.append(Day("h264", "tcp", "demo"))
    return days


def _run(day: Day, folder: Path, report: Path | None) -> dict[str, Any]:
    """How many checks passed, and which did not."""
    file = folder / f"{day.codec}-{day.transport}-{day.model}.yaml"
    file.write_text(yaml.safe_dump(_scenario(day, folder), sort_keys=False))
    command = [sys.executable, "-m", "pipeline", "burst", "run", str(file), "--json"]
    command += ["--report", str(report / file.stem)] if report else []
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT).stdout
    if not told:
        return {"passed": 0, "failed": ["it did not run"]}
    phases = json.loads(told)["phases"]
    checks = [(phase["name"], check) for phase in phases for check in phase["checks"]]
    return {
        "passed": sum(check["passed"] for _, check in checks),
        "failed": [
            f"{name}: {check['what']} was {check['found']}, expected {check['expected']}"
            for name, check in checks
            if not check["passed"]
        ],
    }


def _scenario(day: Day, folder: Path) -> dict[str, Any]:
    scenario: dict[str, Any] = yaml.safe_load(BAD_DAY.read_text())
    recordings = [(BAD_DAY.parent / path).resolve() for path in scenario["recordings"]]
    scenario["recordings"] = [str(path) for path in _encoded(recordings, day.codec, folder)]
    scenario["defaults"]["transport"] = day.transport
    if day.model == "demo":
        scenario["fleet"] = str(DEMO)
        del scenario["model"]
    return scenario


def _encoded(recordings: Sequence[Path], codec: str, folder: Path) -> list[Path]:
    """The same recordings in another codec."""
    if codec == RECORDED:
        return list(recordings)
    kept = folder / codec
    kept.mkdir(exist_ok=True)
    for path in recordings:
        if not (kept / path.name).exists():
            _encode(path, kept / path.name, codec)
    return [kept / path.name for path in recordings]


def _encode(path: Path, out: Path, codec: str) -> None:
    with av.open(str(path)) as source, av.open(str(out), "w") as container:
        picture = source.streams.video[0]
        rate = picture.average_rate or Fraction(25)
        stream = add_stream(container, codec, (picture.width, picture.height), rate)
        for frame in source.decode(video=0):
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
