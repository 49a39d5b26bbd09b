"""What follows from the measurements: where the cores went, what could be detected, and what holds it back.

    ceiling = bare rate × (cores left after decoding and other programs ÷ cores the bare detector took), at most bare

so on a CPU the detector is granted what the cameras leave, and on a GPU, where it needs few cores, all it can. Figures
in, figures and words out.
"""

from __future__ import annotations

from pipeline.bench.figures import BareDetector, Bottleneck, Budget, CameraCost, FleetRun, Verdict
from pipeline.supervise.status import role_of

ALL_SHARE = 0.95
"""Detections, as a share of what is wanted, from which there is no bottleneck but the cameras."""
LIMIT_SHARE = 0.85
"""Detections, as a share of the ceiling, from which the detector is at its limit."""
LONG_SHARE = 0.5
"""A detection's time, as a share of the goal, from which most frames that had to wait would be late."""
NOISE_SHARE = 0.1
"""Share of the cores that other programs may take while the detector is measured alone, before it is told."""


def judge(cores: float, bare: BareDetector, cameras: list[CameraCost], run: FleetRun, slo_p95_ms: float) -> Verdict:
    """The verdict on a fleet.

    Args:
        cores: That this process may use.
        bare: The detector alone.
        cameras: Each camera alone.
        run: All of it together.
        slo_p95_ms: The fleet's goal.
    """
    budget = share_out(cores, bare, cameras, run)
    left_cores = max(0.0, cores - budget.decode - budget.others)
    ceiling_hz = bare.images_hz * min(1.0, left_cores / bare.cores if bare.cores > 0 else 1.0)
    reachable_hz = min(ceiling_hz, run.wanted_hz)
    share = run.detected_hz / reachable_hz if reachable_hz > 0 else 0.0
    overhead_cores = budget.hand_over + budget.worker_rest
    bottleneck = find_bottleneck(budget, run, ceiling_hz, slo_p95_ms)
    verdict = Verdict(
        budget=budget,
        left_cores=round(left_cores, 3),
        ceiling_hz=round(ceiling_hz, 1),
        share=round(share, 3),
        overhead_ms=round(1000 * overhead_cores / run.published_hz, 3) if run.published_hz > 0 else 0.0,
        bottleneck=bottleneck,
        words=[],
    )
    if bare.other_cores > NOISE_SHARE * cores:
        verdict.words.append(
            f"Other programs took {bare.other_cores:.2f} of {cores:g} cores while the detector ran alone, so what it "
            "can do is underrated; measure again on a quiet machine."
        )
    verdict.words.extend(_words(verdict, bare, run, slo_p95_ms))
    return verdict


def share_out(cores: float, bare: BareDetector, cameras: list[CameraCost], run: FleetRun) -> Budget:
    """Where the cores went. What is measured alone is never taken for more than its process took in the run."""
    camera_processes = sum(process.cores for process in run.processes if role_of(process.name) == "camera")
    worker = sum(process.cores for process in run.processes) - camera_processes
    decode = min(camera_processes, sum(camera.decode_cores for camera in cameras))
    detector = min(worker, (run.detected_hz + _late_hz(run)) * bare.cpu_ms_per_image / 1000)
    others = (run.other_cores or 0.0) + run.observer_cores
    return Budget(
        cores=cores,
        decode=round(decode, 3),
        hand_over=round(camera_processes - decode, 3),
        detector=round(detector, 3),
        worker_rest=round(worker - detector, 3),
        others=round(others, 3),
        idle=round(max(0.0, cores - camera_processes - worker - others), 3),
    )


def _late_hz(run: FleetRun) -> float:
    """Detections a second that came back after their frame had left: no less work than the others."""
    return run.filled.get("overdue", 0) / run.seconds


def find_bottleneck(budget: Budget, run: FleetRun, ceiling_hz: float, slo_p95_ms: float) -> Bottleneck:
    """What holds detections back."""
    if run.detected_hz >= ALL_SHARE * run.wanted_hz:
        return "cameras"
    if run.detected_hz < LIMIT_SHARE * ceiling_hz:
        detect = run.detected_stages.get("detect")
        is_long = detect is not None and detect.p50_ms > LONG_SHARE * slo_p95_ms
        return "deadline" if is_long else "pipeline"
    return "decode" if budget.decode > budget.detector else "detector"


def _words(verdict: Verdict, bare: BareDetector, run: FleetRun, slo_p95_ms: float) -> list[str]:
    return [
        f"The detector alone does {bare.images_hz:.1f} images a second on {bare.cores:.2f} cores, "
        f"{bare.cpu_ms_per_image:.1f} ms of CPU time each.",
        f"Decoding takes {verdict.budget.decode:.2f} of {verdict.budget.cores:g} cores, other programs "
        f"{_others(run)}; the {verdict.left_cores:.2f} left carry {verdict.ceiling_hz:.1f} detections a second.",
        f"The fleet detected {run.detected_hz:.1f} of {run.wanted_hz:.1f} wanted a second: "
        f"{100 * verdict.share:.0f} % of what is possible here.",
        f"The pipeline itself takes {verdict.overhead_ms:.2f} ms of CPU time a published frame, "
        f"{verdict.budget.hand_over + verdict.budget.worker_rest:.2f} cores in all.",
        _bottleneck_words(verdict, run),
        f"p95 of all published frames is {run.age.p95_ms:.0f} ms; the goal of {slo_p95_ms:g} ms is "
        + ("kept." if run.age.p95_ms <= slo_p95_ms else "not kept."),
    ]


def _others(run: FleetRun) -> str:
    if run.other_cores is None:
        return "an unknown share (this is a part of a larger machine)"
    return f"{run.other_cores + run.observer_cores:.2f}"


def _bottleneck_words(verdict: Verdict, run: FleetRun) -> str:
    if verdict.bottleneck == "cameras":
        spare_hz = max(0.0, verdict.ceiling_hz - run.detected_hz)
        return f"Bottleneck: none; every wanted frame is detected, and about {spare_hz:.0f} more a second would be."
    if verdict.bottleneck == "decode":
        return (
            "Bottleneck: decoding; it takes more of the cores than detecting. Let the cameras send smaller pictures or "
            "fewer of them, such as their second stream."
        )
    if verdict.bottleneck == "detector":
        return (
            "Bottleneck: the detector; it uses what it is left. A smaller model, an input of the cameras' shape "
            "(model.input_wh), INT8, or a GPU detects more."
        )
    if verdict.bottleneck == "deadline":
        return (
            f"Bottleneck: the latency goal; a detection takes {run.detected_stages['detect'].p50_ms:.0f} ms here, so "
            f"few frames can be back in time, and {_late_hz(run):.1f} a second are not (they correct the tracks). "
            "A smaller model or input, a faster device, or a larger slo.p95_ms detects more."
        )
    return (
        f"Bottleneck: the pipeline; {verdict.budget.idle:.2f} cores idle, {verdict.budget.worker_rest:.2f} taken by "
        "the worker beside the detector. The latency goal (slo.p95_ms) and fixed strides also hold detections back."
    )
