"""An account for a terminal: a table of the cameras, bars by class and in time, and what is missing."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.clock import NS_PER_S
from pipeline.observe.words import UNKNOWN, age, span
from pipeline.redact import printable
from pipeline.results.account import Account, Ages, CameraAccount, Course, OfCamera

TOLD = 5
"""Gaps and silences that are told one by one."""
MOST_CLASSES = 12
MOST_HOURS = 24
COLOURS = ("#1d63b8", "#f0b354", "#8fbf9f", "#d58fb4", "#5aa9e6", "#b8a5d9", "#c9b79c", "#c8322b")
"""By class, the most frequent first; again from the beginning where there are more."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = " ▁▂▃▄▅▆▇█"
_LABEL = 24
_ROOMY = 92


def show(account: Account, console: Console) -> None:
    """Print it, as wide as the console is."""
    for part in _parts(account, console.width):
        console.print(part, highlight=False)


def _parts(account: Account, width: int) -> Iterator[RenderableType]:
    yield _headline(account)
    for note in account.notes:
        yield Text(printable(note), "yellow")
    if not account.cameras:
        return
    yield Text()
    yield _cameras(account, width)
    if account.classes:
        yield Text()
        yield _classes(account, width)
    if len({one.hour_ns for one in account.hours}) > 1:
        yield Text()
        yield _hours(account, width)
    if account.course is not None and len(account.course.at_ns) > 1:
        yield Text()
        yield _course(account.course, width)
    yield from _missing(account)


def _headline(account: Account) -> RenderableType:
    what = f"{_count(account.frames, 'frame')} of {_count(len(account.cameras), 'camera')}"
    line = f"{what}, {_count(account.boxes, 'box')}"
    if account.first_ns is None or account.last_ns is None:
        return Group(Text(printable(account.source), "bold"), Text(line))
    first, last = when(account.first_ns), when(account.last_ns)
    span_told = f"{first} to {last} ({length(account.first_ns, account.last_ns)})"
    return Group(Text(printable(account.source), "bold"), Text(line), Text(span_told, "dim"))


