"""Files with keys of CURVE (RFC 26 of ZeroMQ), as pyzmq writes them: `NAME.key_secret` opens, `NAME.key` tells.

Whoever reads a fleet has a pair of its own; the fleet has one, too, and a folder with the public halves of those who
may read. A secret is in no message, no log and no `repr`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
import struct
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError

SECRET, PUBLIC = ".key_secret", ".key"
MOST_BYTES = 64 << 10
"""Of a file with a key, which needs 600."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a file with a key says.

    Attributes:
        public: 32 bytes.
        secret: The same in ZeroMQ's letters (Z85); None where the file has only the public half.
    """

    public: bytes
    secret: bytes | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """For people to compare."""
        return fingerprint(self.public)


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a new pair."""

    public: Path
    secret: Path
    fingerprint: str


def fingerprint(public: bytes) -> str:
    """A public key as people compare it, written as OpenSSH writes those of its own."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")


def read_certificate(file: Path) -> Certificate:
    """What is in a file with a key.

    Raises:
        ConfigError: It cannot be read, or is none; no word of the message is from the file.
    """
    from zmq.auth.certs import load_certificate

    try:
        if not file.is_file():
            raise ConfigError(f"there is no key {file}")
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{file} is no key of camfleet keys new")
        public, secret = load_certificate(file)
        if secret is not None:
            _thirty_two(secret)
        return Certificate(_thirty_two(public), secret)
    except OSError as error:
        raise ConfigError(f"the key {file} cannot be read: {error.strerror}") from None
    except (ValueError, IndexError):  # pyzmq looks for a “=” in a line where it expects one
        raise ConfigError(f"{file} is no key of camfleet keys new") from None


def why_open(file: Path) -> str:
    """What is wrong with the permissions of a file that has a secret; empty where only its owner can read it."""
    mode = file.stat().st_mode
    if not mode & _OTHERS:
        return ""
    return f"{file} has a secret, and others may read it (mode {stat.S_IMODE(mode):03o}): chmod 600 {file}"


def make_pair(name: str, folder: Path) -> Pair:
    """Make a pair of keys; the secret is its owner's alone from the first byte, and nothing is overwritten.

    Raises:
        ConfigError: There is such a key already, the name is none, or the folder cannot be written.
    """
    from zmq.auth import create_certificates

    _check_name(name)
    public, secret = folder / f"{name}{PUBLIC}", folder / f"{name}{SECRET}"
    try:
        _make_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as made:
            new_public, new_secret = map(Path, create_certificates(made, name))
            new_secret.chmod(0o600)
            # A link is refused where the name is taken; a file that is renamed would take it over.
            secret.hardlink_to(new_secret)
            try:
                public.hardlink_to(new_public)
            except OSError:
                secret.unlink()
                raise
    except FileExistsError:
        raise ConfigError(f"there is a key “{name}” in {folder} already; choose another name, or remove it") from None
    except OSError as error:
        raise ConfigError(f"no key can be written to {folder}: {error.strerror}") from None
    return Pair(public, secret, read_certificate(public).fingerprint)


def allow(file: Path, folder: Path) -> tuple[str, Certificate]:
    """Put a public half into the folder of those who may read; its name and what it says.

    Raises:
        ConfigError: It is no public half, another key of this name is there, or the folder cannot be written.
    """
    name = file.name.removesuffix(PUBLIC)
    certificate = read_certificate(file)
    if certificate.secret is not None:
        raise ConfigError(
            f"{file} has a secret, which stays with its reader; give the public half, "
            f"{file.name.removesuffix(SECRET).removesuffix(PUBLIC)}{PUBLIC}"
        )
    _check_name(name)
    target = folder / f"{name}{PUBLIC}"
    try:
        if target.exists() and read_certificate(target).public != certificate.public:
            raise ConfigError(f"another key is allowed as “{name}”; revoke that one first, or rename the file")
        _make_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as made:
            copy = Path(made) / target.name
            copy.write_bytes(file.read_bytes())
            # Whole or not at all: the publisher may look at any moment.
            copy.replace(target)
    except OSError as error:
        raise ConfigError(f"no key can be written to {folder}: {error.strerror}") from None
    return name, certificate


def revoke(name: str, folder: Path) -> None:
    """Take a key out of the folder of those who may read.

    Raises:
        ConfigError: It is not there, or the folder cannot be written.
    """
    _check_name(name)
    try:
        (folder / f"{name}{PUBLIC}").unlink()
    except FileNotFoundError:
        there = ", ".join(sorted(read_folder(folder)[0])) or "nobody"
        raise ConfigError(f"no key “{name}” is allowed in {folder}; there: {there}") from None
    except OSError as error:
        raise ConfigError(f"{folder / name}{PUBLIC} cannot be removed: {error.strerror}") from None


def read_folder(folder: Path) -> tuple[dict[str, Certificate], dict[str, str]]:
    """Who may read, by name; and files that allow nobody, by name with the reason.

    Raises:
        OSError: The folder cannot be read.
    """
    allowed: dict[str, Certificate] = {}
    refused: dict[str, str] = {}
    for file in sorted(file for file in folder.iterdir() if file.suffix == PUBLIC and not file.name.startswith(".")):
        name = file.name.removesuffix(PUBLIC)
        try:
            _check_name(name)
            certificate = read_certificate(file)
        except ConfigError as error:
            refused[file.name] = str(error)
            continue
        if certificate.secret is None:
            allowed[name] = certificate
        else:
            refused[file.name] = f"{file} has a secret, which stays with its reader; put the public half here"
    return allowed, refused


def trace(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Something that is another as soon as a key of the folder is another.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(folder) as files:
        return tuple(sorted(_state(one) for one in files if one.name.endswith(PUBLIC)))


def _state(file: os.DirEntry[str]) -> tuple[str, int, int, int]:
    try:
        state = file.stat()
    except FileNotFoundError:  # It was removed meanwhile.
        return file.name, 0, 0, 0
    return file.name, state.st_mtime_ns, state.st_size, state.st_ino


def _thirty_two(letters: bytes) -> bytes:
    """The bytes of a key in Z85.

    Raises:
        ValueError: These are none.
    """
    from zmq.utils import z85

    try:
        key = z85.decode(letters)
    except (KeyError, TypeError, struct.error):
        raise ValueError from None
    if len(key) != 32:
        raise ValueError
    return key


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "a key's name is 1 to 63 letters, digits, “_”, “.” or “-”, beginning with a letter or digit; "
            "so is that of its file before “.key”"
        )


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
