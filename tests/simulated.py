"""A shard as a table that nobody had to play, and costs that are round, for tests of simulations."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.scale.simulate.measured import Constant, Measured, measured
from pipeline.scale.simulate.scenario import Scenario
from pipeline.scale.simulate.table import Rows, ShardTable

FULL = 20.0
"""Usual cameras that keep a shard busy."""
WANTED_HZ = 12.5


def table() -> ShardTable:
    """A shard that does 250 detections a second; strides rise from 1.4 times that on."""
    cameras = np.array([2.0, 10.0, 20.0, 28.0, 80.0])
    wanted_hz = WANTED_HZ * cameras
    detected_hz = np.minimum(wanted_hz, WANTED_HZ * FULL)
    stretch = np.array([1.0, 1.0, 1.0, 1.0, 3.0])
    rows = Rows(
        wanted_hz=wanted_hz,
        detected_hz=detected_hz,
        busy=np.minimum(1.0, cameras / FULL),
        stretch=stretch,
        stride=2 * stretch,
        p95_ms=np.array([30.0, 35.0, 50.0, 55.0, 160.0]),
    )
    return ShardTable(cameras, rows, cameras / FULL)


def costs(**values: float) -> Measured:
    """Those that come with camfleet, but for these."""
    found = measured()
    fields: dict[str, Any] = {name: getattr(found, name) for name in found.__struct_fields__}
    return Measured(**(fields | {name: Constant(value, "as the test has it") for name, value in values.items()}))


def scenario(**body: Any) -> Scenario:
    """One whose cameras are equal and all at work in the same hours."""
    camera = {"unequal": 0.0, "apart_h": 0.0, **body.pop("camera", {})}
    return Scenario.model_validate({"cameras": [200], "camera": camera, **body})
