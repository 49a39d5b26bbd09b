"""A YAML file as plain values, with the line and column of each.

The words of the file are kept: YAML 1.1 reads `gmc: off` as false, `1:30` as 90 and `010` as 8; here, as in YAML 1.2,
only `true` and `false` are booleans, and keys are text always. Hostile files cost little: size, depth and the number
of values after expanding aliases are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

try:
    from yaml import CSafeLoader as _Loader  # ten times faster; missing where PyYAML was built without libyaml
except ImportError:
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

from pipeline.config.base import mask_value
from pipeline.errors import ConfigError

MAX_BYTES = 1 << 20
"""A camera takes about 100 bytes: room for ten thousand."""
MAX_DEPTH = 16
"""The deepest key of a fleet file is at 4, `cameras.gate.track.fill`."""
MAX_VALUES = 50_000
"""Ten thousand cameras with five keys each stay below."""
MOST_REPEATED = 10
"""Values for each character: aliases may multiply a small file into gigabytes."""
MAX_NODES = 2 * MAX_VALUES
"""Keys and values as they are written."""

KeyPath = tuple[str | int, ...]
Tree = dict[str, "Tree"] | list["Tree"] | str | int | float | bool | None

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value and its key are written, lines and columns from 1, and a scalar's text as written."""

    line: int
    column: int
    key_line: int
    key_column: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a file; line 0 means the file as a whole."""

    line: int
    column: int
    path: KeyPath
    text: str


@dataclass(slots=True)
class Document:
    """What a YAML file says, where each value is, and the mistakes found so far.

    Attributes:
        file: As the caller named it.
        data: Mappings, lists and scalars.
        places: By the path of keys and list indices from the top.
        variables: What variables stand for, by the path of the text they are in; no message repeats that.
        mistakes: One for each path at most.
    """

    file: Path
    data: Tree = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    variables: dict[KeyPath, set[str]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    _reported: set[KeyPath] = field(default_factory=set)

    def report(self, path: KeyPath, text: str, at_key: bool = False) -> None:
        """Add a mistake, at the nearest place that is written; a second one about the same path is not added."""
        if path in self._reported:
            return
        self._reported.add(path)
        written = next(path[:length] for length in range(len(path), -1, -1) if path[:length] in self.places)
        place = self.places[written]
        at_key = at_key or place.text is None
        line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
        self.mistakes.append(Mistake(line, column, path, self._as_written(path, text)))

    def _as_written(self, path: KeyPath, text: str) -> str:
        """A message with what stands in the file in place of what its variables stand for."""
        values = [value for value in self.variables.get(path, ()) if value]
        if not values:
            return text
        written = mask_value(re.sub(r":-[^}]*", ":-…", self.places[path].text or ""))

        def quoted(found: re.Match[str]) -> str:
            text = found[1].lower()
            has_some = any(value.lower() in text or text in value.lower() for value in values)
            return f"“{written}”" if has_some else found[0]

        text = re.sub(r"“([^”]+)”", quoted, text)
        for value in values:
            # A shorter one is a word of the message rather than a secret.
            text = text.replace(value, written) if len(value) > 3 else text
        return text


class _WordsLoader(_Loader):
    """Resolves plain scalars by the core schema of YAML 1.2 (§10.3.2), and “<<” as the merge key."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML copies it on write


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _WordsLoader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _first)

YAML_WORDS = _WordsLoader.yaml_implicit_resolvers
"""What a plain scalar is, by its first letter, as PyYAML wants it: for whoever writes what is read here."""


def read_document(file: Path, kind: str = "fleet file", needs: str = "“model” and “cameras”") -> Document:
    """The values of a YAML file and their places; duplicate keys are among its mistakes already.

    Args:
        file: The file.
        kind: What it is called in messages.
        needs: The keys it cannot do without, in words.

    Raises:
        ConfigError: The file cannot be read, or is no YAML that could be looked into further.
    """
    document = _document(_read_text(file, kind), file)
    if document is None:
        raise ConfigError(f"{file}: the file is empty; a {kind} has at least {needs}")
    return document


def read_value(text: str, of: str) -> Tree:
    """What stands for a value on a command line, read as in a fleet file: `off` is a word, and so is `1:30`.

    Args:
        text: The value.
        of: What it is called in messages.

    Raises:
        ConfigError: It is no YAML.
    """
    document = read_text(text, of)
    if document.mistakes:
        raise ConfigError(f"{of}: {document.mistakes[0].text}")
    return document.data


def read_text(text: str, of: str) -> Document:
    """The same of a text that is no file; duplicate keys are among its mistakes already.

    Args:
        text: YAML.
        of: What it is called in messages.

    Raises:
        ConfigError: It is no YAML that could be looked into further.
    """
    return _document(text, Path(of)) or Document(Path(of))


