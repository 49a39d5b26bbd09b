"""Pages that open anywhere, without a network: what reports, profiles and leaderboards have in common."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from pipeline.errors import PipelineError

_NOT_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""HTML's standard, 13.1.4, and the form feed, which SVG has not; names, reasons and logs come from anywhere."""


def environment(*packages: str) -> Environment:
    """Templates in the folders `templates` of these packages, looked for in turn; what they are given is escaped."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def without_control_characters(text: str) -> str:
    """`text` with a sign in place of what HTML has not: control characters, noncharacters and halves of characters."""
    return _NOT_HTML.sub("\ufffd", text)


def write_document(text: str, path: Path, wrong: type[PipelineError]) -> None:
    """Write a page.

    Raises:
        PipelineError: It cannot be written; of the kind `wrong`.
    """
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise wrong(f"{path} cannot be written: {error.strerror}") from error
