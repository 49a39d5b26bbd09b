"""A profile in a terminal: the same bars as on the page, in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.profile.figures import BEYOND_AGE, STEP_WORDS, Profile, Sampled
from pipeline.profile.look import COLOURS, Piece, axis_ms, core_pieces, rows, stage_pieces, way_name, way_pieces
from pipeline.profile.way import STEPS

BLOCK, WAITS, IDLE = "█", "▒", "·"
MOST_ROWS = 12


class Bar:
    """Coloured blocks as wide as there is room."""

    def __init__(self, pieces: Sequence[Piece], mark: float | None = None) -> None:
        """Draw `pieces`; `mark` is where a goal lies, 0..1."""
        self._pieces, self._mark = pieces, mark

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(8, options.max_width)
        signs: list[tuple[str, str]] = [(" ", "")] * width
        for piece in self._pieces:
            first, last = round(piece.start * width), round((piece.start + piece.width) * width)
            sign = WAITS if piece.waiting else IDLE if piece.key == "idle" else BLOCK
            for at in range(first, min(width, last)):
                signs[at] = (sign, COLOURS[piece.key])
        if self._mark is not None and self._mark < 1:
            signs[int(self._mark * width)] = ("│", "bold red")
        yield Text.assemble(*signs)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> object:
        from rich.measure import Measurement

        return Measurement(8, options.max_width)


class Legend:
    """What the colours of a bar mean, with figures; as many on a line as there is room for, none broken."""

    def __init__(self, entries: Sequence[tuple[str, str, str]], unit: str = "") -> None:
        """Name (key, words, figures) each, and last what the figures are, where nothing else says it."""
        self._entries, self._unit = entries, unit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        texts = [
            Text.assemble(("■", COLOURS[key]), f" {words} ", (figures, "bold")) for key, words, figures in self._entries
        ]
        line = Text()
        for text in texts:
            if line and len(line) + 2 + len(text) > options.max_width:
                yield line
                line = Text()
            line = line + Text("  ") + text if line else text
        yield line
        if self._unit:
            yield Text(f"({self._unit})", "dim")


def report(profile: Profile) -> RenderableType:
    """Everything that was found, the conclusion first."""
    parts: list[RenderableType] = [_head(profile), *_findings(profile), Text()]
    parts += [*_latency(profile), Text(), *_cores(profile), Text(), _processes(profile)]
    if profile.sampled:
        parts += [Text(), _samples(profile.sampled)]
    parts += [Text(note, "dim") for note in profile.notes]
    return Group(*parts)


def _head(profile: Profile) -> Text:
    kept = profile.age.p95_ms <= profile.slo_p95_ms
    return Text.assemble(
        (f"fleet {profile.fleet}", "bold"),
        f", {profile.seconds:.0f} s on {profile.cores:g} cores ({profile.machine}): {profile.published_hz:.1f} frames "
        f"and {profile.detected_hz:.1f} of {profile.wanted_hz:.1f} detections a second, p95 ",
        (f"{profile.age.p95_ms:.0f} ms", "green" if kept else "red"),
        f" of {profile.slo_p95_ms:g}",
    )


def _findings(profile: Profile) -> Iterator[RenderableType]:
    for number, finding in enumerate(profile.findings, 1):
        style = "green" if finding.kind == "none" else "bold yellow" if number == 1 else "yellow"
        sign = "✓" if finding.kind == "none" else f"{number}."
        yield Text.assemble((f"{sign} {finding.words}", style))
        if finding.lever:
            yield Padding(Text.assemble(("→ ", style), finding.lever), (0, 0, 0, 3))


def _latency(profile: Profile) -> Iterator[RenderableType]:
    whole = axis_ms(profile.ways, profile.slo_p95_ms)
    table = _table("where the milliseconds go", "ms")
    for way in profile.ways:
        mark = profile.slo_p95_ms / whole
        table.add_row(way_name(way), Bar(way_pieces(way, whole), mark), f"{way.age_ms:.1f}")
    yield table
    entries = [
        (step, STEP_WORDS[step], f"{profile.steps[step].p50_ms:.1f}/{profile.steps[step].p95_ms:.1f}")
        for step in STEPS
        if step in profile.steps
    ]
    beyond = " and ".join(STEP_WORDS[step] for step in BEYOND_AGE)
    yield Legend(entries, f"ms, p50/p95 of each step; {beyond} come after the age is taken")


def _cores(profile: Profile) -> Iterator[RenderableType]:
    found = core_pieces(profile)
    table = _table("where the cores go", "cores")
    table.add_row("all", Bar(found), f"{profile.fleet_cores:.2f}")
    yield table
    shares = [(piece.key, piece.words, f"{piece.value:.2f}") for piece in found if piece.value >= 0.005]
    yield Legend(shares)


def _processes(profile: Profile) -> Table:
    found = rows(profile, MOST_ROWS)
    whole = max((row.cores for row in found), default=0.0)
    table = _table("by process", "cores")
    table.add_column("MB", justify="right", no_wrap=True)
    for row in found:
        name = f"{row.name}: {row.detail}" if row.detail else row.name
        table.add_row(name, Bar(stage_pieces(row.stages, whole)), f"{row.cores:.2f}", f"{row.memory_mb:.0f}")
    return table


def _samples(sampled: Sequence[Sampled]) -> Table:
    table = Table(box=None, pad_edge=False, title="hottest functions", title_justify="left", title_style="bold")
    for name in ("process", "function", "where"):
        table.add_column(name, no_wrap=name != "where", overflow="ellipsis", style="dim" if name == "where" else "")
    table.add_column("%", justify="right")
    for one in sampled:
        if one.error:
            table.add_row(one.name, Text(one.error, "red"), "", "")
        for number, hot in enumerate(one.hottest):
            table.add_row("" if number else one.name, hot.name, hot.where, f"{hot.percent:.0f}")
    return table


def _table(title: str, unit: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=True, expand=True
    )
    table.add_column("", no_wrap=True, min_width=20, max_width=36, overflow="ellipsis")
    table.add_column("", ratio=1)
    table.add_column(unit, justify="right", no_wrap=True)
    return table
