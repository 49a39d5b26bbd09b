"""Whether second models know the labels that zones and lines ask for: what none gives, never happens."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from pipeline.config.values import Fleet
from pipeline.doctor.finding import Finding, failure
from pipeline.doctor.model import OpenedModel


def look_at_attributes(fleet: Fleet, models: Sequence[OpenedModel]) -> Iterator[Finding]:
    """Labels of `attributes` that a second model which could be opened does not know."""
    known = {model.about.removeprefix("cascade."): model.kept for model in models if model.about != "model"}
    for camera_id, camera in fleet.cameras.items():
        for (section, rule_name), rule in camera.rules.each():
            for name, labels in rule.attributes.items():
                for label in labels if name in known else ():
                    if label not in known[name]:
                        where = f"cameras.{camera_id}.{section}.{rule_name}.attributes.{name}"
                        yield failure(where, f"cascade.{name} never says “{label}”", _instead(label, known[name]))


def _instead(label: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(label, known, 1)
    return f"did you mean “{close[0]}”?" if close else f"it says {', '.join(known[:20])}"
