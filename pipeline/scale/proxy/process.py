"""The proxy's process: how it begins and ends."""

from __future__ import annotations

from ctypes import c_int64
from multiprocessing.connection import Connection

from pipeline.clock import SystemClock
from pipeline.relay.process import serve
from pipeline.scale.proxy.spec import ProxySpec


def run_proxy(spec: ProxySpec, report: Connection, beat: c_int64) -> None:
    """Run a proxy in this process until SIGTERM or the parent's end.

    Args:
        spec: From where to where.
        report: Gets one `RelayReady`, or the `PublishError` that says why it cannot publish there.
        beat: Set to the monotonic time, ns, whenever the loop turns.
    """
    from pipeline.scale.proxy.loop import Proxy

    serve(spec.name, lambda: Proxy(spec, SystemClock()), report, beat)
