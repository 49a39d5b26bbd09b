"""Keys for tests, and fleet files that name them."""

from __future__ import annotations

from pathlib import Path

from pipeline import keys
from pipeline.client import Key


class KeyRing:
    """A folder with the fleet's key, a folder of allowed readers, and a pair for each reader that is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clients = folder, folder / "clients"
        self.server = keys.make_pair("server", folder)
        self.clients.mkdir()

    def reader(self, name: str, *, allowed: bool = True, limit: str = "") -> Key:
        """The key of a new reader; with `limit` it is allowed there and not everywhere."""
        pair = keys.make_pair(name, self.folder / "readers")
        if allowed:
            keys.allow(pair.public, self.folder / limit if limit else self.clients)
        return Key(pair.secret, self.server.public)
