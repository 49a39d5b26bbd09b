"""Whatever a camera sends: what is seen of seventeen habits, in H.264 and HEVC, and how soon after plugging it in.

    .venv/bin/python scripts/bench_habits.py                          # about five minutes; a table
    .venv/bin/python scripts/bench_habits.py --habit stray --json     # habits whose name holds the word; JSON

Each camera is a small RTSP server with one habit (tests/untidy_cameras.py), 25 pictures a second of 128x96, a key frame
every 30 pictures. What camfleet shows is compared with what FFmpeg alone shows over the same RTSP (from our first
picture on: a camera begins with the present), and pixel by pixel with the coded pictures themselves. No packet is lost,
so that every picture that counts as corrupt is one too many. "Plugged" is from `Fleet.add_camera`, in a running fleet
with the stub detector, to the first detected frame, by a subscriber; each camera joins once with a key frame and once
seven pictures after one. Exit code 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import av
import yaml
from rich.console import Console
from rich.table import Table

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

from pipeline import Fleet, FrameResult, Subscriber, SubscriberTimeout  # noqa: E402
from pipeline.bench import machine  # noqa: E402
from pipeline.camera.nal import Codec  # noqa: E402
from pipeline.camera.source import open_source  # noqa: E402
from pipeline.clock import SystemClock  # noqa: E402
from pipeline.errors import SourceError  # noqa: E402
from tests.camera_media import Clip, camera  # noqa: E402
from tests.coded_pictures import decoded  # noqa: E402
from tests.rtsp_camera import RtspCamera  # noqa: E402
from tests.untidy_cameras import GOP, HABITS, Untidy, untidy  # noqa: E402

FPS = 25
LEAST_SHARE = 0.99
PLUGGED_GOAL_S = GOP / FPS + 1.0
JOINED_AFTER = 7
GIVE_UP_S = 20.0
CODECS: tuple[Codec, ...] = ("h264", "hevc")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one habit and codec.

    Attributes:
        habit: Its name.
        codec: `h264` or `hevc`.
        sent: Pictures.
        ffmpeg: Pictures that FFmpeg alone shows.
        shown: Pictures that camfleet shows.
        share: Of those that FFmpeg shows from the first one that camfleet shows on.
        wrong: Pictures shown that are none of those sent.
        corrupt: Pictures counted as corrupt.
        late: Pictures left out because this machine was late.
        assembly: How pictures were put together at the end.
        plugged_key_s: Until the first detected frame, joined with a key frame; None if none came.
        plugged_between_s: The same, joined seven pictures after one.
        ffmpeg_joins: Whether FFmpeg alone shows anything, joined so; where it does not, there is no goal.
    """

    habit: str
    codec: Codec
    sent: int
    ffmpeg: int = 0
    shown: int = 0
    share: float = 0.0
    wrong: int = 0
    corrupt: int = 0
    late: int = 0
    assembly: str = ""
    plugged_key_s: float | None = None
    plugged_between_s: float | None = None
    ffmpeg_joins: bool = True

    @property
    def is_good(self) -> bool:
        """Whether every goal was reached."""
        plugged = (self.plugged_key_s, self.plugged_between_s)
        soon = all(one is not None and one <= PLUGGED_GOAL_S for one in plugged) or not self.ffmpeg_joins
        return self.share >= LEAST_SHARE and not self.wrong and not self.corrupt and soon


class Pulse:
    """Of a viewer that takes every picture."""

    def go_on(self) -> bool:
        """Always."""
        return True

    def wait_until(self, due_ns: int) -> bool:
        """A camera's pictures are due when they come."""
        return True


def main() -> None:
    """Measure, print, and exit with 1 where a goal is missed."""
    options = _options()
    names = [(habit, codec) for habit in HABITS if options.habit in habit for codec in options.codec]
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda name: _watched(*name, options.pictures), names))
    with _fleet() as (fleet, heard):
        outcomes = [_plugged(fleet, heard, one, number) for number, one in enumerate(outcomes)]
    if options.json:
        told = {"machine": machine.name(), "cores": machine.usable_cores(), "plugged_goal_s": PLUGGED_GOAL_S}
        print(json.dumps(told | {"habits": [asdict(one) for one in outcomes]}, indent=2))
    else:
        _print(outcomes)
    sys.exit(not all(one.is_good for one in outcomes))


def _watched(habit: str, codec: Codec, pictures: int) -> Outcome:
    """What camfleet and FFmpeg show of a camera, at the same time."""
    stream = untidy(habit, codec, pictures)
    right = {frame.tobytes() for frame in decoded(codec, stream.pictures)}
    with _served(stream, 0, hangs_up=True) as server, ThreadPoolExecutor(1) as pool:
        alone = pool.submit(_by_ffmpeg, server.url)
        shown, outcome = _by_camfleet(server.url, Outcome(habit, codec, len(stream.pictures)))
        by_ffmpeg = alone.result()
    begins = by_ffmpeg.index(shown[0]) if shown and shown[0] in by_ffmpeg else 0
    share = min(1.0, len(shown) / max(1, len(by_ffmpeg) - begins))
    wrong = sum(one not in right for one in shown)
    print(f"{habit}, {codec}: {len(shown)} of {len(by_ffmpeg) - begins}", file=sys.stderr, flush=True)
    return replace(outcome, ffmpeg=len(by_ffmpeg), shown=len(shown), share=share, wrong=wrong)


