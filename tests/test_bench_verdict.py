"""What a bench concludes from its figures."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.bench.figures import BareDetector, CameraCost, FleetRun, Percentiles, ProcessUse, Verdict
from pipeline.bench.verdict import judge

AGES = Percentiles(p50_ms=40, p95_ms=70, p99_ms=90)


def bare(images_hz: float = 80.0, cores: float = 2.0, other_cores: float = 0.0) -> BareDetector:
    return BareDetector(
        images_hz=images_hz,
        ms_per_image=1000 / images_hz,
        cpu_ms_per_image=1000 * cores / images_hz,
        cores=cores,
        other_cores=other_cores,
        lanes=2,
        batch=1,
        input_wh=(640, 640),
    )


def cameras(count: int = 6, decode_ms: float = 1.0, fps: float = 25.0) -> list[CameraCost]:
    cores = decode_ms * fps / 1000
    return [
        CameraCost(camera_id=f"cam{number}", fps=fps, decode_ms=decode_ms, decode_cores=cores)
        for number in range(count)
    ]


def use(name: str, cores: float) -> ProcessUse:
    return ProcessUse(name=name, cores=cores, memory_mb=100)


def run(detected_hz: float, **changes: Any) -> FleetRun:
    figures: dict[str, Any] = {
        "seconds": 20.0,
        "published_hz": 150.0,
        "detected_hz": detected_hz,
        "wanted_hz": 150.0,
        "age": AGES,
        "detected_age": AGES,
        "detected_stages": {},
        "filled_stages": {},
        "lost": {},
        "filled": {},
        "processes": [
            use("worker", 1.7),
            use("camera all", 0.2),
        ],
        "observer_cores": 0.02,
        "other_cores": 0.03,
        "restarts": 0,
    }
    return FleetRun(**{**figures, **changes})


@pytest.mark.parametrize(
    ("measured", "alone", "costs", "bottleneck"),
    [
        pytest.param(run(66.0), bare(), cameras(), "detector", id="detector at what it is left"),
        pytest.param(run(40.0), bare(), cameras(), "pipeline", id="detector far below what it is left"),
        pytest.param(
            run(
                10.0,
                detected_stages={"detect": Percentiles(p50_ms=105, p95_ms=125, p99_ms=130)},
                filled={"overdue": 60},
            ),
            bare(),
            cameras(),
            "deadline",
            id="detections take most of the goal",
        ),
        pytest.param(run(149.0), bare(400.0, 2.0), cameras(), "cameras", id="everything is detected"),
        pytest.param(run(74.0, wanted_hz=75.0), bare(), cameras(), "cameras", id="everything at the least stride"),
        pytest.param(
            run(18.0, processes=[use("worker", 0.5), use("camera all", 1.5)]),
            bare(),
            cameras(60),
            "decode",
            id="decoding leaves the detector little, which it uses",
        ),
        pytest.param(run(140.0), bare(150.0, 0.3), cameras(), "detector", id="a GPU at its limit"),
    ],
)
def test_judge_fleet_names_bottleneck(
    measured: FleetRun, alone: BareDetector, costs: list[CameraCost], bottleneck: str
) -> None:
    verdict = judge(2.0, alone, costs, measured, 150)
    assert verdict.bottleneck == bottleneck
    assert any(words.startswith("Bottleneck: ") for words in verdict.words)


def verdict_of(detected_hz: float, **changes: Any) -> Verdict:
    return judge(2.0, bare(), cameras(), run(detected_hz, **changes), 150)


def test_judge_ceiling_is_bare_rate_on_what_decoding_and_others_leave() -> None:
    verdict = verdict_of(60.0)
    assert verdict.left_cores == pytest.approx(2.0 - 6 * 0.025 - 0.05)
    assert verdict.ceiling_hz == pytest.approx(80 * 1.8 / 2)
    assert verdict.share == pytest.approx(60 / 72, abs=1e-3)


def test_judge_detector_on_a_gpu_is_not_bound_by_the_cores() -> None:
    assert judge(2.0, bare(500.0, 0.5), cameras(), run(100.0), 150).ceiling_hz == 500.0


def test_judge_share_is_of_what_is_wanted_where_that_is_less() -> None:
    assert verdict_of(45.0, wanted_hz=50.0).share == pytest.approx(0.9)


def test_judge_budget_adds_up_to_the_cores() -> None:
    budget = verdict_of(66.0).budget
    parts = (budget.decode, budget.hand_over, budget.detector, budget.worker_rest, budget.others, budget.idle)
    assert sum(parts) == pytest.approx(budget.cores)
    assert budget.detector == pytest.approx(66 * 2.0 / 80)
    assert budget.worker_rest == pytest.approx(1.7 - budget.detector, abs=1e-3)


def test_judge_detector_dearer_alone_than_the_whole_worker_takes_no_more_than_it() -> None:
    budget = judge(2.0, bare(10.0, 2.0), cameras(decode_ms=9.0), run(66.0), 150).budget
    assert budget.detector == 1.7 and budget.worker_rest == 0.0
    assert budget.decode == 0.2 and budget.hand_over == 0.0


def test_judge_overhead_is_cpu_time_beyond_decoding_and_detecting_per_published_frame() -> None:
    verdict = verdict_of(66.0)
    assert verdict.overhead_ms == pytest.approx(1000 * (1.7 - 1.65 + 0.2 - 0.15) / 150, abs=1e-3)


def test_judge_fleet_that_published_nothing_divides_by_nothing() -> None:
    silent = run(0.0, published_hz=0.0, wanted_hz=0.0, processes=[])
    verdict = judge(2.0, bare(), [CameraCost(camera_id="gate", error="refused")], silent, 150)
    assert (verdict.share, verdict.overhead_ms) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "other_cores", "said"),
    [
        pytest.param({}, 0.0, "goal of 150 ms is kept", id="goal kept"),
        pytest.param({"age": Percentiles(p50_ms=1, p95_ms=151, p99_ms=2)}, 0.0, "is not kept", id="goal broken"),
        pytest.param({"other_cores": None}, 0.0, "unknown share", id="others cannot be seen"),
        pytest.param({}, 0.5, "measure again on a quiet machine", id="noisy neighbours"),
    ],
)
def test_judge_words_say_what_a_reader_must_know(changes: dict[str, Any], other_cores: float, said: str) -> None:
    verdict = judge(2.0, bare(other_cores=other_cores), cameras(), run(66.0, **changes), 150)
    assert said in " ".join(verdict.words)


def test_judge_late_detections_are_work_of_the_detector():
    in_time, late = (judge(2.0, bare(), cameras(), run(10.0, filled=filled), 150) for filled in ({}, {"overdue": 200}))
    assert late.budget.detector == pytest.approx(2 * in_time.budget.detector)
    assert late.overhead_ms < in_time.overhead_ms
