"""The parts of the manual's pages that are made from the code they describe.

A page is Markdown. A line of it such as

    <!-- camfleet: commands -->

stands for what one of `PARTS` makes; words after its name are arguments. The pages in the repository hold the marks,
the pages that are built hold the parts, so nothing that is generated is committed and nothing can be out of date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from docs.generate.commands import commands, exit_codes, outcomes, overview, variables
from docs.generate.figures import rehearsal_figures
from docs.generate.include import file
from docs.generate.keys import day_keys, fleet_keys, scenario_keys
from docs.generate.metrics import metrics
from docs.generate.python import api, errors
from docs.generate.reasons import failures, says

DOCS = Path(__file__).parent.parent
_MARK = re.compile(r"^<!-- camfleet: (?P<part>[\w-]+)(?P<words>[^\n>]*) -->$", re.MULTILINE)

Part = Callable[[Path, list[str]], str]
PARTS: dict[str, Part] = {
    "api": lambda page, words: api(words),
    "commands": lambda page, words: commands(),
    "day-keys": lambda page, words: day_keys(),
    "errors": lambda page, words: errors(),
    "exit-codes": lambda page, words: exit_codes(),
    "failures": lambda page, words: failures(),
    "file": lambda page, words: file(page, *words),
    "fleet-keys": lambda page, words: fleet_keys(),
    "metrics": lambda page, words: metrics(),
    "outcomes": lambda page, words: outcomes(),
    "overview": lambda page, words: overview(),
    "rehearsal-figures": lambda page, words: rehearsal_figures(),
    "says": lambda page, words: says(*words),
    "scenario-keys": lambda page, words: scenario_keys(),
    "variables": lambda page, words: variables(),
}
"""What a mark may name: the page that it is on, and the mark's words, give Markdown."""


def filled(text: str, page: Path) -> str:
    """The Markdown of a page with all its marks replaced.

    Args:
        text: The page as it is in the repository.
        page: Its file, from which links of included files are reckoned.

    Raises:
        KeyError: A mark names a part that there is not.
    """
    return _MARK.sub(lambda mark: PARTS[mark["part"]](page, mark["words"].split()), text)


def sources() -> Iterator[Path]:
    """The files of all pages, in order."""
    return (page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts)


def manual() -> dict[str, str]:
    """Every page as it is built, by its path within the manual without the ending."""
    pages = {page: page.read_text("utf-8") for page in sources()}
    return {str(page.relative_to(DOCS).with_suffix("")): filled(text, page) for page, text in pages.items()}
