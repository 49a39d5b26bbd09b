"""All that a proxy needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config.keys import Keys
from pipeline.keys import Certificate
from pipeline.relay.outlet import Encoding
from pipeline.scale.proxy.orders import Orders


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """All a proxy needs to know.

    Attributes:
        name: For people.
        fleet: The fleet's name.
        bind: Where subscribers look; one that is started again gets the very endpoint of the one before.
        queue: Messages kept for each subscriber that does not read fast enough.
        inbox: Where orders come; empty where these first ones stay.
        orders: The first.
        returns: Whether there was one before, whose subscribers will come back.
        encoding: Of the messages at `bind`.
        json_bind: Where the same messages are in JSON; empty for nowhere.
        inside: A folder for the front's own members, as a publisher's; None for none.
        history_mb: How much of the last minute is kept for them, MB.
        keys: Who may subscribe, and where those who may not hear everything; None for everybody.
        own_key: What opens the shards; None where they ask for no key.
    """

    name: str
    fleet: str
    bind: str
    queue: int
    inbox: str = ""
    orders: Orders = field(default_factory=Orders)
    returns: bool = False
    encoding: Encoding = "msgpack"
    json_bind: str = ""
    inside: Path | None = None
    history_mb: int = 32
    keys: Keys | None = None
    own_key: Certificate | None = None
