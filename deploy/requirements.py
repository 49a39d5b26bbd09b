"""What to install for an image, as pyproject.toml says: a line for each requirement.

    python requirements.py --extras page,sinks

Runs before anything is installed, so it needs Python's own library alone.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROJECT = Path("pyproject.toml")
_OWN = re.compile(r"camfleet\[([a-z0-9,]+)\]")


def requirements(project: Mapping[str, Any], extras: list[str]) -> list[str]:
    """The project's requirements and those of its extras, sorted.

    Args:
        project: The table `project` of pyproject.toml.
        extras: Names of optional dependencies.

    Raises:
        KeyError: There is no such extra.
    """
    return sorted({*project["dependencies"], *_optional(project["optional-dependencies"], extras)})


def _optional(optional: Mapping[str, list[str]], extras: list[str]) -> Iterator[str]:
    """An extra that names others of the project's own stands for them."""
    for extra in extras:
        for one in optional[extra]:
            own = _OWN.fullmatch(one)
            yield from _optional(optional, own[1].split(",")) if own else (one,)


def _words(text: str) -> list[str]:
    return [word for word in text.replace(" ", "").split(",") if word]


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extras", type=_words, default=[], metavar="A,B")
    given = parser.parse_args()
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    try:
        print(*requirements(project, given.extras), sep="\n")
    except KeyError as error:
        sys.exit(f"{PROJECT} has no extra {error}; there is {', '.join(project['optional-dependencies'])}")


if __name__ == "__main__":
    main()
