"""How far cameras may give way before they lose more accuracy than was promised (`slo.max_loss`).

The problem: the same stride costs one camera nothing and another one five points of HOTA, and equal shares do not ask.

The policy: strides that keep the promise are given first, in the order that holds without it (priority, then equal
shares). Where those do not suffice, the cameras of the lowest priority go beyond it, and among equals always the one
that would then exceed it least: so the worst excess is as small as the device allows. With `saves` strides also rise
where there is room, as far as the promise lets them.

Pure arithmetic: what is known of each camera is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeline.plan import StrideBounds
from pipeline.track.loss import LossCurve

CHANGE = 1.15
"""By this factor a camera's loss has to differ from what was believed so far: strides are not to flicker."""
SAVED = 0.85
"""Of the promise: what strides that only save may cost. The estimate is rougher than that, and a scene may get livelier
before the next detection tells."""


class Accuracy:
    """What was promised, and what is believed of each camera."""

    def __init__(self) -> None:
        self.max_loss: float | None = None
        self.saves = False
        self._curves: dict[str, LossCurve] = {}
        self._usual: LossCurve | None = None

    def promise(self, max_loss: float | None, *, saves: bool) -> None:
        """Promise this from now on.

        Args:
            max_loss: Points of HOTA that a camera may lose; None promises nothing.
            saves: Whether no more is to be detected than that needs.
        """
        self.max_loss, self.saves = max_loss, saves

    def update(self, curves: Mapping[str, LossCurve]) -> None:
        """Learn what each camera would lose; those that are left out are forgotten.

        A camera of which nothing is known is taken to be as the median of the others.
        """
        self._curves = {camera_id: self._believe(camera_id, curve) for camera_id, curve in curves.items()}
        known = sorted(self._curves.values(), key=lambda curve: curve.steepness)
        self._usual = known[len(known) // 2] if known else None

    def excess(self, camera_id: str, stride: int, fps: float) -> float:
        """Points beyond the promise that it would lose at this stride; 0 within it, and where nothing is known."""
        curve = self._curves.get(camera_id, self._usual)
        if self.max_loss is None or curve is None:
            return 0.0
        return max(0.0, curve.at(stride, fps) - self.max_loss)

    def least(self, camera_id: str, bound: StrideBounds, fps: float, stride: int) -> int:
        """The least stride to be given to a camera that has `stride` now: that of its bounds, unless it saves.

        Saving goes up step by step: what a stride costs is known when it was tried.
        """
        curve, floor = self._curves.get(camera_id), bound.floor(fps)
        if not self.saves or self.max_loss is None or curve is None:
            return floor
        strides = range(floor, bound.ceiling(fps) + 1)
        losses = {one: curve.at(one, fps) for one in strides}
        saving = max((one for one in strides if losses[one] <= SAVED * self.max_loss), default=floor)
        stays = saving <= stride and losses.get(stride, self.max_loss) < self.max_loss
        return stride if stays else max(floor, min(saving, stride + 1))

    def _believe(self, camera_id: str, found: LossCurve) -> LossCurve:
        known = self._curves.get(camera_id)
        if known is None or not known.steepness / CHANGE < found.steepness < known.steepness * CHANGE:
            return found
        return replace(found, steepness=known.steepness)
