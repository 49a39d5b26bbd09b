"""The figures that a rehearsal tells and that may be expected, from the code that makes them."""

from __future__ import annotations

from pipeline.rehearse.compare import FIGURES, OF_BOTH


def rehearsal_figures() -> str:
    """A table of all of them."""
    told = {figure.key: figure.words.strip() + (f", {figure.unit}" if figure.unit else "") for figure in FIGURES}
    rows = [f"| `{key}` | {words} |" for key, words in {**told, **OF_BOTH}.items()]
    return "\n".join(("| figure | is |", "|---|---|", *rows)) + "\n"
