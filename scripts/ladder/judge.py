"""HOTA of what was shown, each camera counted once and put together in any way."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ladder.views import truth
from pipeline.detections import Tracks
from pipeline.evaluate.score import count, hota

Counted = dict[str, Any]
"""What HOTA counts on one camera in one phase."""


def counted(name: str, shown: list[Tracks]) -> Counted:
    """Of one camera."""
    return count(truth(name), shown)


def together(cameras: Mapping[str, Sequence[Counted]]) -> float:
    """HOTA of all boxes of all cameras, the mean over phases."""
    return statistics.mean(hota(list(phase)) for phase in zip(*cameras.values(), strict=True))


def alone(phases: Sequence[Counted]) -> float:
    """HOTA of one camera, the mean over phases."""
    return statistics.mean(hota([phase]) for phase in phases)
