"""`camfleet events`: what happened in zones and at lines, live or in results that were kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.settings import KeyOption, ServerKeyOption, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.client import Key
    from pipeline.config.rules import Rules
    from pipeline.wire import Event, Evidence

DEFAULT = "tcp://127.0.0.1:5555"


def events(
    results: Annotated[
        str | None,
        typer.Argument(
            metavar="RESULTS",
            help="What was kept: JSON lines, a file or folder of a sink, a database; or, without rules, a folder of "
            "evidence. Without, a running fleet.",
            show_default=False,
        ),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Argument(
            metavar="RULES.yaml",
            help="What is an event: a fleet file, or one with the cameras' zones and lines alone.",
            show_default=False,
        ),
    ] = None,
    *,
    endpoint: Annotated[str, typer.Option(help="Where the running fleet publishes.")] = DEFAULT,
    camera: Annotated[
        list[str] | None, typer.Option("--camera", "-c", help="Only of this camera; may be given several times.")
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", "-r", metavar="NAME", help="Only of this zone or line; may be given several times."),
    ] = None,
    happening: Annotated[
        list[str] | None,
        typer.Option("--happening", metavar="NAME", help="Only enter, cross, dwell, …; may be given several times."),
    ] = None,
    updates: Annotated[bool, typer.Option("--updates", help="Also that what lasts goes on, every 10 s.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many; 0 never ends.")] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Of a running fleet: give up after so many seconds without one.")
    ] = 0.0,
    totals: Annotated[bool, typer.Option("--totals", help="Only how many of each there were, at the end.")] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="With --json: also what is kept of them, once it is on disk.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, the keys of the wire.")] = False,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
) -> None:
    r"""Print what happened in zones and at lines.

    Of a running fleet, whose file has rules, until Ctrl-C; or of results that were kept, judged anew by any rules, so
    that a rule can be tried on last week. The same results and rules give the same events, live and later. Rules need
    pip install 'camfleet\[rules]'. Where the fleet file has `evidence`, the paths of clip and picture follow each event
    once they are on disk, and a folder of evidence lists what is kept there.

        camfleet events                                             what happens now
        camfleet events results.sqlite rules.yaml --totals          what would have been counted
        camfleet events evidence --camera gate                      what is kept, the oldest first
        camfleet events --json | jq -c 'select(.happening == "cross") | [.rule, .direction, .count]'
    """
    from pipeline.errors import ConfigError
    from pipeline.wire import Event

    _know(happening)
    found: Iterable[Event | Evidence]
    if results is None:
        shown = evidence or not as_json
        found = _live(endpoint, camera, timeout, key_of(key, server_key), evidence=shown and not totals)
    elif rules is None:
        if not Path(results).is_dir():
            raise ConfigError(f"{results} is no folder of evidence; results need RULES.yaml behind them")
        found = _on_disk(Path(results), camera, evidence=evidence or not as_json)
    else:
        found = _kept(results, _wanted(rules, camera))
    chosen = (
        event
        for event in found
        if (not rule or event.rule in rule)
        and (not happening or event.happening in happening)
        and (updates or not isinstance(event, Event) or event.phase != "update")
    )
    _show(chosen, count, totals=totals, as_json=as_json)


def _know(happenings: list[str] | None) -> None:
    """That each is one that there is.

    Raises:
        ConfigError: One is not, so nothing would ever be shown.
    """
    import difflib
    from typing import get_args

    from pipeline.errors import ConfigError
    from pipeline.wire.event import Happening

    there = get_args(Happening)
    for name in happenings or ():
        if name not in there:
            close = difflib.get_close_matches(name, there, 1)
            hint = f"did you mean “{close[0]}”?" if close else f"there are {', '.join(there)}"
            raise ConfigError(f"--happening: nothing is called “{name}”; {hint}")


def _wanted(path: Path, cameras: list[str] | None) -> dict[str, Rules]:
    from pipeline.config.rulesfile import load_rules
    from pipeline.errors import ConfigError

    rules = load_rules(path)
    if unknown := [name for name in cameras or () if name not in rules]:
        raise ConfigError(f"{path} has no rules for camera {unknown[0]}; it has some for {', '.join(rules)}")
    return {name: one for name, one in rules.items() if not cameras or name in cameras}


def _kept(source: str, rules: dict[str, Rules]) -> Iterator[Event]:
    """Events of kept results, camera by camera, session by session; says at the end if there were no frames of one."""
    import sys

    from pipeline.render.kept import open_kept
    from pipeline.rules import CameraRules

    with open_kept(source) as kept:
        there = {stream.camera_id for stream in kept.streams(None)}
        for camera_id, one in rules.items():
            judge = CameraRules(one)
            for stream in kept.streams(camera_id):
                for frame in kept.frames(stream):
                    yield from judge.update(frame)
        if missing := sorted(set(rules) - there):
            print(f"camfleet: no frames of {', '.join(missing)} in the results", file=sys.stderr)


def _on_disk(folder: Path, cameras: list[str] | None, *, evidence: bool) -> Iterator[Event | Evidence]:
    """The events of which something is kept in a folder, the oldest first; says whose are not there.

    Raises:
        ConfigError: It has never been a folder of evidence.
    """
    import sys

    from pipeline.errors import ConfigError
    from pipeline.evidence.finish import Finished, told
    from pipeline.evidence.keep import LOCK, found
    from pipeline.evidence.record import RECORD, read_record

    there = sorted(found(folder.absolute()), key=lambda kept: kept.at_ns)
    if not there and not (folder / LOCK).exists():
        raise ConfigError(f"{folder} is no folder of evidence; results need RULES.yaml behind them")
    seen: set[str] = set()
    for kept in there:
        record = read_record(kept.record)
        if record is None:
            continue
        seen.add(record.event.camera_id)
        if not cameras or record.event.camera_id in cameras:
            yield record.event
            if evidence:
                stem = kept.record.with_name(kept.record.name.removesuffix(RECORD))
                yield told(record.event.fleet, Finished(stem, record))
    if missing := [name for name in cameras or () if name not in seen] or ([] if seen else ["any camera"]):
        known = f"; there is of {', '.join(sorted(seen))}" if seen else ""
        print(f"camfleet: nothing is kept of {', '.join(missing)}{known}", file=sys.stderr)


def _live(
    endpoint: str, cameras: list[str] | None, timeout_s: float, key: Key | None, *, evidence: bool
) -> Iterator[Event | Evidence]:
    from pipeline.client import Subscriber

    with Subscriber(
        endpoint, cameras, events="all" if evidence else True, timeout_s=timeout_s or None, key=key
    ) as found:
        yield from found


def _show(found: Iterable[Event | Evidence], count: int, *, totals: bool, as_json: bool) -> None:
    from collections import Counter

    from pipeline.wire import Event

    seen: Counter[tuple[str, str, str]] = Counter()
    number = 0
    for event in found:
        if not totals:
            _print(event, as_json=as_json)
        if not isinstance(event, Event):
            continue
        if event.phase in ("begin", "once") and not event.withdrawn:
            seen[event.camera_id, event.rule, event.direction or event.happening] += 1
        number += 1
        if count and number >= count:
            break
    if totals:
        _print_totals(seen, as_json=as_json)


def _print(event: Event | Evidence, *, as_json: bool) -> None:
    import msgspec

    from pipeline.wire import Event

    if as_json:
        print(msgspec.json.encode(event).decode(), flush=True)
    else:
        print(readable(event) if isinstance(event, Event) else paths(event), flush=True)


def _print_totals(seen: dict[tuple[str, str, str], int], *, as_json: bool) -> None:
    import json

    for (camera_id, rule, what), count in sorted(seen.items()):
        told = {"camera_id": camera_id, "rule": rule, "what": what, "count": count}
        print(json.dumps(told) if as_json else f"{camera_id:<12} {rule:<16} {what:<10} {count:>6}")
    if not seen and not as_json:
        print("nothing happened")


def paths(kept: Evidence) -> str:
    """What is kept of an event, a line for each file."""
    from pipeline.redact import printable

    said = [file for file in (kept.clip, kept.snapshot) if file] + ([kept.detail] if kept.detail else [])
    return "\n".join(printable(f"    {kept.camera_id} {kept.rule} {kept.event_id[:8]}  {one}") for one in said)


def readable(event: Event) -> str:
    """One line for people: when, where, what, who, and how sure that is."""
    import datetime as dt

    from pipeline.clock import NS_PER_S
    from pipeline.redact import printable

    when = dt.datetime.fromtimestamp(event.at_ns / NS_PER_S).astimezone()
    labels = ", ".join([one.label for one in event.attributes.values()])
    who = f"  {event.class_name}#{event.track_id}{f'({labels})' if labels else ''}" if event.track_id else ""
    sure = f"  ±{event.error_ms:.0f} ms" if event.error_ms else ""
    lasted = f"  {event.lasted_s:.1f} s" if event.phase in ("update", "end") else ""
    many = f"  {event.count}" if event.count else ""
    what = f"{event.direction or event.condition}"
    phase = {"begin": "begins", "update": "goes on", "end": "ends", "once": ""}[event.phase]
    revised = "  withdrawn" if event.withdrawn else "  revised" if event.revised else ""
    return printable(
        f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d}  {event.camera_id:<12} {event.rule:<14} "
        f"{what:<12} {phase:<8}{who}{many}{lasted}{sure}{revised}"
    ).rstrip()
