"""What to install for an image, as pyproject.toml says: a line for each requirement.

    python requirements.py --extras page,sinks --without torch --instead opencv-python=opencv-python-headless

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
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OWN = re.compile(r"camfleet\[([a-z0-9,]+)\]")


def requirements(project: Mapping[str, Any], extras: list[str], without: set[str]) -> list[str]:
    """The project's requirements and those of its extras, sorted, without these packages.

    Args:
        project: The table `project` of pyproject.toml.
        extras: Names of optional dependencies.
        without: Names of packages, in small letters.

    Raises:
        KeyError: There is no such extra.
    """
    wanted = {*project["dependencies"], *_optional(project["optional-dependencies"], extras)}
    return sorted(one for one in wanted if name_of(one) not in without)


def name_of(requirement: str) -> str:
    """The package's name: `psycopg` of `psycopg[binary]>=3.2`."""
    return _NAME.match(requirement)[0].lower()


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
    parser.add_argument("--without", type=_words, default=[], metavar="A,B")
    parser.add_argument("--instead", type=_words, default=[], metavar="A=B,C=D")
    given = parser.parse_args()
    instead = dict(pair.split("=", 1) for pair in given.instead)
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    try:
        for one in requirements(project, given.extras, set(given.without)):
            name = name_of(one)
            print(instead[name] + one[len(name) :] if name in instead else one)
    except KeyError as error:
        sys.exit(f"{PROJECT} has no extra {error}; there is {', '.join(project['optional-dependencies'])}")


if __name__ == "__main__":
    main()
