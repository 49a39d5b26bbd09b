"""`${VAR}` in a fleet file: secrets and places that differ between machines."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.config.locate import Document, KeyPath, Tree

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
    def value_of(found: re.Match[str]) -> str:
        name = found["name"]
        if found[0] == "$${":
            return "${"
        if name is None or not _NAME.fullmatch(name):
            document.report(
                path, "“${” begins a variable such as ${GATE_PASSWORD}; write “$${” for the characters themselves"
            )
        elif found["default"] is not None:
            # As in a shell: the default stands for a variable that is empty, too.
            return environ.get(name) or found["default"]
        elif name in environ:
            return environ[name]
        else:
            document.report(path, f"the environment variable {name} is not set; set it before starting camfleet")
        return found[0]

    def noted(found: re.Match[str]) -> str:
        value = value_of(found)
        document.variables.setdefault(path, set()).add(value)
        return value

    return _VARIABLE.sub(noted, text)
