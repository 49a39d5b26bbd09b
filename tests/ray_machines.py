"""Nodes of Ray on this machine, each of which can be killed with all it holds."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import psutil

from pipeline.scale.on_ray import HEAD_OPTIONS

STORE_BYTES = 80 << 20
"""Of each node's object store, which holds nothing of ours; Ray takes no less than 75 MB."""


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RayMachines:
    """A head without cores, and nodes with one each; ends with `close`.

    Attributes:
        address: For programs of this machine.
        outside: For clients from anywhere, `ray://…`; empty where the head does not serve any.
    """

    def __init__(self, *resources: dict[str, float], clients: bool = False) -> None:
        from ray.cluster_utils import Cluster

        head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        self.outside = ""
        if clients:
            head["ray_client_server_port"] = port = free_port()
            self.outside = f"ray://127.0.0.1:{port}"
        self._cluster = Cluster(initialize_head=True, head_node_args={**head, "_system_config": HEAD_OPTIONS})
        self.address: str = self._cluster.address
        self._nodes: dict[str, Any] = {}
        for own in resources:
            self.join(own)

    def join(self, resources: dict[str, float]) -> str:
        """Another node; its id."""
        node = self._cluster.add_node(
            num_cpus=1, include_dashboard=False, object_store_memory=STORE_BYTES, resources=resources
        )
        self._nodes[node.node_id] = node
        return node.node_id

    def pids(self, node_id: str) -> list[int]:
        """All processes that a node holds, its raylet first."""
        raylet = psutil.Process(self._nodes[node_id].all_processes["raylet"][0].process.pid)
        return [raylet.pid, *(child.pid for child in raylet.children(recursive=True))]

    def kill(self, node_id: str) -> None:
        """SIGKILL of all that it holds."""
        for pid in self.pids(node_id):
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()

    def kill_head(self) -> None:
        """SIGKILL of what knows all nodes, and of what serves clients."""
        of_head = self._cluster.head_node.all_processes
        for one in (*of_head["gcs_server"], *of_head.get("ray_client_server", ())):
            its = psutil.Process(one.process.pid)
            for process in (*its.children(recursive=True), its):
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def close(self) -> None:
        self._cluster.shutdown()
