"""Where the keys are that a fleet file names, and whether others may read or change them."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from pipeline.config.base import mask_value
from pipeline.config.files import look_up, places
from pipeline.config.locate import Document, KeyPath, Tree
from pipeline.errors import ConfigError
from pipeline.keys import read_certificate, why_open

_KEYS: KeyPath = ("publish", "keys")


def resolve_keys(document: Document) -> None:
    """Replace the paths of keys by absolute ones; report what is nowhere, open to others, or opens more than it may."""
    publish = document.data.get("publish") if isinstance(document.data, dict) else None
    keys = publish.get("keys") if isinstance(publish, dict) else None
    if not isinstance(keys, dict):
        return
    _resolve(keys, "server", _KEYS, _why_no_server, document)
    _resolve(keys, "clients", _KEYS, _why_no_clients, document)
    limits = keys.get("limited")
    for name, limited in limits.items() if isinstance(limits, dict) else ():
        if isinstance(limited, dict):
            path = (*_KEYS, "limited", name)
            _resolve(limited, "clients", path, _why_no_clients, document)
            if "clients" in limited and limited["clients"] == keys.get("clients"):
                document.report(
                    (*path, "clients"),
                    "is the folder of publish.keys.clients, whose keys hear everything",
                )


def _resolve(
    section: dict[str, Tree], key: str, above: KeyPath, why: Callable[[Path], str], document: Document
) -> None:
    written = section.get(key)
    if not isinstance(written, str) or not written.strip():
        return
    found = look_up(written, document.file)
    wrong = _nowhere(key, written, document) if found is None else why(found)
    if wrong:
        document.report((*above, key), wrong)
    section[key] = written if found is None else str(found)


def _nowhere(key: str, written: str, document: Document) -> str:
    what, make = (
        ("key", "camfleet keys new server makes one")
        if key == "server"
        else ("folder", "camfleet keys allow READER.key --to FOLDER makes it")
    )
    return f"there is no {what} “{mask_value(written)}” in {places(written, document.file)}; {make}"


def _why_no_server(file: Path) -> str:
    """What is wrong with the fleet's own key; empty where nothing is."""
    try:
        if read_certificate(file).secret is None:
            return f"“{file}” has no secret; name the file that ends in .key_secret"
        return why_open(file)
    except ConfigError as error:
        return str(error)


def _why_no_clients(folder: Path) -> str:
    """What is wrong with the folder of those who may read; empty where nothing is."""
    if not folder.is_dir():
        return f"“{folder}” is no folder; name the one with the keys that may subscribe"
    if folder.stat().st_mode & stat.S_IWOTH:
        return f"“{folder}” can be changed by everybody on this machine: chmod o-w {folder}"
    return ""
