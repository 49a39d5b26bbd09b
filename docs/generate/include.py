"""Files of the repository as parts of pages: their words stay in one place, and their links go on to lead somewhere."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_DOCS = ROOT / "docs"
_MARK = re.compile(r"^<!-- camfleet: file (\S+)[^\n]* -->$", re.MULTILINE)
_TITLE = re.compile(r"\A(#+) .*\n")
_HEADING = re.compile(r"^#(#+ )", re.MULTILINE)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_PICTURES = (".jpg", ".png", ".webp", ".gif")


def file(page: Path, name: str, below: str = "") -> str:
    """A Markdown file of the repository without its title, as a part of `page`.

    Links to files that are in the manual lead to their pages; of links to others the text and the path are left.

    Args:
        page: The page that includes it.
        name: The file, from the repository's top.
        below: With "below", its headings are a level lower, as it stands under a heading of the page.
    """
    source = ROOT / name
    text = source.read_text("utf-8")
    if (title := _TITLE.match(text)) is not None:
        text = text[title.end() :]
        for _ in title[1][1:]:
            text = _HEADING.sub(r"\1", text)
    text = _HEADING.sub(r"##\1", text) if below else text
    return _LINK.sub(lambda link: _led(link, source, page), text)


@cache
def _pages() -> dict[Path, Path]:
    """The page of each file that is included somewhere."""
    pages = [page for page in _DOCS.rglob("*.md") if "_build" not in page.parts]
    return {(ROOT / name).resolve(): page for page in pages for name in _MARK.findall(page.read_text("utf-8"))}


def _led(link: re.Match[str], source: Path, page: Path) -> str:
    target, _, anchor = link["target"].partition("#")
    if "://" in target or not target:
        return link[0]
    found = (source.parent / target).resolve()
    anchor = f"#{anchor}" if anchor else ""
    if link["image"] or found.suffix in _PICTURES:
        return f"{link['image']}[{link['text']}]({os.path.relpath(found, page.parent)})"
    its_page = found if found.is_relative_to(_DOCS) else _pages().get(found)
    if its_page is not None:
        return f"[{link['text']}]({os.path.relpath(its_page, page.parent)}{anchor})"
    path = f"`{found.relative_to(ROOT)}`"
    is_named = link["text"].strip("`") in {found.name, target, str(found.relative_to(ROOT))}
    return path if is_named else f"{link['text']} ({path})"
