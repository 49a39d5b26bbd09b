"""`camfleet keys`."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import keys
from pipeline.errors import ConfigError


def camfleet(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "camfleet"), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, timeout=60)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_key_that_is_new_is_its_owners_alone_and_is_allowed_listed_and_revoked(tmp_path: Path):
    made = camfleet("keys", "new", "gate-reader", cwd=tmp_path)
    assert made.returncode == 0
    assert mode(tmp_path / "keys") == 0o700
    assert mode(tmp_path / "keys" / "gate-reader.key_secret") == 0o600
    assert "camfleet keys allow keys/gate-reader.key --to keys/clients" in made.stdout
    allowed = camfleet("keys", "allow", "keys/gate-reader.key", cwd=tmp_path)
    fingerprint = allowed.stdout.split()[-1]
    assert fingerprint.startswith("SHA256:") and fingerprint in made.stdout
    listed = camfleet("keys", "list", "--json", cwd=tmp_path)
    assert json.loads(listed.stdout) == {"allowed": {"gate-reader": fingerprint}, "refused": {}}
    assert camfleet("keys", "list", cwd=tmp_path).stdout == f"gate-reader  {fingerprint}\n"
    assert camfleet("keys", "revoke", "gate-reader", cwd=tmp_path).returncode == 0
    assert camfleet("keys", "list", cwd=tmp_path).stdout == ""
    again = camfleet("keys", "revoke", "gate-reader", cwd=tmp_path)
    assert again.returncode == 2 and "no key “gate-reader” is allowed in keys/clients; there: nobody" in again.stderr


def test_new_key_overwrites_nothing(tmp_path: Path):
    first = keys.make_pair("server", tmp_path)
    before = first.secret.read_bytes(), first.public.read_bytes()
    with pytest.raises(ConfigError, match=r"there is a key “server” in .* already"):
        keys.make_pair("server", tmp_path)
    first.secret.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"there is a key “server” in .* already"):
        keys.make_pair("server", tmp_path)
    assert ((tmp_path / "elsewhere").read_bytes(), first.public.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "server.key"]


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "x" * 64, "a\n", "ü"])
def test_name_that_is_none_is_refused(tmp_path: Path, name: str):
    for change in (keys.make_pair, keys.revoke):
        with pytest.raises(ConfigError, match="a key's name is 1 to 63 letters"):
            change(name, tmp_path)


def test_file_with_a_secret_is_not_allowed(tmp_path: Path):
    pair = keys.make_pair("reader", tmp_path)
    with pytest.raises(ConfigError, match=r"has a secret, .* give the public half, reader\.key$"):
        keys.allow(pair.secret, tmp_path / "clients")
    with pytest.raises(ConfigError, match="has a secret, which stays with its reader"):
        keys.allow(pair.secret.rename(tmp_path / "renamed.key"), tmp_path / "clients")
    assert not (tmp_path / "clients").exists()


def test_another_key_of_the_same_name_is_not_allowed_before_the_first_is_revoked(tmp_path: Path):
    first, second = (keys.make_pair("reader", tmp_path / folder) for folder in "ab")
    keys.allow(first.public, tmp_path / "clients")
    keys.allow(first.public, tmp_path / "clients")
    with pytest.raises(ConfigError, match="another key is allowed as “reader”; revoke that one first"):
        keys.allow(second.public, tmp_path / "clients")
    keys.revoke("reader", tmp_path / "clients")
    keys.allow(second.public, tmp_path / "clients")


def test_files_that_allow_nobody_are_listed_with_the_reason(tmp_path: Path):
    pair = keys.make_pair("reader", tmp_path)
    pair.secret.rename(tmp_path / "leaked.key")
    (tmp_path / "empty.key").write_bytes(b"")
    (tmp_path / "long.key").write_bytes(b"#" * (1 << 20))
    (tmp_path / "note.txt").write_bytes(b"not looked at")
    done = camfleet("keys", "list", "--in", tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("reader  SHA256:")
    assert "leaked.key has a secret" in done.stderr
    assert "empty.key is no key of camfleet keys new" in done.stderr
    assert "long.key is no key of camfleet keys new" in done.stderr


def test_secret_of_a_certificate_is_not_in_its_repr(tmp_path: Path):
    read = keys.read_certificate(keys.make_pair("reader", tmp_path).secret)
    assert read.secret is not None and read.secret.decode() not in repr(read)


def test_subscribe_with_one_key_of_two_says_so(tmp_path: Path):
    done = camfleet("subscribe", "--key", "a.key_secret", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "camfleet: --key and --server-key belong together: yours, and the public one of the fleet\n"
