"""Which cameras a scenario has, what each of them shows, and the fleet that watches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.burst.scenario import WHOLE_FLEET, FaultPlan, Phase, Scenario
from pipeline.config import Camera, CameraSettings, CameraUrl, Fleet, Publish
from pipeline.config.base import Value
from pipeline.config.values import Model
from pipeline.replay.options import plan_cameras

FREE_PORT = "tcp://127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario with its files found.

    Attributes:
        scenario: What its file says.
        file: The scenario file.
        recordings: Absolute paths of what the cameras show, in turn.
        tested: The fleet file to test; None where the scenario says all of it.
        camera_ids: Every camera that ever is; those after the first `usual` are there in bursts only.
        usual: How many cameras there are in all phases.
    """

    scenario: Scenario
    file: Path
    recordings: tuple[Path, ...]
    tested: Fleet | None
    camera_ids: tuple[str, ...]
    usual: int

    def present(self, phase: Phase) -> tuple[str, ...]:
        """The cameras that are there in `phase`."""
        more = phase.burst.cameras if phase.burst is not None and phase.burst.cameras else self.usual
        return self.camera_ids[:more]

    def target(self, fault: FaultPlan) -> str | None:
        """The camera that a fault happens to; None where it happens to the whole fleet."""
        return None if fault.name in WHOLE_FLEET else fault.camera or self.camera_ids[0]

    @property
    def model(self) -> Model:
        """What detects: the scenario's own, else that of the fleet file."""
        model = self.scenario.model or (self.tested.model if self.tested is not None else None)
        assert model is not None, "a scenario has a fleet file or a model"
        return model

    def fleet(self, urls: Mapping[str, str]) -> Fleet:
        """The fleet that watches the served recordings.

        Args:
            urls: Where each camera is served that it is to have, some of `camera_ids`.
        """
        scenario, tested = self.scenario, self.tested
        known = tested.cameras if tested is not None else {}
        cameras = {
            camera_id: Camera.model_validate(
                {
                    **_laid_over(
                        known.get(camera_id) or (tested.defaults if tested else None), self._settings(camera_id)
                    ),
                    "camera_id": camera_id,
                    "url": CameraUrl(urls[camera_id]),
                }
            )
            for camera_id in self.camera_ids
            if camera_id in urls
        }
        return Fleet(
            name=scenario.name,
            model=self.model,
            publish=Publish(bind=FREE_PORT),
            worker=type(scenario.worker).model_validate(_laid_over(tested and tested.worker, scenario.worker)),
            slo=type(scenario.slo).model_validate(_laid_over(tested and tested.slo, scenario.slo)),
            cameras=cameras,
        )

    def _settings(self, camera_id: str) -> CameraSettings:
        """What the scenario says of a camera, its own keys before those of all."""
        own = self.scenario.settings.get(camera_id, CameraSettings())
        return CameraSettings.model_validate(_laid_over(self.scenario.defaults, own))


def name_cameras(recordings: tuple[Path, ...], tested: Fleet | None, count: int) -> tuple[str, ...]:
    """`count` names: those of the fleet file first, then such as the replay server gives."""
    names = list(tested.cameras)[:count] if tested is not None else []
    for plan in plan_cameras(recordings, 2 * count):
        if len(names) < count and plan.name not in names:
            names.append(plan.name)
    return tuple(names)


def _laid_over(under: Value | None, over: Value) -> dict[str, object]:
    """What was said in either, `over` before `under`, section by section; defaults are left out."""
    said = {name: getattr(under, name) for name in under.model_fields_set} if under is not None else {}
    for name in over.model_fields_set:
        above, below = getattr(over, name), said.get(name)
        if isinstance(above, Value) and isinstance(below, Value):
            said[name] = type(above).model_validate(_laid_over(below, above))
        else:
            said[name] = above
    return said
