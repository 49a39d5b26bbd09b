"""A fleet over Ray whose cluster is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.runscope import RunLease
from tests.ray_machines import WITH_RAY, RayMachines
from tests.waiting import DEADLINE_S, wait_until

if find_spec("ray") is None:
    pytest.skip("Ray is not installed: pip install 'camfleet[ray]'", allow_module_level=True)

pytestmark = [*WITH_RAY, pytest.mark.long]


@pytest.fixture
def machines() -> Iterator[RayMachines]:
    it = RayMachines({}, clients=True)
    try:
        yield it
    finally:
        it.close()


def test_front_from_outside_whose_cluster_is_gone_says_so_and_leaves_nothing_here(
    fleet_file: Callable[..., Path], recording: Path, machines: RayMachines, runtime: Path, within: Callable
):
    command = [sys.executable, "-m", "pipeline", "run", str(fleet_file({"gate": str(recording)}))]
    # A client of Ray's tries half a minute to connect again.
    environment = {**os.environ, "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "1"}
    with subprocess.Popen(
        [*command, "--on", machines.outside, "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as front:
        try:
            assert front.stderr is not None
            for line in front.stderr:
                if "the shards of the cluster" in line:
                    break
            machines.kill_head()
            _, err = front.communicate(timeout=2 * DEADLINE_S)
        finally:
            front.kill()
    assert front.returncode == 2, err
    assert "the Ray cluster does not answer any more" in err
    assert "Traceback" not in err
    with RunLease():
        pass  # Whatever starts next sweeps up after shards that ended with their cluster.
    wait_until(within, lambda: list((runtime / "camfleet").glob("[!.]*")) == [])
