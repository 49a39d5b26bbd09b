"""profile.html: one file that opens anywhere, without a network. How it looks is in `templates/`."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from jinja2 import Environment

from pipeline.document import environment, without_control_characters, write_document
from pipeline.errors import ProfileError
from pipeline.profile import look
from pipeline.profile.figures import STAGE_WORDS, STEP_WORDS, Profile
from pipeline.profile.way import STEPS

LABEL_SHARE = 0.055
"""Of a bar's width, from which a piece has room for its figure."""


def write_page(profile: Profile, path: Path) -> None:
    """Write the profile as a page.

    Raises:
        ProfileError: It cannot be written.
    """
    write_document(page(profile), path, ProfileError)


def page(profile: Profile) -> str:
    """The profile as one HTML document that fetches nothing."""
    whole_ms = look.axis_ms(profile.ways, profile.slo_p95_ms)
    found = look.rows(profile)
    most = max((row.cores for row in found), default=0.0)
    cores = look.core_pieces(profile)
    return without_control_characters(
        _environment()
        .get_template("profile.html")
        .render(
            profile=profile,
            colours=look.COLOURS,
            at=profile.at.replace("T", " ").replace("+00:00", " UTC"),
            kept=profile.age.p95_ms <= profile.slo_p95_ms,
            ways=[(way, look.way_name(way), look.way_pieces(way, whole_ms)) for way in profile.ways],
            whole_ms=whole_ms,
            ticks_ms=look.ticks(whole_ms),
            steps=[(step, STEP_WORDS[step], profile.steps[step]) for step in STEPS if step in profile.steps],
            waiting=look.WAITING,
            cores=cores,
            all_cores=max(profile.cores, sum(piece.value for piece in cores)),
            ticks_cores=look.ticks(profile.cores, 8),
            how={share.stage: share.how for share in profile.shares},
            rows=[(row, look.stage_pieces(row.stages, most)) for row in found],
            stage_words=STAGE_WORDS,
            label_share=LABEL_SHARE,
            most_cameras=look.MOST_PROCESSES,
        )
    )


@cache
def _environment() -> Environment:
    made = environment("pipeline.profile")
    made.filters |= {"percent": _percent, "figure": _figure}
    return made


def _percent(share: float) -> str:
    """A length for CSS."""
    return f"{100 * share:.3f}%"


def _figure(value: float) -> str:
    """Three digits at most, none that mean nothing."""
    if value == 0 or not math.isfinite(value):
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"
