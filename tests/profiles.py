"""A profile made up for tests."""

from __future__ import annotations

from typing import Any

from pipeline.bench.figures import FleetRun, Percentiles
from pipeline.profile.facts import Facts
from pipeline.profile.figures import (
    Alone,
    CameraSteps,
    Finding,
    HotFunction,
    ProcessCores,
    Profile,
    Sampled,
    Share,
    Stage,
    Way,
)

AGES = Percentiles(p50_ms=40, p95_ms=70, p99_ms=90)
STAGES: dict[Stage, float] = {
    "receive": 0.05, "decode": 0.2, "resize": 0.02, "slot": 0.05, "decide": 0.05, "inference": 1.3, "after": 0.05,
    "track": 0.02, "encode": 0.01, "publish": 0.05, "sinks": 0.02, "supervisor": 0.01,
}  # fmt: skip
DETECTED = Way(
    frames="detected", rank="p50", count=20, age_ms=40.0,
    steps={"capture": 1.0, "decode": 2.0, "resize": 0.2, "core": 1.8, "wait": 5.0, "inference": 28.0, "after": 1.0,
           "track": 0.3, "turn": 0.7, "encode": 0.1, "publish": 0.9},
)  # fmt: skip
LATE = Way(frames="detected", rank="p95", count=20, age_ms=70.0, steps={**DETECTED.steps, "wait": 35.0})
FILLED = Way(frames="filled", rank="p50", count=20, age_ms=20.0, steps={"decode": 2.0, "core": 2.0, "turn": 16.0})


def camera(camera_id: str = "gate", cores: float = 0.05, frame_wh: tuple[int, int] = (1280, 720)) -> CameraSteps:
    return CameraSteps(
        camera_id=camera_id, codec="h264", frame_wh=frame_wh, frame_hz=25.0, cores=cores, receive_ms=0.2,
        decode_ms=1.2, resize_ms=0.2,
    )  # fmt: skip


def process(name: str, cores: float = 0.05, detail: str = "") -> ProcessCores:
    return ProcessCores(name=name, cores=cores, memory_mb=50.0, stages={"decode": cores}, detail=detail)


def run(**changes: Any) -> FleetRun:
    figures: dict[str, Any] = {
        "seconds": 20.0, "published_hz": 150.0, "detected_hz": 60.0, "wanted_hz": 150.0, "age": AGES,
        "detected_age": AGES, "detected_stages": {}, "filled_stages": {}, "lost": {}, "filled": {"stride": 1800},
        "processes": [], "observer_cores": 0.02, "other_cores": 0.05, "restarts": 0,
    }  # fmt: skip
    return FleetRun(**{**figures, **changes})


def facts(stages: dict[Stage, float] | None = None, **changes: Any) -> Facts:
    """A machine that is full, of which the detector takes most, unless told otherwise."""
    stages = STAGES if stages is None else stages
    values: dict[str, Any] = {
        "cores": 2.0, "idle": 0.1, "slo_p95_ms": 150.0, "input_wh": (640, 384), "run": run(), "stages": stages,
        "fleet": sum(stages.values()), "ways": [DETECTED, LATE, FILLED], "lanes": 2, "lanes_busy": 1.9, "loop": 0.15,
        "cameras": [camera(), camera("yard"), camera("park")], "processes": [process("worker", 1.4)],
    }  # fmt: skip
    return Facts(**{**values, **changes})


def profile(**changes: Any) -> Profile:
    values: dict[str, Any] = {
        "fleet": "town", "machine": "a processor", "cores": 2.0, "at": "2026-11-29T12:00:00+00:00", "ours": True,
        "slo_p95_ms": 150.0, "seconds": 20.0, "published_hz": 150.0, "detected_hz": 60.0, "wanted_hz": 150.0,
        "filled": {"stride": 1800}, "lost": {}, "age": AGES, "ways": [DETECTED, LATE, FILLED],
        "steps": dict.fromkeys(DETECTED.steps, AGES),
        "shares": [Share(stage=stage, cores=cores, how="counted") for stage, cores in STAGES.items()],
        "fleet_cores": sum(STAGES.values()), "observer_cores": 0.02, "other_cores": 0.05, "idle_cores": 0.1,
        "lanes": 2, "lanes_busy": 1.9, "processes": [process("worker", 1.4), process("camera gate")],
        "cameras": [camera()],
        "alone": Alone(boxes=5.0, update_ms=0.3, predict_ms=0.05, encode_ms=0.02, lay_ms=0.1),
        "findings": [Finding(kind="detector", words="The detector is at its limit.", lever="A smaller input.")],
        "sampled": [
            Sampled(name="worker", samples=99, hottest=(HotFunction(name="run", where="loop.py:1", percent=60.0),)),
            Sampled(name="page", error="it had ended"),
        ],
        "notes": [],
    }  # fmt: skip
    return Profile(**{**values, **changes})
