"""Whether what is to be blurred can be: only of classes that the model knows, objects are found."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from pipeline.config.values import Fleet
from pipeline.doctor.finding import Finding, failure
from pipeline.doctor.model import OpenedModel


def look_at_privacy(fleet: Fleet, models: Sequence[OpenedModel]) -> Iterator[Finding]:
    """Classes of `privacy.blur` that a model does not know, each once; pictures would be blurred as a whole."""
    known = set[str].intersection(*(set(model.kept) for model in models)) if models else set()
    cameras: dict[str, list[str]] = {}
    for camera_id, camera in fleet.cameras.items() if models else ():
        for name in camera.privacy.blur:
            if name not in known:
                cameras.setdefault(name, []).append(camera_id)
    for name, camera_ids in cameras.items():
        close = difflib.get_close_matches(name, sorted(known), 1)
        advice = f"did you mean “{close[0]}”?" if close else f"it knows {', '.join(sorted(known)[:20])}"
        found = f"the model does not know “{name}”, so the pictures of {', '.join(camera_ids)} are blurred as a whole"
        yield failure(f"cameras.{camera_ids[0]}.privacy.blur", found, advice)
