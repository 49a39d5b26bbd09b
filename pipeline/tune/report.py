"""What a search found, for people, for JSON and for the profile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.tune.figures import Figures
from pipeline.tune.goal import time_words
from pipeline.tune.outcome import Outcome, Step, Tried, conclusions
from pipeline.tune.setting import Setting, short

_HEADINGS = ("detected /s", "p95 ms", "detected p95 ms", "cores", "MB", "runs")


def report(outcome: Outcome, about: Mapping[str, str]) -> Group:
    """Every lever with what it did, before and after, and what follows; `about` says what it was measured on."""
    parts: list[Any] = [Text(f"{name}: {value}", style="dim") for name, value in about.items()]
    parts += [Text(), *(_step(step) for step in outcome.steps), Text(), _before_after(outcome), Text()]
    parts += [Text(words) for words in conclusions(outcome)]
    return Group(*parts)


def as_json(outcome: Outcome, about: Mapping[str, str], profile: Path | None) -> dict[str, Any]:
    """The same for programs."""
    return {
        "measured_on": dict(about),
        "goal": {"p95_ms": outcome.goal.p95_ms, "detect_hz": outcome.goal.detect_hz},
        "budget": {"map_loss": outcome.budget.map_loss, "hota_loss": outcome.budget.hota_loss},
        "reached": outcome.reached,
        "best": outcome.best.as_dict(),
        "gain": round(outcome.gain, 4),
        "before": None if outcome.before is None else msgspec.to_builtins(outcome.before),
        "after": None if outcome.after is None else msgspec.to_builtins(outcome.after),
        "map_loss": outcome.map_loss,
        "hota_loss": outcome.hota_loss,
        "basis": outcome.basis,
        "noise": round(outcome.noise, 4),
        "seconds_a_run": outcome.seconds,
        "runs": outcome.runs,
        "spent_s": round(outcome.spent_s, 1),
        "out_of_time": outcome.out_of_time,
        "steps": [_step_as_dict(step) for step in outcome.steps],
        "over_budget": [
            {"model": over.words, "map_loss": over.map_loss, "figures": msgspec.to_builtins(over.figures)}
            for over in outcome.over_budget
        ],
        "relaxed_p95_ms": outcome.relaxed_ms,
        "conclusions": conclusions(outcome),
        "profile": None if profile is None else str(profile),
    }


def as_section(outcome: Outcome, about: Mapping[str, str], model: str, date: str, profile: Path) -> dict[str, Any]:
    """A fleet's section of a profile: what to set, and the measurements that justify it."""
    best = outcome.best
    section: dict[str, Any] = {
        "model": model,
        "goal": str(outcome.goal),
        "budget": str(outcome.budget),
        "date": date,
        "measured_on": dict(about),
        "settings": _nested(best),
    }
    if best.model:
        section["takes_model"] = os.path.relpath(best.model, profile.absolute().parent)
        section["accuracy"] = {"map_loss": round(outcome.map_loss, 2), "measured_by": outcome.basis}
    if outcome.hota_loss:
        section["hota_loss"] = round(outcome.hota_loss, 2)
    pairs = (("before", outcome.before), ("after", outcome.after))
    section["measured"] = [{"what": what, **_figures(figures)} for what, figures in pairs if figures is not None]
    section["noise"] = round(outcome.noise, 4)
    section["runs"], section["spent_s"] = outcome.runs, round(outcome.spent_s)
    section["levers"] = [_lever(step) for step in outcome.steps]
    section["conclusions"] = conclusions(outcome)
    return section


def _nested(setting: Setting) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in setting.keys:
        *sections, last = key.split(".")
        inside = nested
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[last] = list(value) if isinstance(value, tuple) else value
    return nested


def _figures(figures: Figures) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(figures)
    return told


def _lever(step: Step) -> dict[str, Any]:
    told: dict[str, Any] = {"lever": step.name}
    if step.tried:
        told["tried"] = [f"{one.setting.words}: {_in_words(one)}" for one in step.tried]
        told["best"] = step.winner.words
    return {**told, "note": step.note} if step.note else told


def _in_words(one: Tried) -> str:
    if one.figures is None:
        return f"cannot: {one.why}"
    return f"{one.figures.detected_hz:g} /s, p95 {one.figures.p95_ms:g} ms, {one.figures.runs} runs"


def _step_as_dict(step: Step) -> dict[str, Any]:
    tried = [
        {
            "setting": one.setting.as_dict(),
            "figures": None if one.figures is None else _figures(one.figures),
            "map_loss": one.map_loss,
            "hota_loss": one.hota_loss,
            "why": one.why,
        }
        for one in step.tried
    ]
    return {"lever": step.name, "winner": step.winner.as_dict(), "tried": tried, "note": step.note}


def _step(step: Step) -> Group:
    head = Text.assemble((step.name, "bold"), f"  {step.note}" if step.note else "")
    if not step.tried:
        return Group(head)
    table = Table(box=None, pad_edge=False, show_header=False)
    base = step.tried[0].setting
    for one in step.tried:
        style = "bold" if one.setting == step.winner else None
        table.add_row("  ", _difference(base, one), *_cells(one), style=style)
    return Group(head, table)


def _difference(base: Setting, one: Tried) -> str:
    """What a setting has that the one to be beaten has not."""
    if one.setting == base:
        return "as before" if base != Setting() else "as the file says"
    changed = Setting(
        tuple(pair for pair in one.setting.keys if pair not in base.keys),
        one.setting.model if one.setting.model != base.model else "",
    )
    told = [] if changed == Setting() else [changed.words]
    told += [f"{short(key)} as the file says" for key, _ in base.keys if one.setting.get(key) is None]
    return ", ".join(told)


def _cells(one: Tried) -> tuple[str, ...]:
    if one.figures is None:
        return (f"cannot: {one.why}",)
    loss = f"−{one.map_loss:.1f} mAP" if one.map_loss > 0 else f"−{one.hota_loss:.1f} HOTA" if one.hota_loss > 0 else ""
    return f"{one.figures.detected_hz:.1f} /s", f"p95 {one.figures.p95_ms:.0f} ms", f"×{one.figures.runs}", loss


def _before_after(outcome: Outcome) -> Table:
    table = Table("", *_HEADINGS, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    rows = [("the file's own", outcome.before)]
    if outcome.best != Setting():
        rows.append((outcome.best.words, outcome.after))
    for name, figures in rows:
        if figures is not None:
            cells = (
                f"{figures.detected_hz:.1f}",
                f"{figures.p95_ms:.0f}",
                f"{figures.detected_p95_ms:.0f}",
                f"{figures.cores:.2f}",
                f"{figures.memory_mb:.0f}",
                str(figures.runs),
            )
            table.add_row(name, *cells)
    return table


def measured_on(
    words: str, footage: str, versions: Mapping[str, str], spent_s: float, seconds: float
) -> dict[str, str]:
    """What has to be known beside the figures."""
    return {
        "machine": words,
        "libraries": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "recordings": footage,
        "took": f"{time_words(spent_s)}, {seconds:g} s a run once the fleet had settled",
    }
