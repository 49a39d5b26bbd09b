"""Nodes of Ray on this machine: some that a test starts and kills, and some that Ray's own autoscaler does."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.scale.on_ray import HEAD_OPTIONS

STORE_BYTES = 80 << 20
"""Of each node's object store, which holds nothing of ours; Ray takes no less than 75 MB."""
WITH_RAY = [
    pytest.mark.timeout(300),
    pytest.mark.whole_machine,
    # Ray's own, at its import and when its processes are gone.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
"""Of every test that has real nodes."""
_LISTS = (
    "cluster_synced_files",
    "rsync_exclude",
    "rsync_filter",
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
"""What Ray's autoscaler wants in its cluster file and does not need here."""


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


class RayCloud:
    """A head without cores, and Ray's autoscaler beside it, whose cloud are processes of this machine.

    It starts a node of one core for what is asked for and cannot be had, and ends one that has held nothing for a
    while. `ray.cluster_utils.AutoscalingCluster` would do the same, but ends every Ray of the machine before.
    """

    def __init__(self, most: int, idle_s: float = 5.0) -> None:
        """Start it, without a node.

        Args:
            most: Nodes at most, the head not counted.
            idle_s: How long a node may hold nothing.
        """
        from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID
        from ray.cluster_utils import Cluster
        from ray.util import get_node_ip_address

        port = free_port()
        self.address = f"{get_node_ip_address()}:{port}"
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name) / "cloud.json"
        file.write_text(json.dumps(_cloud(self.address, most, idle_s)), encoding="utf-8")
        os.environ |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "gcs_server_port": port,
                "autoscaling_config": str(file),
                "env_vars": {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID},
                "_system_config": HEAD_OPTIONS,
            },
        )

    def processes(self) -> list[psutil.Process]:
        """All that the autoscaler has started."""
        monitor = self._cluster.head_node.all_processes["monitor"][0].process.pid
        return psutil.Process(monitor).children(recursive=True)

    def close(self) -> None:
        """End the head and every node."""
        left = self.processes()
        self._cluster.shutdown()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._folder.cleanup()


def _cloud(address: str, most: int, idle_s: float) -> dict[str, Any]:
    """What Ray's autoscaler takes for its cluster file."""
    nothing: dict[str, Any] = {
        "auth": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in _LISTS},
    }
    provider = {
        "type": "fake_multinode",
        "gcs_address": address,
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    }
    shard = {"CPU": 1, "object_store_memory": STORE_BYTES}
    return {
        "cluster_name": "camfleet",
        "max_workers": most,
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": idle_s / 60,
        "provider": provider,
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "min_workers": 0, "max_workers": 0},
            "shard": {"resources": shard, "node_config": {}, "min_workers": 0, "max_workers": most},
        },
        **nothing,
    }
