"""`${VAR}` in a fleet file: secrets and places that differ between machines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from pipeline.config.locate import Document, KeyPath, Tree

_BEGIN = re.compile(r"\$?\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_END = re.compile(r"[@/?#\s]")
"""What ends the user information of an address (RFC 3986, section 3.2)."""
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&()*+,;=-]|%[0-9A-Fa-f]{2})*")
"""User information as it is written in an address, but for the apostrophe, which no address of a fleet file has."""


def substitute(document: Document, environ: Mapping[str, str]) -> None:
    """Replace every `${VAR}` in the document's texts by its value, or by the default of `${VAR:-default}`.

    `$${` becomes `${`. What cannot be replaced is reported in the document and left as it is.
    """
    document.data = _tree(document.data, (), document, environ)


def _tree(value: Tree, path: KeyPath, document: Document, environ: Mapping[str, str]) -> Tree:
    if isinstance(value, dict):
        return {key: _tree(item, (*path, key), document, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_tree(item, (*path, index), document, environ) for index, item in enumerate(value)]
    return _text(value, path, document, environ) if isinstance(value, str) else value


def _text(text: str, path: KeyPath, document: Document, environ: Mapping[str, str]) -> str:
    parts, at = [], 0
    while (begin := _BEGIN.search(text, at)) is not None:
        parts.append(text[at : begin.start()])
        at = begin.end()
        if begin[0] == "$${":
            parts.append("${")
            continue
        end = text.find("}", at)
        value = _value(text[at:end] if end >= 0 else "", path, document, environ)
        if value is None:
            return text
        at = end + 1
        placed = _placed(value, "".join(parts), text[at:])
        document.variables.setdefault(path, set()).update((value, placed))
        parts.append(placed)
    return "".join((*parts, text[at:]))


def _placed(value: str, before: str, after: str) -> str:
    """The value as it has to be written where it stands: within `user:password@` of an address percent-encoded.

    One that is encoded already stays as it is.
    """
    scheme, is_address, userinfo = before.rpartition("://")
    rest = _END.search(after)
    if not (scheme and is_address) or _END.search(userinfo) or rest is None or rest[0] != "@":
        return value
    holds_both = ":" not in userinfo + after[: rest.start()]
    return value if _ENCODED.fullmatch(value) else quote(value, safe=":" if holds_both else "")


def _value(variable: str, path: KeyPath, document: Document, environ: Mapping[str, str]) -> str | None:
    """What `NAME` or `NAME:-default` stands for; None, and a mistake, if that is not known."""
    name, has_default, default = variable.partition(":-")
    if not _NAME.fullmatch(name):
        document.report(
            path, "“${” begins a variable such as ${GATE_PASSWORD}; write “$${” for the characters themselves"
        )
    elif has_default:
        # As in a shell: the default stands for a variable that is empty, too.
        return environ.get(name) or default
    elif name in environ:
        return environ[name]
    else:
        document.report(path, f"the environment variable {name} is not set; set it before starting camfleet")
    return None