def _by_camfleet(url: str, outcome: Outcome) -> tuple[list[bytes], Outcome]:
    """The pictures shown, and what is told of the others."""
    shown, corrupt, late, assembly = [], 0, 0, ""
    try:
        with closing(open_source(camera(url), SystemClock())) as source:
            for picture in source.pictures(Pulse()):
                assembly = source.assembly
                if picture is None or picture.behind:
                    late += picture is not None
                    continue
                corrupt += picture.corrupt or picture.frame is None
                if picture.frame is not None and not picture.corrupt:
                    shown.append(picture.frame.to_ndarray().tobytes())
    except SourceError as error:
        if not shown:
            print(error, file=sys.stderr)
    return shown, replace(outcome, corrupt=corrupt, late=late, assembly=assembly)


def _by_ffmpeg(url: str) -> list[bytes]:
    """The pictures that FFmpeg alone shows, with its own parser."""
    shown: list[bytes] = []
    try:
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=(GIVE_UP_S, 5.0)) as container:
            for packet in container.demux(container.streams.video[0]):
                with _forgiving():
                    shown += [frame.to_ndarray().tobytes() for frame in packet.decode() if not frame.is_corrupt]
    except (av.FFmpegError, OSError):
        if not shown:
            print("FFmpeg alone shows nothing", file=sys.stderr)
    return shown


@contextmanager
def _forgiving() -> Iterator[None]:
    """One packet that cannot be decoded is no end."""
    try:
        yield
    except av.InvalidDataError:
        return


def _served(stream: Untidy, begins: int, *, hangs_up: bool) -> RtspCamera:
    return RtspCamera(stream.pictures, replace(stream.habits, begins=begins, hangs_up=hangs_up))


@contextmanager
def _fleet() -> Iterator[tuple[Fleet, Subscriber[FrameResult]]]:
    """A running fleet of one recording, and what it publishes."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Clip(frames=250).write(Path(folder) / "yard.mp4")
        path = Path(folder) / "bench.yaml"
        cameras = {"yard": {"url": str(recording), "loop": True}}
        body = {"model": {"backend": "stub"}, "publish": {"bind": "tcp://127.0.0.1:0"}, "cameras": cameras}
        path.write_text(yaml.safe_dump(body))
        with Fleet(path, control=False) as fleet, fleet.results(timeout_s=1.0) as heard:
            next(iter(heard))
            yield fleet, heard


def _plugged(fleet: Fleet, heard: Subscriber[FrameResult], outcome: Outcome, number: int) -> Outcome:
    """The same, with the times from plugging in to the first detected frame."""
    stream = untidy(outcome.habit, outcome.codec, 5 * GOP)
    took = []
    for place, begins in enumerate((GOP, GOP + JOINED_AFTER)):
        with _served(stream, begins, hangs_up=False) as server:
            took.append(_first_detected(fleet, heard, f"cam{number}-{place}", server.url))
    print(f"{outcome.habit}, {outcome.codec}: {took}", file=sys.stderr, flush=True)
    joins = None not in took or bool(_joined_by_ffmpeg(stream))
    return replace(outcome, plugged_key_s=took[0], plugged_between_s=took[1], ffmpeg_joins=joins)


def _joined_by_ffmpeg(stream: Untidy) -> list[bytes]:
    with _served(stream, GOP, hangs_up=True) as server:
        return _by_ffmpeg(server.url)


def _first_detected(fleet: Fleet, heard: Subscriber[FrameResult], name: str, url: str) -> float | None:
    began_s = time.monotonic()
    fleet.add_camera(name, url=url)
    try:
        while (now_s := time.monotonic()) < began_s + GIVE_UP_S:
            try:
                result = heard.receive()
            except SubscriberTimeout:
                continue
            if (result.camera_id, result.origin) == (name, "detected"):
                return round(now_s - began_s, 2)
        return None
    finally:
        fleet.remove_camera(name)


def _print(outcomes: list[Outcome]) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("habit")
    for heading in (
        "codec",
        "sent",
        "FFmpeg",
        "shown",
        "share %",
        "wrong",
        "corrupt",
        "late",
        "plugged s",
        "between s",
    ):
        table.add_column(heading, justify="right")
    table.add_column("put together")
    for one in outcomes:
        figures = (
            one.codec,
            one.sent,
            one.ffmpeg,
            one.shown,
            f"{100 * one.share:.1f}",
            one.wrong,
            one.corrupt,
            one.late,
        )
        none = "-" if one.ffmpeg_joins else "nor FFmpeg"
        plugged = (none if took is None else f"{took:.2f}" for took in (one.plugged_key_s, one.plugged_between_s))
        style = "" if one.is_good else "bold red"
        table.add_row(one.habit, *map(str, figures), *plugged, one.assembly, style=style)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(table)
    good = sum(one.is_good for one in outcomes)
    console.print(
        f"{good} of {len(outcomes)} reach every goal: at least {LEAST_SHARE:.0%} shown, none wrong, none corrupt, "
        f"detected within {PLUGGED_GOAL_S:.1f} s"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--habit", default="", help="only habits whose name holds this")
    parser.add_argument("--codec", nargs="+", choices=CODECS, default=cast("Any", CODECS), help="(both)")
    parser.add_argument("--pictures", type=int, default=270, help="that each camera sends (%(default)s)")
    parser.add_argument("--jobs", type=int, default=3, help="cameras watched at once (%(default)s)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
