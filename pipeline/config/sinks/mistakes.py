"""What can be wrong with the sinks of a fleet file besides their values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from pipeline.config.base import mask_value
from pipeline.config.locate import Document, KeyPath, Tree
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.choice import what_is_missing, wrong_kind


def as_written(loc: KeyPath) -> KeyPath:
    """The path in the file of what pydantic found wrong in a sink: it names the kind on the way."""
    path = (*loc[:2], *loc[3:])
    # Of an option, which may have several types, it adds which one it tried.
    return path[:4] if path[2:3] == ("options",) else path


def report_kind(path: KeyPath, document: Document) -> None:
    """Say that a sink has no `kind`, or none that exists."""
    sink = _at(document.data, path)
    if not isinstance(sink, dict | None):
        document.report(path, "expected a mapping (lines of “key: value”) with at least “kind”")
        return
    document.report((*path, "kind"), wrong_kind((sink or {}).get("kind")))


def check_sinks(document: Document) -> None:
    """Report cameras that a sink names and the fleet does not have."""
    cameras, sinks = _at(document.data, ("cameras",)), _at(document.data, ("sinks",))
    if not isinstance(cameras, dict) or not isinstance(sinks, dict):
        return
    for name, sink in sinks.items():
        for index, camera_id in _listed(sink):
            if camera_id not in cameras:
                document.report(("sinks", name, "cameras", index), _no_camera(camera_id, cameras))


def report_missing(sinks: Mapping[str, SinkSettings], document: Document) -> None:
    """Say of each sink what has to be installed for it."""
    for name, settings in sinks.items():
        if missing := what_is_missing(settings):
            document.report(("sinks", name, "kind"), missing)


def _listed(sink: Tree) -> Iterator[tuple[int, str]]:
    named = sink.get("cameras") if isinstance(sink, dict) else None
    for index, camera_id in enumerate(named if isinstance(named, list) else ()):
        if isinstance(camera_id, str | int) and not isinstance(camera_id, bool):
            yield index, str(camera_id)


def _no_camera(camera_id: str, cameras: Iterable[str]) -> str:
    close = difflib.get_close_matches(camera_id, cameras, 1)
    hint = f"; did you mean “{close[0]}”?" if close else ""
    return f"there is no camera “{mask_value(camera_id)}” in this file{hint}"


def _at(tree: Tree, path: KeyPath) -> Tree:
    for step in path:
        tree = tree.get(str(step)) if isinstance(tree, dict) else None
    return tree
