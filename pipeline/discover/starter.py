"""A fleet file to begin with: the cameras that a user names, and beside each key what it is for.

Whatever is secret in an address goes into variables of the environment, so that the file can be shown and kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

from pipeline.config.base import NAME_PATTERN, NAME_RULE
from pipeline.config.url import CameraUrl
from pipeline.discover.device import Profile
from pipeline.discover.lines import name_for, yaml_key
from pipeline.discover.secret import SCHEMES, Variables, holds_secret, written
from pipeline.errors import ConfigError

_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<url>.+)", re.DOTALL | re.ASCII)
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_ANY_HOST = re.compile(r"[\d.]+|.*:.*|localhost")
"""Hosts that are no name for a camera."""
_TEXT = """\
# A fleet, written by camfleet init. What is not here has its default; camfleet check shows all of them.
{secrets}
model:
  path: {model}
  # classes: [person, car]          # of the classes that the model knows only these
  # nms_iou: 0.5                    # for models without an end-to-end head

publish:
  bind: tcp://127.0.0.1:5555        # where camfleet subscribe reads; other machines need keys (camfleet keys)

slo:
  p95_ms: 150                       # the latency to keep: detections give way to it, visibly

# page: {{port: 8080}}                # a live page in the browser: pip install 'camfleet[page]'

# sinks:                            # where results are kept, too
#   files: {{kind: file, path: results}}

cameras:
{cameras}"""
_CAMERA = """\
{notes}  {key}:
    url: {url}
    # stride: 3                     # detect every third frame; without it, as often as the machine can
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A camera for the file.

    Attributes:
        camera_id: Its name.
        url: Its address as the file has it, secrets as `${NAME}`.
        secrets: What these variables stand for, as far as the user has said it in the address.
        notes: What is to be known of it, lines.
    """

    camera_id: str
    url: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    def with_notes(self, *notes: str) -> Entry:
        """The same with these notes."""
        return replace(self, notes=notes)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables in the address."""
        return tuple(found[2:-1].partition(":-")[0] for found in _VARIABLE.findall(self.url.replace("$${", "")))


def entry(given: str, taken: Collection[str], folder: Path) -> Entry:
    """The camera that a user means by `URL` or `NAME=URL`.

    Args:
        given: An address, a path of this machine, or either with a name before it.
        taken: Names that others have.
        folder: Where the file will be: paths within it are written relative to it.

    Raises:
        ConfigError: It is no address of a camera, or the name is none; nothing that may be secret is repeated.
    """
    named = None if Path(given).exists() else _NAMED.fullmatch(given)
    text = named["url"] if named else given
    try:
        url = CameraUrl.parse(_VARIABLE.sub("x", text))
    except PydanticCustomError as error:
        raise ConfigError(f"--url: {error}") from None
    name = _name(named["name"] if named else "", url, taken)
    if url.kind != "network":
        return Entry(name, _placed(url, text, folder))
    if _VARIABLE.search(text):
        return Entry(name, _checked(text))
    return _hidden(name, url)


def fleet_text(model: str, entries: Sequence[Entry]) -> str:
    """The fleet file."""
    cameras = "\n".join(_camera(one) for one in entries)
    secrets = "".join(f"{line}\n" for line in _secrets(entries))
    return _TEXT.format(secrets=secrets, model=json.dumps(model, ensure_ascii=False), cameras=cameras)


def _name(asked: str, url: CameraUrl, taken: Collection[str]) -> str:
    if asked:
        if not re.fullmatch(NAME_PATTERN, asked):
            raise ConfigError(f"--url: found the name “{asked}”; a name is {NAME_RULE}")
        if asked in taken:
            raise ConfigError(f"--url: there are two cameras named “{asked}”")
        return asked
    if url.path is not None:
        return name_for(url.path.stem, "", taken)
    host = urlsplit(url.reveal()).hostname or ""
    return name_for("camera" if _ANY_HOST.fullmatch(host) or not host else host.partition(".")[0], host, taken)


def _placed(url: CameraUrl, text: str, folder: Path) -> str:
    """A path as the file has it: relative within its folder, else absolute; all else as it is.

    Raises:
        ConfigError: There is no such file or folder.
    """
    if url.kind != "file" or "://" in text or _VARIABLE.search(text):
        return text
    path, folder = Path(text).expanduser().absolute(), folder.absolute()
    if not path.exists():
        raise ConfigError(f"--url: there is no recording {text}")
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _checked(text: str) -> str:
    """An address with variables of the user's own, if nothing else in it is secret.

    Raises:
        ConfigError: Something is.
    """
    userinfo, at, _ = urlsplit(text).netloc.rpartition("@")
    password = userinfo.partition(":")[2]
    if (at and password and not _VARIABLE.search(password)) or holds_secret(_VARIABLE.sub("", text)):
        raise ConfigError("--url: the address has a variable and a secret in plain words; make variables of both")
    return text


def _hidden(name: str, url: CameraUrl) -> Entry:
    """An address with what is secret in it as variables.

    Raises:
        ConfigError: It cannot be told what is.
    """
    text = url.reveal()
    prefix = re.sub(r"[^A-Z0-9]+", "_", name.upper())
    prefix = f"CAMERA_{prefix}" if prefix[0].isdecimal() else prefix
    variables = Variables(f"{prefix}_USER", f"{prefix}_PASSWORD")
    if urlsplit(text).scheme.lower() not in SCHEMES:
        if str(url) != text:
            raise ConfigError("--url: write what is secret in the address as variables, such as ${GATE_PASSWORD}")
        return Entry(name, text)
    profile = Profile(token="", name="", source="", codec="", uri=text)
    found = written(profile, name, None, variables)
    if found is None:
        raise ConfigError("--url: write what is secret in the address as variables, such as ${GATE_PASSWORD}")
    return Entry(name, found.text, _values(found.text, text, variables))


def _values(masked: str, text: str, variables: Variables) -> dict[str, str]:
    """What the variables of `masked` stand for in `text`."""
    user, _, password = urlsplit(text).netloc.rpartition("@")[0].partition(":")
    known = {variables.user: user, variables.password: password}
    literals = [re.escape(one.replace("$${", "${")) for one in _VARIABLE.split(masked)]
    names = [one[2:-1] for one in _VARIABLE.findall(masked)]
    found = re.fullmatch("(.*)".join(literals), text, re.IGNORECASE)
    return known | (dict(zip(names, found.groups(), strict=True)) if found else {})


def _secrets(entries: Sequence[Entry]) -> Iterator[str]:
    names = list(dict.fromkeys(name for one in entries for name in one.variables))
    if names:
        yield "# What is secret stands in the environment, never here. Set before it runs:"
        yield f"#   export {' '.join(f'{name}=…' for name in names)}"


def _camera(one: Entry) -> str:
    notes = "".join(f"  # {line}\n" for line in one.notes)
    return _CAMERA.format(notes=notes, key=yaml_key(one.camera_id), url=json.dumps(one.url, ensure_ascii=False))