def _cameras(account: Account, width: int) -> Table:
    gap = 2 if width >= _ROOMY else 1
    table = Table(box=None, pad_edge=False, header_style="dim underline", padding=(0, gap, 0, 0))
    table.add_column("camera", no_wrap=True, max_width=_LABEL)
    for heading in ("frames", "fps", "detected", "boxes", "objects", "missing", "silent", "p50", "p95", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for camera in account.cameras:
        table.add_row(*_camera(account, camera))
    if len(account.cameras) > 1:
        objects = sum(one.objects for one in account.classes)
        missing = sum(camera.missing for camera in account.cameras)
        table.add_row(
            "all", f"{account.frames:,}", "", _detected(account.cameras), f"{account.boxes:,}", f"{objects:,}",
            _alarming(f"{missing:,}", missing > 0), "", *_ages(account.ages), style="bold",
        )  # fmt: skip
    return table


def _camera(account: Account, camera: CameraAccount) -> list[str | Text]:
    hertz = camera.frame_hz
    return [
        printable(account.name_of(camera)),
        f"{camera.frames:,}",
        UNKNOWN if hertz is None else f"{hertz:.1f}",
        _detected([camera]),
        f"{camera.boxes:,}",
        f"{sum(one.objects for one in camera.classes):,}",
        _alarming(f"{camera.missing:,}", camera.missing > 0),
        _alarming(span(camera.silent_s), camera.silences > 0) if camera.first_ns is not None else UNKNOWN,
        *_ages(camera.ages),
    ]


def _detected(cameras: Sequence[CameraAccount]) -> str:
    known = sum(sum(camera.origins.values()) for camera in cameras)
    detected = sum(camera.origins.get("detected", 0) for camera in cameras)
    return f"{100 * detected // known} %" if known else UNKNOWN


def _ages(ages: Ages | None) -> list[str]:
    return [UNKNOWN] * 3 if ages is None else [age(ages.p50), age(ages.p95), age(ages.p99)]


def _alarming(text: str, wrong: bool) -> Text:
    return Text(text, "yellow" if wrong else "")


def _classes(account: Account, width: int) -> RenderableType:
    """A bar for each class, as long as it has boxes."""
    shown = account.classes[:MOST_CLASSES]
    label = min(_LABEL, max(len(one.class_name) for one in shown))
    figures = [f"{_count(one.boxes, 'box')}, {_count(one.objects, 'object')}" for one in shown]
    room = max(8, width - label - max(map(len, figures)) - 4)
    lines = []
    for index, (one, figure) in enumerate(zip(shown, figures, strict=True)):
        bar = _bar(one.boxes / shown[0].boxes, room)
        name = printable(one.class_name)[:label].ljust(label)
        lines.append(Text.assemble(name, "  ", (bar, COLOURS[index % len(COLOURS)]), "  ", (figure, "dim")))
    if len(account.classes) > MOST_CLASSES:
        rest = account.classes[MOST_CLASSES:]
        lines.append(Text(f"… and {_count(len(rest), 'class')} more, {sum(one.boxes for one in rest):,} boxes", "dim"))
    return Group(*lines)


def _hours(account: Account, width: int) -> RenderableType:
    """A bar for each of the last hours, in the colours of the classes."""
    boxes: dict[int, Counter[str]] = defaultdict(Counter)
    for one in account.hours:
        boxes[one.hour_ns].update(one.boxes)
    shown = sorted(boxes)[-MOST_HOURS:]
    most = max(1, *(boxes[hour].total() for hour in shown))
    figures = [_count(boxes[hour].total(), "box") for hour in shown]
    label = len(when(shown[0])[:16])
    room = max(8, width - label - max(map(len, figures)) - 4)
    lines = [Text(f"boxes by hour{f', the last {MOST_HOURS}' if len(boxes) > MOST_HOURS else ''}", "dim")]
    colours = {one.class_name: COLOURS[index % len(COLOURS)] for index, one in enumerate(account.classes)}
    for hour, figure in zip(shown, figures, strict=True):
        bar, done = Text(), 0
        for name, colour in colours.items():
            done += boxes[hour][name]
            bar.append("█" * (round(done / most * room) - bar.cell_len), colour)
        bar.truncate(room, pad=True)
        lines.append(Text.assemble(when(hour)[:16], "  ", bar, "  ", (figure, "dim")))
    return Group(*lines)


def _course(course: Course, width: int) -> RenderableType:
    """A line for each camera, as high as it had frames in each step; blank where it had none."""
    names = [printable(name)[:_LABEL] for name in course.frames]
    label = max(6, *map(len, names))
    wide = max(8, min(len(course.at_ns), width - label - 2))
    lines = [
        Text.assemble(name.ljust(label), "  ", (_heights(_squeezed(counts, wide)), COLOURS[0]))
        for name, counts in zip(names, course.frames.values(), strict=True)
    ]
    boxes = [sum(step) for step in zip(*course.boxes.values(), strict=True)] or [0] * len(course.at_ns)
    lines.append(Text.assemble("boxes".ljust(label), "  ", (_heights(_squeezed(boxes, wide)), COLOURS[1])))
    first, last = _labels(course.at_ns[0], course.at_ns[-1] + course.step_ns)
    drawn = math.ceil(len(course.at_ns) / math.ceil(len(course.at_ns) / wide))
    axis = first + last.rjust(drawn - len(first)) if len(first) + len(last) < drawn else first
    step = f"frames, each step {span(course.step_ns * math.ceil(len(course.at_ns) / wide) / NS_PER_S)}"
    return Group(Text(step, "dim"), *lines, Text(" " * (label + 2) + axis, "dim"))


def _missing(account: Account) -> Iterator[RenderableType]:
    """The largest gaps and the longest silences."""
    told: list[OfCamera] = [*account.gaps[:TOLD], *account.silences[:TOLD]]
    label = max((len(account.name_of(one)) for one in told), default=0)
    missing, gaps = sum(one.missing for one in account.cameras), sum(one.gaps for one in account.cameras)
    if gaps:
        yield Text()
        yield Text(f"{_count(missing, 'frame')} missing in {_count(gaps, 'gap')}; the largest:", "yellow")
        for gap in account.gaps[:TOLD]:
            at = "" if gap.at_ns is None else f"  before {when(gap.at_ns)}"
            session = f" of {printable(gap.session_id)}" if gap.session_id else ""
            numbers = _numbers(gap.first_frame_id, gap.frames)
            yield Text(f"  {account.name_of(gap):<{label}}  {numbers}{session}{at}")
    silences = sum(one.silences for one in account.cameras)
    if silences:
        yield Text()
        longer = f"of {account.silence_s:g} s or more without a frame"
        yield Text(f"{_count(silences, 'silence')} {longer}; the longest:", "yellow")
        for silence in account.silences[:TOLD]:
            yield Text(f"  {account.name_of(silence):<{label}}  {span(silence.seconds)} from {when(silence.from_ns)}")


def _numbers(first: int, frames: int) -> str:
    return f"frame {first}" if frames == 1 else f"frames {first}–{first + frames - 1} ({frames:,})"


def when(wall_ns: int) -> str:
    """Local time, with the date."""
    try:
        return datetime.fromtimestamp(wall_ns // NS_PER_S).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{wall_ns} ns"


def length(first_ns: int, last_ns: int) -> str:
    """From the one to the other, in two units: 2h 59m, 12s."""
    seconds = (last_ns - first_ns) // NS_PER_S
    for unit_s, rest_s in ((86_400, 3600), (3600, 60), (60, 1)):
        if seconds >= unit_s:
            return f"{span(seconds)} {span(seconds % unit_s // rest_s * rest_s)}"
    return span(seconds)


def _labels(first_ns: int, last_ns: int) -> tuple[str, str]:
    """Times for both ends of a scale: without the date where that is the same."""
    first, last = when(first_ns), when(last_ns)
    return (first[11:16], last[11:16]) if first[:10] == last[:10] else (first[:16], last[:16])


def _count(number: int, noun: str) -> str:
    plural = {"box": "boxes", "class": "classes"}.get(noun, f"{noun}s")
    return f"{number:,} {noun if number == 1 else plural}"


def _bar(share: float, width: int) -> str:
    """A bar of that share of the width, to an eighth of a character; never nothing."""
    eighths = max(1, round(share * width * 8))
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(width)


def _heights(counts: Sequence[int]) -> str:
    most = max(counts, default=0)
    return "".join(_HEIGHTS[math.ceil(8 * count / most)] if most else " " for count in counts)


def _squeezed(counts: Sequence[int], width: int) -> list[int]:
    """The sums of as many neighbours as it takes to be no more than `width`."""
    each = math.ceil(len(counts) / width)
    return [sum(counts[start : start + each]) for start in range(0, len(counts), each)]
