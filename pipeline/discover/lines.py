"""Ready lines for the fleet file: every camera with a name of its own, and what is to be known of it as a comment."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from pipeline.discover.device import Device, Login, Profile
from pipeline.discover.propose import Choice, by_source, choose, size
from pipeline.discover.secret import Variables, Written, written

LONGEST_NAME = 40
"""Of the 63 that a name may have: the rest is for telling cameras of the same name apart."""
MODEL = "model: {path: yolo26n.pt}   # yours"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A camera for the fleet file.

    Attributes:
        camera_id: A name that no other has.
        device: Whose it is.
        profiles: All streams of its video input.
        choice: Which of them are proposed.
        url: The stream to detect.
        evidence_url: The larger one to keep, if there is one.
        notes: What the user should know of it, sentences.
    """

    camera_id: str
    device: Device
    profiles: tuple[Profile, ...]
    choice: Choice
    url: Written
    evidence_url: Written | None
    notes: tuple[str, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that its addresses need."""
        return tuple(dict.fromkeys((*self.url.variables, *(self.evidence_url.variables if self.evidence_url else ()))))

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        evidence = f"; evidence: {stream(self.choice.evidence)}" if self.evidence_url and self.choice.evidence else ""
        return f"{self.device.title}, {self.device.host}: {stream(self.choice.detect)}{evidence}"


@dataclass(frozen=True, slots=True)
class Unused:
    """A device without a camera for the fleet file.

    Attributes:
        device: Which.
        why: Words that follow its name.
    """

    device: Device
    why: str


@dataclass(frozen=True, slots=True)
class Proposals:
    """What becomes of a network's devices."""

    cameras: tuple[Proposal, ...]
    unused: tuple[Unused, ...]


def propose(devices: Iterable[Device], login: Login | None, variables: Variables) -> Proposals:
    """A camera for each video input of each device that told its streams; a reason for every other device."""
    cameras: list[Proposal] = []
    unused: list[Unused] = []
    for device in devices:
        made = list(_cameras(device, {one.camera_id for one in cameras}, login, variables))
        cameras += made
        if not made:
            unused.append(Unused(device, device.error or "gives no address of a stream that a fleet may have"))
    return Proposals(tuple(cameras), tuple(unused))


def _cameras(device: Device, taken: set[str], login: Login | None, variables: Variables) -> Iterator[Proposal]:
    sources = by_source(device)
    wanted = device.name or device.title
    for number, profiles in enumerate(sources, 1):
        camera_id = name_for(wanted if len(sources) == 1 else f"{wanted} {number}", device.host, taken)
        addresses = {one.token: written(one, camera_id, login, variables) for one in profiles if one.uri}
        choice = choose(one for one in profiles if addresses.get(one.token) is not None)
        if choice is not None:
            taken.add(camera_id)
            yield _proposal(camera_id, device, profiles, choice, addresses)


def _proposal(
    camera_id: str, device: Device, profiles: list[Profile], choice: Choice, addresses: dict[str, Written | None]
) -> Proposal:
    url = addresses[choice.detect.token]
    evidence = addresses[choice.evidence.token] if choice.evidence else None
    assert url is not None, "only streams with an address are chosen"
    own = dict.fromkeys((*url.own, *(evidence.own if evidence else ())))
    refused = [one for one in profiles if one.uri and addresses[one.token] is None]
    notes = (
        *device.notes,
        *choice.advice,
        *(f"the address of its profile “{one.name}” is none that a fleet may have" for one in refused),
        *(
            f"its address has a secret of its own, which is not shown: set {name} to what the camera's own pages say"
            for name in own
        ),
    )
    return Proposal(camera_id, device, tuple(profiles), choice, url, evidence, notes)


def name_for(wanted: str, host: str, taken: Iterable[str]) -> str:
    """A name as fleet files allow it, made of what a device is called, or of its host; none of those `taken`.

    Example:
        >>> name_for("Tür Nord / 2", "10.0.0.7", {"tur-nord-2"})
        'tur-nord-2-2'
    """
    plain = unicodedata.normalize("NFKD", wanted).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST_NAME].strip("-")
    if not base:
        base = "camera-" + re.sub(r"[^a-z0-9]+", "-", host.lower())[:LONGEST_NAME].strip("-")
    used, name, number = set(taken), base, 2
    while name in used:
        name, number = f"{base}-{number}", number + 1
    return name


def to_yaml(proposals: Iterable[Proposal], model: bool = False) -> str:
    """The section `cameras` of a fleet file; with `model`, a whole file."""
    lines = [MODEL] if model else []
    lines.append("cameras:")
    for one in proposals:
        lines += [f"  # {text}" for text in (one.summary, *one.notes)]
        lines += [f"  {yaml_key(one.camera_id)}:", f"    url: {json.dumps(one.url.text, ensure_ascii=False)}"]
        if one.evidence_url is not None:
            lines.append(f"    evidence_url: {json.dumps(one.evidence_url.text, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def yaml_key(name: str) -> str:
    """A name as a key of YAML, which takes some for numbers, dates or truths."""
    return name if yaml.safe_load(name) == name else json.dumps(name)


def stream(profile: Profile) -> str:
    """Such as `H264 640x360, 15 fps`."""
    rate = f", {profile.fps:g} fps" if profile.fps else ""
    return f"{profile.codec or 'codec not told'} {size(profile)}{rate}"
