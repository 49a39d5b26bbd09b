"""What a fleet file says about keys, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.config.endpoint import is_private
from tests.fleet_files import GATE, STUB, told_of
from tests.key_files import KeyRing


def publish(text: str) -> str:
    return f"{STUB}\n{GATE}\npublish:\n  {text}"


KEYS = "keys: {server: server.key_secret, clients: clients"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    (tmp_path / "yard-team").mkdir()
    return KeyRing(tmp_path)


@pytest.mark.parametrize(
    ("endpoint", "private"),
    [
        ("tcp://127.0.0.1:5555", True),
        ("tcp://127.1.2.3:5555", True),
        ("tcp://[::1]:5555", True),
        ("tcp://localhost:5555", True),
        ("ipc:///run/fleet.sock", True),
        ("tcp://*:5555", False),
        ("tcp://0.0.0.0:5555", False),
        ("tcp://[::]:5555", False),
        ("tcp://[fe80::1%eth0]:5555", False),
        ("tcp://192.0.2.7:5555", False),
        ("tcp://127.example:5555", False),
        ("tcp://eth0:5555", False),
    ],
)
def test_endpoint_that_other_machines_may_reach_is_told_apart(endpoint: str, private: bool):
    assert is_private(endpoint) == private


@pytest.mark.parametrize("key", ["bind", "json_bind"])
def test_binding_beyond_this_machine_without_keys_is_refused_unless_the_file_says_so(tmp_path: Path, key: str):
    (_, line) = told_of(publish(f"{key}: 'tcp://*:5555'"), tmp_path)
    assert line.startswith(f"fleet.yaml:4:{5 + len(key)}: publish.{key}: found “tcp://*:5555”, which other machines")
    assert "insecure: true" in line
    file = tmp_path / "fleet.yaml"
    file.write_text(publish(f"{key}: 'tcp://*:5555'\n  insecure: true"))
    assert load_fleet(file, {}).publish.exposed == {key: "tcp://*:5555"}


def test_keys_beside_the_file_are_found_and_let_it_bind_anywhere(ring: KeyRing):
    file = ring.folder / "fleet.yaml"
    limits = "limited: {yard-team: {bind: 'tcp://*:5557', clients: yard-team, cameras: [gate]}}"
    file.write_text(publish(f"{KEYS}, {limits}}}\n  bind: 'tcp://*:5555'"))
    said = load_fleet(file, {}).publish
    assert said.exposed == {}
    assert said.keys is not None
    assert (said.keys.server, said.keys.clients) == (str(ring.server.secret), str(ring.clients))
    assert said.keys.limited["yard-team"].cameras == ("gate",)
    assert said.keys.limited["yard-team"].clients == str(ring.folder / "yard-team")


def test_limit_that_names_no_camera_of_the_file_is_a_mistake(ring: KeyRing):
    limits = "limited: {a: {bind: 'tcp://*:5557', clients: yard-team, cameras: [gaet]}}"
    (_, line) = told_of(publish(f"{KEYS}, {limits}}}"), ring.folder)
    assert line.startswith("fleet.yaml:4:")
    assert (
        "publish.keys.limited.a.cameras.0: found “gaet”, which is no camera of this file; did you mean “gate”?" in line
    )


def test_keys_that_are_missing_open_or_public_only_are_mistakes(ring: KeyRing):
    (_, line) = told_of(publish("keys: {server: nowhere.key_secret, clients: clients}"), ring.folder)
    assert "publish.keys.server: there is no key “nowhere.key_secret”" in line and "camfleet keys new server" in line
    (_, line) = told_of(publish("keys: {server: server.key, clients: clients}"), ring.folder)
    assert "has no secret; name the file that ends in .key_secret" in line
    (_, line) = told_of(publish("keys: {server: server.key_secret, clients: nobody}"), ring.folder)
    assert "publish.keys.clients: there is no folder “nobody”" in line
    (_, line) = told_of(publish("keys: {server: server.key_secret, clients: server.key}"), ring.folder)
    assert "is no folder" in line
    ring.server.secret.chmod(0o640)
    ring.clients.chmod(0o777)
    told = "\n".join(told_of(publish(f"{KEYS}}}"), ring.folder))
    assert f"others may read it (mode 640): chmod 600 {ring.server.secret}" in told
    assert f"can be changed by everybody on this machine: chmod o-w {ring.clients}" in told


def test_file_that_is_no_key_is_refused_and_not_repeated(ring: KeyRing):
    ring.server.secret.write_text("public-key = hunter2")
    told = told_of(publish(f"{KEYS}}}"), ring.folder)
    assert "is no key of camfleet keys new" in told[1]
    assert "hunter2" not in "".join(told)


def test_limit_whose_folder_opens_everything_is_nowhere_or_open_to_others_is_a_mistake(ring: KeyRing):
    def told(folder: str) -> str:
        limits = f"limited: {{a: {{bind: 'tcp://*:5557', clients: {folder}, cameras: [gate]}}}}"
        return told_of(publish(f"{KEYS}, {limits}}}"), ring.folder)[1]

    at = "publish.keys.limited.a.clients: "
    assert at + "is the folder of publish.keys.clients, whose keys hear everything" in told("./clients")
    assert at + "there is no folder “nobody”" in told("nobody")
    (ring.folder / "yard-team").chmod(0o777)
    assert "can be changed by everybody on this machine" in told("yard-team")
