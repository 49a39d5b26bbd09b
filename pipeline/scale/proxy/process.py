"""The proxy's process: all it needs to know, and how it begins and ends."""

from __future__ import annotations

from ctypes import c_int64
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.config.keys import Keys
from pipeline.keys import Certificate
from pipeline.relay.outlet import Encoding
from pipeline.relay.process import serve
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


def run_proxy(spec: ProxySpec, report: Connection, beat: c_int64) -> None:
    """Run a proxy in this process until SIGTERM or the parent's end.

    Args:
        spec: From where to where.
        report: Gets one `RelayReady`, or the `PublishError` that says why it cannot publish there.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    from pipeline.scale.proxy.loop import Proxy

    serve(spec.name, lambda: Proxy(spec, SystemClock()), report, beat)
