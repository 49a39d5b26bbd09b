"""What a changed fleet file means for a fleet that runs: pure comparison of two fleets."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.config.camera import Camera
from pipeline.config.values import Fleet

FIXED = (
    "name",
    "publish.bind",
    "publish.encoding",
    "publish.json_bind",
    "publish.keys",
    "publish.insecure",
    "publish.history_mb",
    "model.device",
    "model.devices",
    "cascade",
    "worker.max_batch",
    "worker.nice",
)
"""Keys that cannot change while the fleet runs: subscribers, devices and processes hang on them."""
_RULES = {"zones", "lines"}
"""What in a camera's picture is an event: nothing to those who show it, track it or serve it."""
_SERVED = {"stride", "priority", "weight", "min_detect_hz", "max_detect_hz", "track", "needs", *_RULES}
"""Settings of a camera that do not need its process to begin anew."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a running fleet.

    Attributes:
        added: Cameras that joined.
        removed: Cameras that left.
        restarted: Cameras whose source is another; each begins a new session.
        adjusted: Cameras that are served otherwise; their sessions and track ids go on.
        rules: Cameras whose zones or lines are others.
        settings: What holds for all cameras and has changed, such as `slo.p95_ms`.
        sinks_added: Sinks that joined.
        sinks_removed: Sinks that left.
        sinks_restarted: Sinks that go on with other settings.
        model: Whether another model has taken over.
        kept: Keys that were changed in the file and stay as they were until the fleet is started again.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    adjusted: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    sinks_added: tuple[str, ...] = ()
    sinks_removed: tuple[str, ...] = ()
    sinks_restarted: tuple[str, ...] = ()
    model: bool = False
    kept: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the fleet is as it was."""
        return self == Changes(kept=self.kept)

    @property
    def words(self) -> str:
        """For people, in one line."""
        named = {
            "added": self.added,
            "removed": self.removed,
            "started anew": self.restarted,
            "adjusted": self.adjusted,
            "other rules for": self.rules,
            "changed": self.settings,
            "added sink": self.sinks_added,
            "removed sink": self.sinks_removed,
            "started anew sink": self.sinks_restarted,
        }
        parts = [f"{what} {', '.join(names)}" for what, names in named.items() if names]
        parts += ["another model has taken over"] if self.model else []
        kept = f"; {', '.join(self.kept)} cannot change while the fleet runs, restart it for that" if self.kept else ""
        return ("; ".join(parts) or "nothing changed") + kept


def compare(old: Fleet, new: Fleet) -> Changes:
    """What has to happen so that a fleet that runs as `old` says becomes one that runs as `new` says."""
    both = [name for name in new.cameras if name in old.cameras]
    changed = [name for name in both if _settings(old.cameras[name], _RULES) != _settings(new.cameras[name], _RULES)]
    restarted = [name for name in changed if needs_new_process(old.cameras[name], new.cameras[name])]
    return Changes(
        added=tuple(name for name in new.cameras if name not in old.cameras),
        removed=tuple(name for name in old.cameras if name not in new.cameras),
        restarted=tuple(restarted),
        adjusted=tuple(name for name in changed if name not in restarted),
        rules=tuple(name for name in both if old.cameras[name].rules != new.cameras[name].rules),
        settings=tuple(key for key in _SETTINGS if _value(old, key) != _value(new, key)),
        sinks_added=tuple(name for name in new.sinks if name not in old.sinks),
        sinks_removed=tuple(name for name in old.sinks if name not in new.sinks),
        # The values and not their dumps: those show no secret, and one may be all that differs.
        sinks_restarted=tuple(name for name in new.sinks if name in old.sinks and new.sinks[name] != old.sinks[name]),
        model=old.model != keep_fixed(old, new).model,
        kept=(*(key for key in FIXED if _value(old, key) != _value(new, key)), *_kept_page(old, new)),
    )


def keep_fixed(old: Fleet, new: Fleet) -> Fleet:
    """The new fleet, with what cannot change as it was."""
    return new.model_copy(
        update={
            "name": old.name,
            "publish": old.publish.model_copy(update={"queue": new.publish.queue}),
            "model": new.model.model_copy(update={"device": old.model.device, "devices": old.model.devices}),
            "cascade": old.cascade,
            "worker": new.worker.model_copy(update={"max_batch": old.worker.max_batch, "nice": old.worker.nice}),
            "page": old.page,
        }
    )


def _kept_page(old: Fleet, new: Fleet) -> tuple[str, ...]:
    """A page stays where it is; one that only the command line asked for is in no file, and is not told of."""
    return ("page",) if new.page is not None and new.page != old.page else ()


def needs_new_process(before: Camera, now: Camera) -> bool:
    """Whether a camera's source is another, so that its process begins anew."""
    return _settings(before, besides=_SERVED) != _settings(now, besides=_SERVED)


_SETTINGS = ("slo.p95_ms", "slo.max_loss", "power", "worker.max_wait_ms", "publish.queue", "evidence")


def _settings(camera: Camera, besides: set[str] | None = None) -> dict[str, Any]:
    """All that is set of a camera; its addresses with their passwords, which never leave this comparison."""
    addresses = {"url": camera.url.reveal(), "evidence_url": camera.evidence_url and camera.evidence_url.reveal()}
    return {**camera.model_dump(exclude={*(besides or ()), *addresses}), **addresses}


def _value(fleet: Fleet, key: str) -> Any:
    value: Any = fleet
    for step in key.split("."):
        value = getattr(value, step)
    return value
