"""From nothing to the first picture with boxes: the seconds and megabytes of an installation, download left out.

    python scripts/bench_install.py
    python scripts/bench_install.py --extras page --uid 65534 --python /usr/bin/python3

A wheel is built of the working tree, and what it needs is fetched. Then, timed: an environment is made, the wheel is
installed in it, and `camfleet demo` runs until a subscriber has a frame with boxes, and to its end. All of that with an
empty home, no program on the path but the environment's own, so no compiler, and from a folder that is read-only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = """
import sys
from pipeline import Subscriber
with Subscriber(sys.argv[1], timeout_s=120) as results:
    print(next(len(result.tracks) for result in results if result.tracks))
"""


@dataclass(slots=True)
class Place:
    """Where it is tried, by whom.

    Attributes:
        folder: Holds everything; is gone afterwards.
        prefix: What makes a command another user's.
        seconds: How long each step took.
    """

    folder: Path
    prefix: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> Path:
        """The virtual environment."""
        return self.folder / "env"

    @property
    def variables(self) -> dict[str, str]:
        """What a bare account has."""
        home, temporary = self.folder / "home", self.folder / "tmp"
        path = str(self.environment / "bin")
        return {"PATH": path, "HOME": str(home), "TMPDIR": str(temporary), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def command(self, *words: str | Path) -> list[str]:
        """As that user."""
        return [*self.prefix, *map(str, words)]

    def run(self, *words: str | Path) -> None:
        """Run a command in an empty folder."""
        subprocess.run(self.command(*words), cwd=self.folder / "work", env=self.variables, check=True)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long something takes."""
        began_s = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began_s
        print(f"{what}: {self.seconds[what]:.1f} s", flush=True)


def main() -> None:
    """Try it, and print what it took."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="camfleet-install-") as name:
        place = Place(Path(name), _prefix(options.uid))
        for part in ("home", "tmp", "work", "wheels"):
            (place.folder / part).mkdir()
        wanted = _fetch(place.folder / "wheels", options.extras)
        if options.uid is not None:
            subprocess.run(["chown", "-R", f"{options.uid}:{options.uid}", place.folder], check=True)
        with place.timed("environment"):
            place.run(options.python, "-m", "venv", place.environment)
        (packages,) = place.environment.glob("lib/python*/site-packages")
        before_mb = _megabytes(packages)
        with place.timed("installation"):
            pip = (place.environment / "bin/pip", "install", "--quiet", "--no-index")
            place.run(*pip, "--find-links", place.folder / "wheels", wanted)
        print(f"site-packages: {_megabytes(packages):.0f} MB, {before_mb:.0f} of them pip's; the largest:")
        for path in sorted(packages.iterdir(), key=_megabytes, reverse=True)[:8]:
            print(f"  {_megabytes(path):6.0f} MB  {path.name}")
        subprocess.run(["chmod", "-R", "a-w", place.environment], check=True)
        _demo(place, options.duration)
        left = sorted(str(path) for part in ("home", "work") for path in (place.folder / part).rglob("*"))
        print(f"left in the home and in the folder: {', '.join(left) or 'nothing'}")
        subprocess.run(["chmod", "-R", "u+w", place.environment], check=True)
    least = sum(place.seconds[step] for step in ("environment", "installation", "first picture with boxes"))
    print(f"from nothing to the first picture with boxes, without the download: {least:.1f} s")


def _fetch(wheels: Path, extras: str) -> str:
    """Build the wheel, and put it and what it needs into a folder; what is to be installed."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("camfleet-*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
    named = f"{wheel}[{extras}]" if extras else str(wheel)
    began_s = time.monotonic()
    subprocess.run([*pip, "download", "--only-binary", ":all:", "--dest", wheels, named], check=True)
    megabytes = sum(path.stat().st_size for path in wheels.iterdir()) / 1e6
    print(f"fetched {megabytes:.0f} MB in {time.monotonic() - began_s:.1f} s", flush=True)
    return named


def _demo(place: Place, duration_s: float) -> None:
    """Run the demonstration, and wait for its first picture with boxes."""
    command = place.command(place.environment / "bin/camfleet", "demo", "--duration", str(duration_s))
    with (
        place.timed("demonstration"),
        subprocess.Popen(
            command, cwd=place.folder / "work", env=place.variables, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        with place.timed("first picture with boxes"):
            assert process.stdout is not None
            line = next(line for line in process.stdout if "subscribe tcp://" in line)
            endpoint = re.search(r"tcp://\S+", line)
            assert endpoint is not None
            place.run(place.environment / "bin/python", "-c", FIRST, endpoint[0])
        rest = process.stdout.read()
    print(rest)
    if process.returncode:
        sys.exit(f"the demonstration ended with {process.returncode}")


def _megabytes(path: Path) -> float:
    """What a folder or file takes on disk; what is linked twice counts once."""
    files = [path, *path.rglob("*")]
    sizes = {(found.st_dev, found.st_ino): found.st_blocks * 512 for found in (one.lstat() for one in files)}
    return sum(sizes.values()) / 1e6


def _prefix(uid: int | None) -> tuple[str, ...]:
    if uid is None:
        return ()
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        sys.exit("--uid needs root and setpriv (util-linux)")
    return (str(shutil.which("setpriv")), f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", default="", metavar="A,B", help="what is installed besides the base")
    parser.add_argument("--duration", type=float, default=10, help="seconds that the demonstration runs")
    parser.add_argument("--uid", type=int, help="do it as this user, where root runs this")
    parser.add_argument("--python", default=sys.executable, help="whose environment it is")
    return parser.parse_args()


if __name__ == "__main__":
    main()
