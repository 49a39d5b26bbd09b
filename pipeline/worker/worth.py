"""What a detection is worth at each camera, for cameras with `stride: {policy: content}`.

The problem: equal shares look as often into an empty corridor as into a street, although nothing goes wrong there.

The policy: cameras share in proportion to fps · ∛r, where r is how many of a camera's boxes go wrong a second, as its
tracker finds out (`track.drift`). So a camera of which eight times as many go wrong gets half the stride. The cameras
with this policy have together what they would have with equal shares; the others lose and gain nothing.

Why the root: if what is wrong grows with the square of the time since the last detection, its sum over all cameras is
least when detections go with the cube root (by Lagrange; √r if it grew linearly). Of the exponents 0, 0.2, 0.25, 0.33,
0.4, 0.5 and 0.67 for r and six from 0 to 1 for the frame rate, on six mixtures of sequences at twelve budgets, 0.25 to
0.4 and 0.83 to 1 do best and within 0.1 point of HOTA of each other; √r alone is 0.6 worse. See track/README.md.

Pure arithmetic: what was measured is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping

LEAST_WRONG_HZ = 1.0
"""No scene is taken to be stiller: somebody may walk in, who is one box. With 0.2 HOTA is 0.2 lower."""
CHANGE = 1.15
"""By this factor a root has to differ from what was believed so far: strides are not to flicker."""


class Worth:
    """What is believed of each camera."""

    def __init__(self) -> None:
        self._roots: dict[str, float] = {}

    def update(self, wrong_hz: Mapping[str, float]) -> None:
        """Learn how many boxes go wrong a second, by camera; cameras that are left out are forgotten."""
        self._roots = {camera_id: self._believe(camera_id, rate) for camera_id, rate in wrong_hz.items()}

    def among(self, weights: Mapping[str, float], fps: Mapping[str, float]) -> dict[str, float]:
        """By what the weight of each of these cameras is multiplied, so that they have together what they had.

        Cameras of which nothing is known take the mean root. Empty where nothing is known of any.
        """
        known = [self._roots[camera_id] for camera_id in weights if camera_id in self._roots]
        if not known:
            return {}
        mean = sum(known) / len(known)
        worths = {camera_id: fps[camera_id] * self._roots.get(camera_id, mean) for camera_id in weights}
        scale = sum(weights.values()) / sum(weights[camera_id] * worth for camera_id, worth in worths.items())
        return {camera_id: scale * worth for camera_id, worth in worths.items()}

    def _believe(self, camera_id: str, wrong_hz: float) -> float:
        found = max(wrong_hz, LEAST_WRONG_HZ) ** (1 / 3)
        known = self._roots.get(camera_id, 0.0)
        return known if known / CHANGE < found < known * CHANGE else found
