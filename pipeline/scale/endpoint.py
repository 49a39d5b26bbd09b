"""A proxy as a member of a run: started, told what has changed, and started again at the same endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.client.history import RESULTS
from pipeline.config.values import Publish
from pipeline.errors import PublishError
from pipeline.keys import Certificate
from pipeline.relay.doors import RelayReady
from pipeline.scale.proxy.orders import Orderer, Orders
from pipeline.scale.proxy.process import run_proxy
from pipeline.scale.proxy.spec import ProxySpec
from pipeline.supervise.child import ProcessHost
from pipeline.supervise.service import Service

ENDS = 2
"""Behind the shards and before sinks and page, as a publisher."""
ENDS_WITHIN_S = 0.4


class Endpoint:
    """Not thread-safe.

    Attributes:
        service: The proxy's process.
        inside: Where members of this run subscribe.
    """

    def __init__(self, fleet: str, publish: Publish, folder: Path, own_key: Certificate, host: ProcessHost) -> None:
        """Prepare; nothing runs yet.

        Args:
            fleet: The fleet's name.
            publish: Where the results go, and for whom.
            folder: The run's.
            own_key: What opens the shards.
            host: How processes are made.
        """
        self.inside = f"ipc://{folder / RESULTS}"
        self._fleet, self._publish, self._folder, self._own_key = fleet, publish, folder, own_key
        self._inbox = f"ipc://{folder / 'orders'}"
        self._orders, self._orderer = Orders(), Orderer(self._inbox)
        self.service: Service[RelayReady] = Service(
            "proxy",
            "proxy",
            run_proxy,
            lambda: (self._spec(),),
            host=host,
            failure=PublishError,
            ends=ENDS,
            ends_within_s=ENDS_WITHIN_S,
        )

    def order(self, orders: Orders) -> None:
        """Have the proxy hear these shards, if that is anything new; one that is started again begins with them."""
        if orders != self._orders and self._orderer.send(orders):
            self._orders = orders

    def require(self) -> None:
        """Make sure that it may come back, if it is away.

        Raises:
            PublishError: It died too often.
        """
        if self.service.child.condition == "given up":
            raise PublishError("the proxy died again and again and is given up; the lines above say why")

    def close(self) -> None:
        """Tell it nothing any more; the process is ended with the other members."""
        self._orderer.close()

    def _spec(self) -> Any:
        publish, before = self._publish, self.service.ready
        return ProxySpec(
            name="proxy",
            fleet=self._fleet,
            bind=publish.bind if before is None else before.endpoint,
            queue=publish.queue,
            inbox=self._inbox,
            orders=self._orders,
            returns=before is not None,
            encoding=publish.encoding,
            json_bind=(publish.json_bind or "") if before is None else before.json_endpoint,
            inside=self._folder,
            history_mb=publish.history_mb,
            keys=publish.keys if publish.keys is None or before is None else publish.keys.at(before.limited),
            own_key=self._own_key,
        )