def _document(text: str, file: Path) -> Document | None:
    """What a text says; None if that is nothing."""
    try:
        _check_size(text, file)
        root = yaml.compose(text, Loader=_WordsLoader)
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(file, error, text)) from None
    if root is None:
        return None
    reader = _Reader(Document(file), min(MAX_VALUES, MOST_REPEATED * len(text)))
    reader.document.data = reader.value(root, (), root.start_mark)
    return reader.document


def _read_text(file: Path, kind: str) -> str:
    try:
        if file.is_dir():
            raise ConfigError(f"{file}: is a directory; name the {kind} in it")
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file (looked in {Path.cwd()})") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{file}: cannot be read: {reason}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{file}: is larger than {MAX_BYTES >> 20} MiB, so it is no {kind}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: is not UTF-8 text; is it a {kind}? If so, save it as UTF-8") from None


def _check_size(text: str, file: Path) -> None:
    # PyYAML composes by recursion, and makes half a kilobyte of every node: without this, a megabyte of “[” would end
    # the interpreter, and one of commas take a hundred.
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_WordsLoader):
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > MAX_NODES:
            raise ConfigError(f"{file}: has more than {MAX_VALUES} values")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(f"{file}:{line}: is nested deeper than {MAX_DEPTH} levels")


_INDENTED_BY_TAB = re.compile(r" *\t")


def _syntax(file: Path, error: yaml.YAMLError, text: str) -> str:
    mark: yaml.Mark | None = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark and "nesting depth" in problem:  # since PyYAML 6.0.4 its scanner has a limit of its own, far beyond ours
        return f"{file}:{mark.line + 1}: is nested deeper than {MAX_DEPTH} levels"
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if mark and (tab := _INDENTED_BY_TAB.match(line)):
        return f"{file}:{mark.line + 1}:{tab.end()}: is indented by a tab; YAML takes spaces only, two for each level"
    context = getattr(error, "context", None)
    hint = "; between { and }, a text with ${…} needs quotes" if "${" in line and "{" in line.replace("${", "") else ""
    return f"{where}: is not YAML: {problem}{f' {context}' if context else ''}{hint}"


class _Reader:
    """Turns YAML's nodes into values and notes where they stand."""

    def __init__(self, document: Document, most_values: int) -> None:
        self.document = document
        self._most = self._left = most_values

    def value(self, node: yaml.Node, path: KeyPath, key_mark: yaml.Mark) -> Tree:
        """The value of a node at `path`, whose key is written at `key_mark`."""
        self._spend(len(path))
        mark = node.start_mark
        text = node.value if isinstance(node, yaml.ScalarNode) else None
        self.document.places[path] = Place(mark.line + 1, mark.column + 1, key_mark.line + 1, key_mark.column + 1, text)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index), item.start_mark) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _spend(self, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise ConfigError(f"{self.document.file}: has more than {self._most} values, or aliases without end")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Tree]:
        values: dict[str, Tree] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, mark = key_node.value, key_node.start_mark
            if _is_merge(key_node):
                continue
            if not isinstance(key, str):
                self._at(mark, path, "a key must be a word, not a list or mapping")
            elif key in lines:
                self._at(mark, (*path, key), f"is there twice, in line {lines[key]} and in line {mark.line + 1}")
            else:
                lines[key] = mark.line + 1
                values[key] = self.value(value_node, (*path, key), mark)
        for key_node, value_node in self._merged(node, path, len(path)):
            if isinstance(key_node.value, str) and key_node.value not in values:
                values[key_node.value] = self.value(value_node, (*path, key_node.value), key_node.start_mark)
        return values

    def _merged(self, node: yaml.MappingNode, path: KeyPath, depth: int) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Keys and values that “<<” brings into a mapping, the nearest first."""
        self._spend(depth)
        for key_node, named in node.value:
            if not _is_merge(key_node):
                continue
            for source in named.value if isinstance(named, yaml.SequenceNode) else (named,):
                self._spend(depth)
                if isinstance(source, yaml.MappingNode):
                    for pair in source.value:
                        self._spend(depth)
                        if not _is_merge(pair[0]):
                            yield pair
                    yield from self._merged(source, path, depth + 1)
                else:
                    self._at(key_node.start_mark, (*path, "<<"), "must name a mapping, such as *base")

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Tree:
        kind, text = node.tag.removeprefix(_TAG), str(node.value)
        if kind in ("str", "merge"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in ("int", "float"):
            return _number(kind, text)
        self._at(node.start_mark, path, f"YAML tags such as “{node.tag.replace(_TAG, '!!')}” are not supported")
        return text

    def _at(self, mark: yaml.Mark, path: KeyPath, text: str) -> None:
        self.document.mistakes.append(Mistake(mark.line + 1, mark.column + 1, path, text))


def _is_merge(key: yaml.Node) -> bool:
    return bool(key.tag == _TAG + "merge")


def _number(kind: str, text: str) -> int | float | str:
    try:
        if kind == "int":
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        return float(text)
    except ValueError:
        # More digits than Python converts, or a tag that lies: left as text, the check of its key will refuse it.
        return text
