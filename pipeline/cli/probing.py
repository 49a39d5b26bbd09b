"""What cameras send that were opened to see it: as `check --probe` and `init` tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.config import Camera
    from pipeline.doctor.cameras import Outcome

_ASSEMBLIES = {"": "whole", "early": "at once", "next": "one late"}
"""How a camera's pictures come: whole from the source, with their last packet, or with the next one's first."""


def as_dict(camera: Camera, outcome: Outcome) -> dict[str, Any]:
    """What was found of a camera, or why nothing was, under plain names; without credentials."""
    from pipeline.redact import redact

    if isinstance(outcome, Exception):
        return {"url": str(camera.url), "error": redact(outcome)}
    return {
        "url": str(camera.url),
        "codec": outcome.codec,
        "frame_wh": list(outcome.frame_wh),
        "fps": outcome.fps and round(outcome.fps, 3),
        "keyframe_interval_s": outcome.keyframe_interval_s and round(outcome.keyframe_interval_s, 3),
        "assembly": outcome.assembly,
        "decoder": outcome.decoder,
        "devices": outcome.devices,
        "concern": outcome.concern,
        "clock": outcome.clock,
        "delay_s": outcome.delay_s and round(outcome.delay_s, 3),
    }


def print_table(cameras: Iterable[Camera], outcomes: dict[str, Outcome]) -> None:
    """A line for each camera; what a user should know, and who did not answer, below."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "camera", "codec", "size", "fps", "key frame every", "pictures", "decoder", "address", box=None, pad_edge=False
    )
    failures: list[Text] = []
    notes: list[Text] = []
    for camera in cameras:
        told = as_dict(camera, outcomes[camera.camera_id])
        if "error" in told:
            cells = ("[red]failed[/]", "", "", "", "", "")
            failures.append(Text.assemble((camera.camera_id, "red"), f": {told['error']}"))
        else:
            interval = told["keyframe_interval_s"]
            every = "unknown" if interval is None else f"{interval:.1f} s"
            fps = "unknown" if told["fps"] is None else f"{told['fps']:g}"
            assembly = _ASSEMBLIES[told["assembly"]]
            cells = (told["codec"], "{}×{}".format(*told["frame_wh"]), fps, every, assembly, _decoders(told))
            if told["concern"]:
                notes.append(Text.assemble((camera.camera_id, "yellow"), f": {told['concern']}"))
        table.add_row(camera.camera_id, *cells, Text(told["url"], overflow="fold"))
    console = Console()
    console.print(table)
    for line in notes + failures:
        console.print(line, soft_wrap=True)


def _decoders(told: dict[str, Any]) -> str:
    """What decodes a camera, and what could."""
    others = [kind for kind, why in told["devices"].items() if not why and kind != told["decoder"]]
    return f"{told['decoder']} (or {', '.join(others)})" if others else str(told["decoder"])
