"""A fleet's figures as a table for a terminal, whatever its size: trouble first, the rest as far as it fits."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from pipeline.observe.books import RESTING
from pipeline.observe.columns import GOOD, MOST_WANTED_FIRST, Column, columns, is_well, promised
from pipeline.observe.promise import Promise
from pipeline.observe.summary import states
from pipeline.observe.tally import CameraTally, FleetTally
from pipeline.observe.verdict import TROUBLE
from pipeline.observe.words import age, sentence, short, span
from pipeline.wire import State

ORDER: tuple[State, ...] = (
    "failed", "blind", "retrying", "degraded", "connecting", "paused", "live", "ended", "removed",
)  # fmt: skip
"""Trouble first."""
DOWN: frozenset[State] = frozenset({"failed", "blind", "retrying"})
"""Cameras that see nothing now."""
FIGURES: frozenset[State] = frozenset({"live", "degraded", "ended", "removed"})
"""Cameras whose figures say something."""
SILENT_S = 5.0
"""Each camera says how it is once a second; one of which nothing was heard for so long is told."""

_STATE_STYLE = {
    "failed": "bold red",
    "blind": "bold red",
    "retrying": "red",
    "degraded": "yellow",
    "connecting": "yellow",
    "paused": "blue",
    "ended": "dim",
    "removed": "dim",
}
_STATE_WIDTH = max(map(len, ORDER))
_SPAN_WIDTH = 4
_NAME_WIDTHS = (8, 14, 24)
"""Least, most in a narrow terminal, most in a wide one."""
_WIDE = 100
_OTHERS_SEEN = 3
"""Cameras without trouble that stay visible beside reasons of several lines."""
_SPARE_LINE = 1
"""Left for the cursor, so that the terminal does not scroll."""


@dataclass(frozen=True, slots=True)
class FleetTable:
    """One line a camera: its state, since when, and its figures or why it has none.

    Attributes:
        fleet: The figures.
        title: What they are of.
        promise: What is red beyond.
        whole: Every camera, however many lines that takes; otherwise as many as the console has lines for.
        wanted: The figures that are known, the most important one first.
    """

    fleet: FleetTally
    title: str
    promise: Promise
    whole: bool = False
    wanted: tuple[str, ...] = MOST_WANTED_FIRST

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        layout = _Layout.of(self.fleet.cameras, options.max_width, promised(self.wanted, self.promise))
        frame = [self._headline(layout.width), layout.headings(), self._totals(layout)]
        room = None if self.whole else max(0, options.max_height - _SPARE_LINE - len(frame))
        head, headings, totals = frame
        for line in (head, headings, *self._rows(layout, room), totals):
            line.no_wrap = True
            line.truncate(layout.width, overflow="ellipsis")
            yield line

    def _headline(self, width: int) -> Text:
        cameras = self.fleet.cameras
        line = Text.assemble((self.title, "bold"), "  ", states(camera.state for camera in by_trouble(cameras)))
        down = sum(camera.state in DOWN for camera in cameras)
        news = Text(f"{down} of {len(cameras)} down", "bold red") if down else Text(f"none of {len(cameras)} down")
        line.truncate(max(0, width - news.cell_len - 2), overflow="ellipsis", pad=True)
        return Text.assemble(line, "  ", news)

    def _rows(self, layout: _Layout, room: int | None) -> list[Text]:
        """The worst that fit, then how many more there are and how they are."""
        cameras = by_trouble(self.fleet.cameras, self.promise)
        full = [layout.camera(camera, self.promise) for camera in cameras]
        if room is None or sum(map(len, full)) <= room:
            return _flat(full)
        brief = [[layout.line(camera, self.promise)] for camera in cameras]
        troubled = sum(camera.state in TROUBLE for camera in cameras)
        spelt_out = full[:troubled] + brief[troubled:]
        if len(_flat(spelt_out[: troubled + _OTHERS_SEEN])) < room:
            brief = spelt_out
        return _flat(brief) if len(_flat(brief)) <= room else _cut(brief, cameras, room)

    def _totals(self, layout: _Layout) -> Text:
        name = Text("all".ljust(layout.name_width + _STATE_WIDTH + _SPAN_WIDTH + 2))
        figures = (_right(column.fleet(self.fleet, self.promise), column.width) for column in layout.figures)
        line = Text.assemble(name, *figures)
        line.stylize("bold")
        return line


def by_trouble(cameras: Iterable[CameraTally], promise: Promise | None = None) -> list[CameraTally]:
    """Trouble first; among those of a state, cameras that are not well, then in the order of the fleet file."""
    return sorted(
        cameras, key=lambda camera: (ORDER.index(camera.state), promise is not None and is_well(camera, promise))
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """How wide everything is."""

    width: int
    name_width: int
    figures: tuple[Column, ...]

    @classmethod
    def of(cls, cameras: Sequence[CameraTally], width: int, wanted: Sequence[str]) -> _Layout:
        least, narrow, wide = _NAME_WIDTHS
        longest = max((len(camera.camera_id) for camera in cameras), default=least)
        name_width = min(max(longest, least), wide if width >= _WIDE else narrow)
        room = width - name_width - _STATE_WIDTH - _SPAN_WIDTH - 2
        return cls(width, name_width, tuple(columns(room, wanted)))

    def headings(self) -> Text:
        begin = f"{'camera':<{self.name_width}} {'state':<{_STATE_WIDTH}} {'for':>{_SPAN_WIDTH}}"
        return Text(begin + "".join(f" {column.heading:>{column.width}}" for column in self.figures), "dim underline")

    def line(self, camera: CameraTally, promise: Promise) -> Text:
        """Its only line: the figures, or as much of the reason as fits."""
        begin = self._begin(camera, promise)
        if camera.state not in FIGURES:
            return Text.assemble(begin, " ", _why(camera))
        return Text.assemble(begin, *(_right(column.camera(camera, promise), column.width) for column in self.figures))

    def camera(self, camera: CameraTally, promise: Promise) -> list[Text]:
        """Its lines: as many as the reason takes."""
        if camera.state in FIGURES:
            below = textwrap.wrap(_why(camera), max(1, self.width - 4))
            return [self.line(camera, promise), *(Text(f"    {line}", "dim") for line in below)]
        begin = self._begin(camera, promise)
        first, *rest = textwrap.wrap(_why(camera), max(1, self.width - begin.cell_len - 1)) or [""]
        return [Text.assemble(begin, " ", first), *(Text(" " * (begin.cell_len + 1) + line) for line in rest)]

    def _begin(self, camera: CameraTally, promise: Promise) -> Text:
        style = GOOD if is_well(camera, promise) else _STATE_STYLE.get(camera.state, "yellow")
        return Text.assemble(
            f"{short(camera.camera_id, self.name_width):<{self.name_width}} ",
            (f"{camera.state:<{_STATE_WIDTH}}", style),
            f" {span(camera.state_for_s):>{_SPAN_WIDTH}}",
        )


def _flat(rows: list[list[Text]]) -> list[Text]:
    return [line for lines in rows for line in lines]


def _cut(rows: list[list[Text]], cameras: Sequence[CameraTally], room: int) -> list[Text]:
    """As many rows as fit before the line that counts the others."""
    fit = 0
    while len(_flat(rows[: fit + 1])) < room:
        fit += 1
    return [*_flat(rows[:fit]), _more(cameras[fit:])] if room > 0 else []


def _why(camera: CameraTally) -> str:
    """When it is tried again, and what is wrong; empty where there is nothing to say."""
    detail = sentence(camera.detail)
    if not detail and camera.silent_s is None:
        detail = "nothing was heard of it yet"
    if not detail and camera.silent_s is not None and camera.silent_s > SILENT_S and camera.state not in RESTING:
        detail = f"nothing was heard of it for {span(camera.silent_s)}"
    if not detail and camera.state == "blind":
        detail = f"last detection: {age(camera.detection_age_ms)} ago" if camera.detection_age_ms else "never detected"
    retry = "" if camera.state != "retrying" or camera.retry_in_s is None else f"next try in {camera.retry_in_s:.0f}s"
    return ": ".join(part for part in (retry, detail) if part)


def _more(rest: Sequence[CameraTally]) -> Text:
    kinds = {camera.state for camera in rest}
    how = f"all {kinds.pop()}" if len(kinds) == 1 else states(camera.state for camera in rest)
    return Text(f"… and {len(rest)} more, {how}", "dim italic")


def _right(figure: Text, width: int) -> Text:
    figure.align("right", width)
    return Text.assemble(" ", figure)
