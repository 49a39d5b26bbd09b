"""Who may subscribe: readers with a key of their own, and by key which cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from pipeline.config.base import Name, Value
from pipeline.config.endpoint import Endpoint


class Limited(Value):
    """An endpoint for readers that may hear some cameras and nothing of the others.

    Each has a socket of its own, into which nothing else is ever put. One endpoint for all would hang on ZeroMQ's
    manual subscriptions, which take one reader for another when connections come and go at the wrong moment
    (libzmq 4.3.5).
    """

    bind: Endpoint = Field(description="Where these readers connect, another address or port than `publish.bind`.")
    clients: str = Field(
        description="The folder of their keys, another than `publish.keys.clients`; camfleet keys allow and revoke "
        "change it, also while the fleet runs. They open nothing else."
    )
    cameras: tuple[Name, ...] = Field(min_length=1, description="The cameras they may hear.")
    encoding: Literal["msgpack", "json"] = Field(default="msgpack", description="How messages are written here.")


class Keys(Value):
    """CURVE with a key for each reader (RFC 26 of ZeroMQ): who has none gets nothing, and all is encrypted."""

    server: str = Field(
        description="The fleet's own secret key, server.key_secret of camfleet keys new server; beside this file or in "
        "the current directory. Only its owner may read it."
    )
    clients: str = Field(
        description="The folder of the keys that may hear everything. camfleet keys allow and revoke change it, also "
        "while the fleet runs."
    )
    limited: dict[Name, Limited] = Field(
        default_factory=dict,
        description="Readers that may hear some cameras only, each group at an endpoint of its own.",
    )

    def at(self, limited: Mapping[str, str]) -> Keys:
        """The same, with those who may not hear everything at these very endpoints, by the names of their limits."""
        there = {name: one.model_copy(update={"bind": limited[name]}) for name, one in self.limited.items()}
        return self.model_copy(update={"limited": there})
