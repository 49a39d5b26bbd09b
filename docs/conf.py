"""How Sphinx builds the manual: Markdown pages, their generated parts, and a theme that asks nobody for anything."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from docs.generate import filled  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "camfleet"
author = "the camfleet authors"
copyright = "the camfleet authors; AGPL-3.0-or-later"
try:
    release = version_of("camfleet")
except PackageNotFoundError:
    release = ""

extensions = ["myst_parser"]
exclude_patterns = ["_build", "generate"]
myst_enable_extensions = ["attrs_block", "deflist"]
myst_heading_anchors = 5
# Typographic quotes are written where they are meant; in commands they would be wrong.
smartquotes = False
# Console blocks have words of several shells and programs in them.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"camfleet {release}".strip()
html_static_path = ["static"]
html_css_files = ["manual.css"]
html_show_sphinx = False
html_copy_source = False
html_use_index = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the generated parts into a page before it is read."""
    source[0] = filled(source[0], DOCS / f"{page}.md")


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls first."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
