"""Keys of the way between shards and proxies: made anew for each run of a fleet, and kept where the fleet is known.

Nobody has to make or copy them. The store gives them to whoever may join the cluster, who can do with the fleet what
they like anyway.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline import keys
from pipeline.scale.shard import ShardKeys
from pipeline.scale.store import KnownKeys, Store


@dataclass(frozen=True, slots=True)
class KeysBetween:
    """Both ends.

    Attributes:
        of_shards: What a shard gets.
        server_key: The public half of the shards' own.
        proxy: The proxies' own.
    """

    of_shards: ShardKeys
    server_key: bytes
    proxy: keys.Certificate


def keys_between(store: Store) -> KeysBetween:
    """Those of the fleet that runs, or new ones, which are kept."""
    known = store.read_keys()
    if known is None:
        known = _made()
        store.write_keys(known)
    return KeysBetween(
        ShardKeys(known.shard_secret, known.proxy_public), _read(known.shard_public).public, _read(known.proxy_secret)
    )


def _made() -> KnownKeys:
    with tempfile.TemporaryDirectory() as name:
        shard, proxy = keys.make_pair("shard", Path(name)), keys.make_pair("proxy", Path(name))
        return KnownKeys(
            shard_secret=shard.secret.read_bytes(),
            shard_public=shard.public.read_bytes(),
            proxy_secret=proxy.secret.read_bytes(),
            proxy_public=proxy.public.read_bytes(),
        )


def _read(content: bytes) -> keys.Certificate:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "own.key"
        file.touch(0o600)
        file.write_bytes(content)
        return keys.read_certificate(file)
